"""A check: whether the samples changed under the served prompts, and how good those are now.

No search, no baseline, no proposal, and no revision at the end. The run's budget is for training and does not
count here: a check makes at most three calls for each held-out document.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from domaintraining.api.report import Drift, Unmeasured
from domaintraining.api.run import Check, Run
from domaintraining.api.spec import Task
from domaintraining.api.status import DatasetStatus, Metrics, TaskMetrics
from domaintraining.trainer.calls.connect import Connection, Serve, connected
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.data.split import MIN_TEST
from domaintraining.trainer.prompts.served import Served, read_served
from domaintraining.trainer.reading import Folders, read_news
from domaintraining.trainer.scoring.comparison import (
    Documents,
    Measure,
    Measured,
    measure_prompts,
    own_metrics,
)
from domaintraining.trainer.scoring.evaluate import Evaluator, Measurement
from domaintraining.trainer.scoring.unseen import left_out, told_dataset, unseen_documents
from domaintraining.trainer.session import Session

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
    known = given.data_version if given.data_digest and not given.model_changed else ""
    material = read_news(session, folders, known)
    if material is None:
        _report(session, _still(given))
        return
    changed = material.samples.digest != given.data_digest
    session.log.event("dataset_read", "all samples are valid", changed=changed)
    why = _unasked(given, changed=changed)
    served = _alike(read_served(folders.served, session.run)) if why is None else Served()
    requests, documents = _measurable(material, served)
    why = why or _impossible(served, requests)
    metrics, digest = None, material.samples.digest
    if why is None:
        measuring = _Measuring(session, partial(_connected, folders, serve, digest), served, documents)
        metrics = measuring.numbers(requests)
    drift = Drift(
        data_digest=digest,
        data_version=material.version,
        changed=changed,
        dataset=told_dataset(material, documents),
        metrics=metrics,
        unmeasured=why,
        left_out=left_out(material, documents),
        model_calls=session.budget.spent().calls,
    )
    _report(session, drift)


def _still(given: Check) -> Drift:
    """What there is to say where the source has the version that is known: the samples were not read."""
    return Drift(
        data_digest=given.data_digest,
        data_version=given.data_version,
        changed=False,
        dataset=DatasetStatus(digest=given.data_digest),
        unmeasured="Unchanged",
    )


def _connected(
    folders: Folders, serve: Serve, digest: str, session: Session
) -> AbstractContextManager[Connection]:
    """The calls to a model. Where its digest is not known they are kept nowhere: they might be taken for
    those of another model later.
    """
    run = session.run
    return connected(session, run, serve, folders.journal if run.model.digest else None, digest)


def _unasked(given: Check, *, changed: bool) -> Unmeasured | None:
    """Why the served prompts are not to be measured; None: they are."""
    if not changed and not given.model_changed:
        return "Unchanged"
    return None if given.measure else "NotAsked"


def _alike(served: Served) -> Served:
    """The served prompts without those for models that the run does not know: on another model a number
    says nothing of what was published.
    """
    alike = {task: text for task, text in served.requests.items() if task in served.named}
    return replace(served, requests=alike)


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


@dataclass(frozen=True)
class _Measuring:
    """Measures the served prompts, of one model after the other."""

    session: Session
    connect: Callable[[Session], AbstractContextManager[Connection]]
    served: Served
    documents: Documents

    def numbers(self, requests: Mapping[Task, str]) -> Metrics:
        """The numbers of prompts; answers that nobody can read are a loss, and no failure here."""
        session, run = self.session, self.session.run
        models = dict.fromkeys(self.served.models[task] for task in requests)
        groups = [
            {task: requests[task] for task in self.served.of(one) if task in requests} for one in models
        ]
        session.tally.expect("validation", sum(self.documents.calls(list(group)) for group in groups))
        session.tally.enter("validation", "measuring the served prompts on the held-out documents")
        measured: dict[Measure, Measurement] = {}
        for model, group in zip(models, groups, strict=True):
            measured |= self._measured(_of_model(run, model), group).measurements
        metrics = _without_baseline(own_metrics(Measured(measured), run.optimizer.seed))
        _tell(session, Measured(measured), metrics)
        return metrics

    def _measured(self, run: Run, requests: Mapping[Task, str]) -> Measured:
        counted = partial(self.session.tally.measured, "validation")
        with self.connect(replace(self.session, run=run)) as connection:
            calls = connection.task
            evaluator = Evaluator(calls, calls.slots, run.metric.letters, counted, calls.expect_all)
            return measure_prompts(evaluator, requests, self.documents)


def _of_model(run: Run, name: str) -> Run:
    """The run of a model that a served prompt is for, without what only a search needs."""
    known = {one.model.name: one for one in run.compare_with}
    rival = known.get(name) if name != run.model.name else None
    model = rival.model if rival else run.model
    requests = rival.max_concurrent_requests if rival else run.max_concurrent_requests
    return run.model_copy(
        update={
            "model": model,
            "max_concurrent_requests": requests or UNKNOWN_SLOTS,
            "prompt_model": None,
            "embedding_model": None,
            "compare_with": [],
        }
    )


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
