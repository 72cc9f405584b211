"""What the graph should hold of a resource, from what was observed and its status alone. Pure.

Whatever was missed while Neo4j was away is in it again: it names every run that the cluster tells of.
"""

import json
import uuid
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from domaintraining.api.model import ModelName
from domaintraining.api.names import domain_of
from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.runs import HistoryEntry
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import DatasetStatus, DomainTrainingStatus, Metrics, wire
from domaintraining.controller.acceptance import rejection
from domaintraining.controller.decide import Plan, Step, moment, open_run
from domaintraining.controller.graph.demos import demos_json, encodable
from domaintraining.controller.graph.format import for_format
from domaintraining.controller.graph.model import Log, Owner, Value, Wanted
from domaintraining.controller.observed import Observed, Resource, Revision, RunRecord
from domaintraining.controller.promotion import judgement, promoted_served, trained_tasks
from domaintraining.controller.revisions import completion_time, metrics_of, model_named, part_of

IDS: Final = uuid.UUID("6c1a5f0e-5d8e-4c57-9a53-0d6ff1a3b7c2")
"""Namespace of the ids, so that each write of a run finds what an earlier one made."""
ENDED: Final = 1_000_000
"""Higher than the number of any attempt."""
MODEL: Final = TypeAdapter[str](ModelName)
UNTRAINED: Final = "untrained"
"""Key of a manifest: the baseline's plain prompt of tasks that were not trained."""
STARTED: Final = "startTime"
"""Key of a manifest: when the run's first Job was made."""
PROMPTS: Final[dict[Task, str]] = {"entities": "entity_prompt", "relations": "relation_prompt"}
EXAMPLES: Final[dict[Task, str]] = {"entities": "entity_examples", "relations": "relation_examples"}
Told = tuple[dict[str, Value], list[str]]
"""Properties of a TrainingLog, and its lines."""
GOES: Final = frozenset({Step.WATCH, Step.TAKE_OVER, Step.RECORD_FAILURE})


def wanted(observed: Observed, plan: Plan, status: DomainTrainingStatus) -> Wanted:
    """What the domain of a resource and the logs of its runs should hold.

    Args:
        observed: what the reconcile saw last.
        plan: what it decided.
        status: what it projected.
    """
    resource = observed.resource
    domain = domain_of(resource.name, resource.spec.domain)
    logs = _logs(observed, plan, status, domain)
    served = promoted_served(observed)
    training = bool(logs) and logs[-1].properties["status"] == "training"
    properties: dict[str, Value] = {
        "status": _domain_status(status, served=served is not None, training=training),
        "deletion_policy": resource.spec.graph.deletion_policy,
    }
    if resource.spec.description:
        properties["description"] = resource.spec.description
    model, note = _model(resource, served)
    if model:
        properties["llm_model"] = model
    if served is not None:
        properties |= _served_properties(served)
    return Wanted(
        domain=domain,
        owner=Owner(resource.namespace, resource.name, resource.uid, resource.created),
        rank=_rank(observed),
        properties=properties,
        created=_empty(domain, resource),
        logs=logs,
        adopted=_has_adopted(observed),
        note=note,
    )


def _has_adopted(observed: Observed) -> bool:
    """Whether a run ended before the resource was made: then it was restored."""
    made = _moment(observed.resource.created)
    ended = [_moment(completion_time(one)) for one in observed.trained]
    return made is not None and any(one is not None and one < made for one in ended)


def log_id(domain: str, resource: Resource, run: int) -> str:
    """Id of the TrainingLog of a run: the same after a restart, and for a resource that was restored."""
    return str(uuid.uuid5(IDS, f"{domain}/{resource.namespace}/{resource.name}/{run}"))


