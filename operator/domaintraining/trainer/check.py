"""A check: whether the samples changed under the served prompts, and how good those are now.

No search, no baseline, no proposal, and no revision at the end. The run's budget is for training and does not
count here: a check makes at most three calls for each held-out document.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from domaintraining.api.report import Drift, Unmeasured
from domaintraining.api.run import Check, Run
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics, TaskMetrics
from domaintraining.trainer.calls.connect import Connection, Serve, connected
from domaintraining.trainer.data.material import Material, read_material
from domaintraining.trainer.data.split import MIN_TEST
from domaintraining.trainer.prompts.served import Served, read_served
from domaintraining.trainer.scoring.comparison import Documents, Measured, measure_prompts, own_metrics
from domaintraining.trainer.scoring.evaluate import Evaluator
from domaintraining.trainer.scoring.unseen import left_out, told_dataset, unseen_documents
from domaintraining.trainer.session import Session
from domaintraining.trainer.training import Folders

UNKNOWN_SLOTS: Final = 4
"""Calls in flight where nobody knows what the server serves: to find out takes more calls than to check."""
INSIST_SECONDS: Final = 120.0
"""How long the report is tried to be written; another attempt finds the answers in the journal."""


def check(session: Session, given: Check, folders: Folders, serve: Serve) -> None:
    """Look at the served prompts again and report what was found.

    Args:
        session: the attempt.
        given: what the check starts from.
        folders: what is mounted: data, served revision, and the volume of the journal.
        serve: makes model servers.

    Raises:
        DomainTrainingError: what keeps the check from an answer; bad samples have the reasons of a run.
        GivenUp: the same, from a call.
    """
    session = replace(session, run=_without_search(session.run))
    session.tally.enter("loading_data", "reading samples")
    material = read_material(session.run, folders.data)
    changed = material.samples.digest != given.data_digest
    session.log.event("dataset_read", "all samples are valid", changed=changed)
    why = _unasked(given, changed=changed)
    served = read_served(folders.served, session.run) if why is None else Served()
    requests, documents = _measurable(material, served)
    why = why or _impossible(served, requests)
    metrics, digest = None, material.samples.digest
    if why is None:
        volume = _volume(session.run, folders)
        with connected(session, session.run, serve, volume, digest) as connection:
            metrics = _measure(session, connection, requests, documents)
    drift = Drift(
        data_digest=digest,
        changed=changed,
        dataset=told_dataset(material, documents),
        metrics=metrics,
        unmeasured=why,
        left_out=left_out(material, documents),
        model_calls=session.budget.spent().calls,
    )
    _report(session, drift)


def _without_search(run: Run) -> Run:
    """The run without what only a search needs."""
    requests = run.max_concurrent_requests or UNKNOWN_SLOTS
    changes = {"prompt_model": None, "embedding_model": None, "max_concurrent_requests": requests}
    return run.model_copy(update=changes)


def _volume(run: Run, folders: Folders) -> Path | None:
    """Where answers are kept; nowhere, if they might later be taken for those of another model."""
    return folders.journal if run.model.digest else None


def _unasked(given: Check, *, changed: bool) -> Unmeasured | None:
    """Why the served prompts are not to be measured; None: they are."""
    if not changed and not given.model_changed:
        return "Unchanged"
    return None if given.measure else "NotAsked"


def _measurable(material: Material, served: Served) -> tuple[Mapping[Task, str], Documents]:
    """The served prompts of the tasks that have enough documents, and the documents."""
    documents = unseen_documents(material, served)
    enough = {task: text for task, text in served.requests.items() if len(documents.of[task]) >= MIN_TEST}
    return enough, documents


def _impossible(served: Served, requests: Mapping[Task, str]) -> Unmeasured | None:
    """Why the served prompts can't be measured; None: they can."""
    if not served.requests:
        return "NothingServed"
    return None if requests else "NoHeldOutData"


def _measure(
    session: Session, connection: Connection, requests: Mapping[Task, str], documents: Documents
) -> Metrics:
    """The numbers of the served prompts. Answers that nobody can read are a loss, and no failure here."""
    run, tally, calls = session.run, session.tally, connection.task
    tally.expect("validation", documents.calls(list(requests)))
    tally.enter("validation", "measuring the served prompts on the held-out documents")
    counted = partial(tally.measured, "validation")
    evaluator = Evaluator(calls, calls.slots, run.metric.letters, counted, calls.expect_all)
    measured = measure_prompts(evaluator, requests, documents)
    metrics = _without_baseline(own_metrics(measured, run.optimizer.seed))
    _tell(session, measured, metrics)
    return metrics


def _without_baseline(metrics: Metrics) -> Metrics:
    """A baseline's own numbers are its baseline; a served prompt's are not."""

    def alone(one: TaskMetrics | None) -> TaskMetrics | None:
        return None if one is None else one.model_copy(update={"baseline": None})

    return Metrics(
        entities=alone(metrics.entities),
        relations=alone(metrics.relations),
        end_to_end=alone(metrics.end_to_end),
    )


def _tell(session: Session, measured: Measured, metrics: Metrics) -> None:
    numbers = metrics.model_dump(mode="json", by_alias=True, exclude_none=True)
    session.log.event(
        "served_measured",
        "the served prompts are measured",
        metrics=numbers,
        answers=measured.answers,
        unreadable=measured.unreadable,
    )


def _report(session: Session, drift: Drift) -> None:
    session.reporter.update(check=drift)
    session.tally.finish("the check is through")
    session.reporter.insist(INSIST_SECONDS)
    found = {"changed": drift.changed, "unmeasured": drift.unmeasured, "model_calls": drift.model_calls}
    session.log.event("check_done", "the check is through", **found)
