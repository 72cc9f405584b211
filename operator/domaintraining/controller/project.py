"""The whole status, projected from what was observed and decided. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from domaintraining.api.comparison import ComparedModel
from domaintraining.api.names import GROUP, KIND, VERSION, domain_of, job_name, prompt_name
from domaintraining.api.reasons import Reason
from domaintraining.api.runs import HistoryEntry, RunStatus
from domaintraining.api.scalars import rfc3339
from domaintraining.api.spec import TASKS
from domaintraining.api.status import (
    Advice,
    DomainTrainingStatus,
    Metrics,
    Progress,
    Summary,
    TaskMetrics,
    wire,
)
from domaintraining.controller.conditions import conditions
from domaintraining.controller.decide import Plan, Step, moment, open_run, superseded
from domaintraining.controller.findings import drift_status
from domaintraining.controller.journal import journal_words
from domaintraining.controller.observed import Object, Observed, Resource, Revision
from domaintraining.controller.promotion import promoted_served
from domaintraining.controller.revisions import (
    compared_models,
    completion_time,
    dataset_of,
    metrics_of,
    mode_of,
    model_named,
    prompt_config,
    reused_from,
)
from domaintraining.controller.similar import similar_words
from domaintraining.errors import DomainTrainingError

HISTORY = 5
ADVICE: Final = TypeAdapter[list[str]](Advice)


@dataclass(frozen=True)
class Outcome:
    """What came of a plan."""

    plan: Plan
    problem: DomainTrainingError | None = None
    """What kept the step from being done."""


def project(observed: Observed, outcome: Outcome) -> DomainTrainingStatus:
    """The status of a resource: nothing in it comes from the operator's settings of today.

    Args:
        observed: what the reconcile saw last.
        outcome: what it decided and what came of it.
    """
    resource, before, record = observed.resource, observed.resource.status, observed.record
    served = promoted_served(observed)
    metrics = _metrics(observed, served)
    progress = _progress(observed, outcome)
    report = observed.report.report
    same_run = record is not None and before.run is not None and before.run.number == record.run.number
    dataset = report.dataset if report else dataset_of(_last(observed))
    return DomainTrainingStatus(
        observed_generation=resource.generation,
        conditions=conditions(observed, outcome.plan, outcome.problem, rfc3339(observed.now)),
        auto=_auto(observed),
        model=record.run.model if record else before.model,
        prompt_model=record.run.prompt_model if record else before.prompt_model,
        embedding_model=record.run.embedding_model if record else before.embedding_model,
        models=_models(observed, served),
        dataset=dataset or (before.dataset if same_run else None),
        advice=report.advice if report else _kept_advice(observed) or (before.advice if same_run else []),
        progress=progress,
        metrics=metrics,
        prompt_config=prompt_config(prompt_name(resource.name), served) if served else None,
        run=_run(observed) or before.run,
        history=_history(observed),
        drift=drift_status(observed),
        last_handled_retrain_time=_handled(observed),
        summary=_summary(observed, outcome.plan, metrics, progress, served),
    )


def _handled(observed: Observed) -> str | None:
    """The retrain annotation that the last run acted on; one that is no time asked for nothing."""
    record = observed.record
    text = record.attempt.retrain if record else ""
    kept = [str(revision.manifest.get("retrain", "")) for revision in observed.trained[-1:]]
    told = [text, observed.resource.status.last_handled_retrain_time or "", *kept]
    return next((one for one in told if moment(one)), None)


def _auto(observed: Observed) -> str | None:
    """The mode that runs: as the trainer chose it, else as the run says; before a run, what the spec says.

    A run that was reused had its trainer elsewhere: its revision tells.
    """
    record, before, report = observed.record, observed.resource.status, observed.report.report
    if record is None:
        return observed.resource.spec.auto
    same_run = before.run is not None and before.run.number == record.run.number
    chosen = report.auto if report else None
    last = _last(observed)
    chosen = chosen or (mode_of(last) if reused_from(last) else None)
    return chosen or (before.auto if same_run else None) or record.run.auto


def _kept_advice(observed: Observed) -> list[str]:
    """What the last run's revision says of data and model; empty where it says nothing readable."""
    last = _last(observed)
    try:
        return ADVICE.validate_python(last.manifest.get("advice", [])) if last else []
    except ValidationError:
        return []


def _metrics(observed: Observed, served: Revision | None) -> Metrics | None:
    if served is not None:
        return metrics_of(served)
    report = observed.report.report
    return report.baseline if report else None