def _model(resource: Resource, served: Revision | None) -> tuple[str, str]:
    """The domain's `llm_model`, empty where it stays as it is, and what is to be said of it.

    It is that of the served prompts, which is not spec's where a run compared models and chose another. Where
    spec names none it is never written: the next run would take it for what a person asked for.
    """
    named = resource.spec.model.name
    if served is None or not (named or resource.spec.compare_with):
        return named or "", ""
    asked = {task: _model_named(served, task) for task in trained_tasks(served)}
    models = set(asked.values())
    if not (models and all(models)):
        return "", "llm_model is left as it is: the prompts name no model as `ollama pull` takes it"
    if named and len(models) == 1:
        return models.pop(), ""
    why = "left as it is" if named else "not written without spec.model.name"
    words = ", ".join(f"{model} ({task})" for task, model in asked.items())
    return "", f"llm_model is {why}: the prompts are for {words}"


def _model_named(served: Revision, task: Task) -> str:
    try:
        return MODEL.validate_python(model_named(served, task))
    except ValidationError:
        return ""


def _empty(domain: str, resource: Resource) -> dict[str, Value]:
    """A domain that is made: readers find lists and counts in it before the first prompt is there."""
    return {
        "id": str(uuid.uuid5(IDS, domain)),
        "description": resource.spec.description or "",
        "entity_examples": "[]",
        "relation_examples": "[]",
        "training_metrics": "{}",
        "training_samples": 0,
    }


def _domain_status(status: DomainTrainingStatus, *, served: bool, training: bool) -> str:
    """Whoever reads domains takes those that are ready: one that is served stays so while it is trained."""
    if served:
        return "ready"
    if training:
        return "training"
    stalled = any(one.type == "Stalled" and one.status == "True" for one in status.conditions)
    return "failed" if stalled else "pending"


def _served_properties(served: Revision) -> dict[str, Value]:
    properties: dict[str, Value] = {"training_metrics": _json(metrics_of(served))}
    for task in TASKS:
        prompt = served.data.get(f"{task}.prompt.txt") or _untrained(served, task)
        if prompt:
            properties[PROMPTS[task]] = for_format(prompt)
        properties[EXAMPLES[task]] = demos_json(served.data.get(f"{task}.messages.json", ""), task)
    samples = part_of(served.manifest, "dataset").get("samples")
    if isinstance(samples, int):
        properties["training_samples"] = samples
    if (ended := _moment(completion_time(served))) is not None:
        properties["trained_at"] = ended
    return properties


def _untrained(served: Revision, task: Task) -> str:
    said = part_of(served.manifest, UNTRAINED).get(task)
    return encodable(said) if isinstance(said, str) else ""


def _rank(observed: Observed) -> int:
    """Run and attempt as one number; a run that ended is further than all its attempts."""
    record, trained = observed.record, observed.trained
    last = max(record.run.number if record else 0, trained[-1].number if trained else 0)
    ended = any(one.number == last for one in trained)
    attempt = record.attempt.number if record and record.run.number == last else 0
    return 2 * ENDED * last + (ENDED if ended else min(attempt, ENDED - 1))


def _logs(observed: Observed, plan: Plan, status: DomainTrainingStatus, domain: str) -> tuple[Log, ...]:
    """Of every run: kept as a revision, going, or only in the history."""
    resource, record = observed.resource, observed.record
    found = {one.number: _remembered(one) for one in status.history}
    if record is not None:
        found[record.run.number] = _going(observed, record, plan, status)
    found |= {one.number: _ended(observed, one) for one in observed.trained}
    return tuple(
        Log(log_id(domain, resource, number), {"run": number, **properties}, tuple(lines))
        for number, (properties, lines) in sorted(found.items())
    )


def _remembered(entry: HistoryEntry) -> Told:
    """A run of which only the history tells."""
    error = None
    if entry.reason != Reason.PROMOTED:
        row = REASONS.get(Reason(entry.reason)) if entry.reason in set(Reason) else None
        error = f"{entry.reason}: {row.meaning}" if row else entry.reason
    status = "failed" if error else "ready"
    ended = _moment(entry.completion_time)
    return {"status": status, "completed_at": ended, "error_message": error}, []