def _progress(observed: Observed, outcome: Outcome) -> Progress | None:
    """The trainer's counts; the percentage never falls within a run, whatever a new attempt counts."""
    record, before = observed.record, observed.resource.status
    if record is None:
        return None
    same_run = before.run is not None and before.run.number == record.run.number
    last = before.progress if same_run else None
    report = observed.report.report
    current = report.progress if report else last or Progress()
    done = any(one.number == record.run.number for one in observed.trained)
    if done:
        return current.model_copy(
            update={"percent": 100, "step": "saving", "message": "", "estimated_completion_time": None}
        )
    # 100 says that the prompt is kept; until then the last part, saving, goes on.
    percent = max(min(current.percent, 99), last.percent if last else 0)
    message = outcome.problem.message[:1024] if outcome.problem else current.message
    update: dict[str, Any] = {"percent": percent, "message": message}
    rests = {Step.SUSPEND: "suspended", Step.REST: "superseded"}
    if observed.place is not None or (observed.job is not None and observed.job.suspended):
        update |= {"message": "queued", "estimated_completion_time": None}
    if outcome.plan.step in rests:
        update |= {"message": rests[outcome.plan.step], "estimated_completion_time": None}
    return current.model_copy(update=update)


def _run(observed: Observed) -> RunStatus | None:
    record, name = observed.record, observed.resource.name
    if record is None:
        return None
    number, attempt = record.run.number, record.attempt
    ended = _last(observed)
    source = reused_from(ended)
    return RunStatus(
        number=number,
        hash=record.run.hash,
        job="" if source else job_name(name, number, attempt.number),
        image=record.run.image,
        start_time=attempt.start_time,
        completion_time=completion_time(ended) if ended else None,
        attempts=0 if source else attempt.number,
        journal="" if source else journal_words(record.run.journal),
        similar=similar_words(ended),
        reused_from=source,
    )


def _last(observed: Observed) -> Revision | None:
    """What the last run ended with."""
    number = observed.record.run.number if observed.record else 0
    return next((one for one in observed.trained if one.number == number), None)


def _history(observed: Observed) -> list[HistoryEntry]:
    """The last runs: those that are kept as revisions, and those of which only status tells."""
    entries = _remembered(observed)
    kept = (_entry(revision) for revision in observed.trained)
    entries |= {one.number: one for one in kept if one is not None}
    return [entries[number] for number in sorted(entries, reverse=True)[:HISTORY]]


def _remembered(observed: Observed) -> dict[int, HistoryEntry]:
    """Runs of which status tells, with the last one if another took its place, without it if it goes on."""
    entries = {one.number: one for one in observed.resource.status.history}
    opened = open_run(observed)
    if opened is not None:
        entries.pop(opened.run.number, None)
    elif superseded(observed) and observed.record is not None:
        number, now = observed.record.run.number, rfc3339(observed.now)
        if number not in entries or entries[number].reason != Reason.SUPERSEDED:
            entries[number] = HistoryEntry(number=number, completion_time=now, reason=Reason.SUPERSEDED)
    return entries


def _entry(revision: Revision) -> HistoryEntry | None:
    completed = completion_time(revision)
    if completed is None:
        return None
    metrics = metrics_of(revision)
    return HistoryEntry(
        number=revision.number,
        completion_time=completed,
        entities=f1_text(metrics.entities),
        relations=f1_text(metrics.relations),
        reason=Reason.PROMOTED if revision.promoted else Reason.REJECTED,
    )


def f1_text(metrics: TaskMetrics | None) -> str:
    """`0.712→0.831`, baseline first; an unmeasured number is left out."""
    if metrics is None or (metrics.baseline is None and metrics.f1 is None):
        return ""
    before = f"{metrics.baseline.f1:.3f}" if metrics.baseline else ""
    after = f"{metrics.f1:.3f}" if metrics.f1 is not None else ""
    return f"{before}→{after}"


def _models(observed: Observed, served: Revision | None) -> list[ComparedModel]:
    """The comparison of the current run: as its trainer tells it, else its revision; of a restored
    resource, that of the served one.
    """
    record, before, report = observed.record, observed.resource.status, observed.report.report
    if record is None:
        return compared_models(served) if served else before.models
    if report is not None and report.models:
        return report.models
    ended = next((one for one in observed.trained if one.number == record.run.number), None)
    if ended is not None:
        return compared_models(ended)
    same_run = before.run is not None and before.run.number == record.run.number
    return before.models if same_run else []


def _model(observed: Observed, served: Revision | None) -> str:
    """The model of the served prompts; where each task's is for another one, both."""
    named = [model_named(served, task) for task in TASKS] if served else []
    found = list(dict.fromkeys(one for one in named if one))
    record, before = observed.record, observed.resource.status.model
    current = record.run.model if record else before
    return ",".join(found)[:253] or (current.name if current else "")


def _summary(
    observed: Observed,
    plan: Plan,
    metrics: Metrics | None,
    progress: Progress | None,
    served: Revision | None,
) -> Summary:
    """The columns; nothing is left to do for a spec whose run has ended, whatever ran after it."""
    resource = observed.resource
    percent = 100 if plan.step is Step.REST else progress.percent if progress else 0
    return Summary(
        entities=f1_text(metrics.entities) if metrics else "",
        relations=f1_text(metrics.relations) if metrics else "",
        progress=f"{percent}%",
        domain=domain_of(resource.name, resource.spec.domain),
        model=_model(observed, served),
    )


def status_body(resource: Resource, status: DomainTrainingStatus) -> Object:
    """The one server-side apply of a status."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": resource.name, "namespace": resource.namespace, "uid": resource.uid},
        "status": wire(status),
    }