def _ended(observed: Observed, revision: Revision) -> Told:
    """A run that ended with a result, promoted or rejected."""
    metrics, completed = metrics_of(revision), completion_time(revision)
    error = None
    if not revision.promoted:
        reason, words = rejection(judgement(observed, revision))
        error = f"{reason}: {words}" if words else str(reason)
    properties: dict[str, Value] = {
        "status": "ready" if revision.promoted else "failed",
        "completed_at": _moment(completed),
        "current_step": "saving",
        "progress_percent": 100,
        "metrics": _json(metrics),
        "error_message": error,
    }
    manifest = revision.manifest
    started = manifest.get(STARTED)
    lines = [
        f"run {revision.number} started at {started}" if isinstance(started, str) else "",
        _counts(part_of(manifest, "dataset")),
        _scores("baseline F1", metrics, of_baseline=True),
        _scores(f"run {revision.number} ended at {completed}, F1", metrics, of_baseline=False),
    ]
    if isinstance(started, str) and (began := _moment(started)) is not None:
        properties["started_at"] = began
    return properties, [one for one in lines if one]


def _going(observed: Observed, record: RunRecord, plan: Plan, status: DomainTrainingStatus) -> Told:
    """A run without a result: it goes, waits, or failed."""
    failure, progress = record.attempt.failure, status.progress
    baseline = observed.report.report.baseline if observed.report.report else None
    properties: dict[str, Value] = {
        "status": _going_status(observed, record, plan),
        "started_at": _moment(record.attempt.start_time),
        "completed_at": None,
        "current_step": progress.step if progress else "initializing",
        "progress_percent": progress.percent if progress else 0,
        "metrics": _json(baseline or Metrics()),
        "error_message": f"{failure.reason}: {failure.message}" if failure else None,
    }
    began = f"run {record.run.number} started at {record.attempt.start_time}"
    lines = [began, _counts(wire(status.dataset) if status.dataset else {})]
    lines += [_scores("baseline F1", baseline, of_baseline=True)] if baseline else []
    history = {one.number: one for one in status.history}
    if record.run.number in history:
        properties |= _remembered(history[record.run.number])[0]
    if failure is not None:
        number, at = record.attempt.number, record.attempt.failed_time
        lines.append(f"attempt {number} failed at {at}: {failure.reason}: {failure.message}")
    return properties, [one for one in lines if one]


def _going_status(observed: Observed, record: RunRecord, plan: Plan) -> str:
    failure, job = record.attempt.failure, observed.job
    if open_run(observed) is None:
        return "failed"
    if failure is not None and plan.step is Step.WAIT:
        return "pending" if REASONS[failure.reason].passes else "failed"
    held = job is not None and job.suspended
    reported = observed.report.report is not None or (job is not None and job.started)
    return "training" if plan.step in GOES and reported and not held else "pending"


def _counts(said: dict[str, Any]) -> str:
    try:
        data = DatasetStatus.model_validate(said)
    except ValueError:
        return ""
    parts = f"{data.train} train, {data.validation} validation, {data.test} held-out"
    return f"{data.samples} samples: {parts}" if data.samples else ""


def _scores(what: str, metrics: Metrics, *, of_baseline: bool) -> str:
    said = []
    for task in TASKS:
        measured = getattr(metrics, task)
        score = measured.baseline if measured and of_baseline else measured
        if score is not None and score.f1 is not None:
            said.append(f"{task} {score.f1:.3f}")
    if not said:
        return "" if of_baseline else f"{what} not measured"
    return f"{what} {', '.join(said)}"


def _json(metrics: Metrics) -> str:
    return json.dumps(wire(metrics), ensure_ascii=False, sort_keys=True)


def _moment(text: str | None) -> datetime | None:
    return moment(text) if text else None
