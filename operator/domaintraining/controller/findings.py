"""What a check's numbers mean, and what status tells of it. Pure.

A loss is an F1, of any task that is served, below the low end of the confidenceInterval that was published
for its prompt. End-to-end numbers decide nothing; a task without a published interval, such as one that
serves the baseline's prompt, takes no part.
"""

from typing import Final

from domaintraining.api.drift import SHOWN, DriftStatus, Finding, SideDrift, TaskDrift
from domaintraining.api.model import full_name
from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.report import Drift
from domaintraining.api.retrain import OnChange
from domaintraining.api.scalars import rfc3339
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import Metrics, TaskMetrics
from domaintraining.controller.checks import Concluded, OpenCheck, World
from domaintraining.controller.drift import asks_for_run, drift_wanted, served_models
from domaintraining.controller.drift import before as known_before
from domaintraining.controller.observed import Observed
from domaintraining.controller.promotion import promoted_served
from domaintraining.controller.revisions import metrics_of, model_named

NO_NUMBERS: Final = "no served prompt of this spec has a published F1 with an interval to compare with"
UNMEASURED: Final = {
    "NotAsked": "nothing was measured",
    "NothingServed": "no served prompt was there to measure",
    "NoHeldOutData": "the data have too few held-out documents that the served prompt has not seen",
    "Unchanged": "nothing changed",
}


def published(observed: Observed) -> dict[Task, TaskMetrics]:
    """The numbers of what is served, of tasks that have an interval and whose prompt is for a model that is
    watched; empty where another spec's is served.
    """
    away = of_other_models(observed)
    return {task: one for task, one in _with_interval(observed).items() if task not in away}


def of_other_models(observed: Observed) -> dict[Task, str]:
    """The tasks with an interval that a check leaves out, each with the model that its prompt is for.

    After a change of spec.model a task may keep the prompt of before, which was published for the model of
    before: what it is worth on the new one is no loss, and is no news.
    """
    served, watched = promoted_served(observed), {full_name(name) for name in served_models(observed)}
    named = {task: model_named(served, task) for task in _with_interval(observed)} if served else {}
    return {task: name for task, name in named.items() if full_name(name) not in watched}


def _with_interval(observed: Observed) -> dict[Task, TaskMetrics]:
    served = promoted_served(observed)
    if served is None or served.hash != observed.resource.hash:
        return {}
    numbers = metrics_of(served)
    found = {task: one for task in TASKS if (one := _of(numbers, task)) is not None}
    return {task: one for task, one in found.items() if one.f1 is not None and one.confidence_interval}


def _of(metrics: Metrics, task: Task) -> TaskMetrics | None:
    return metrics.entities if task == "entities" else metrics.relations


def compared(measured: Metrics | None, said: dict[Task, TaskMetrics]) -> dict[Task, TaskDrift]:
    """The tasks that were measured again, beside what was published."""
    found = {}
    for task, before in said.items():
        now = _of(measured, task) if measured is not None else None
        interval = before.confidence_interval
        if now is None or now.f1 is None or before.f1 is None or interval is None:
            continue
        found[task] = TaskDrift(
            f1=now.f1, published=before.f1, low=interval.low, high=interval.high, documents=now.documents
        )
    return found


def verdict(tasks: dict[Task, TaskDrift]) -> Finding:
    """Loss, NoLoss, or NotMeasured where no task could be compared."""
    if not tasks:
        return "NotMeasured"
    return "Loss" if any(one.f1 < one.low for one in tasks.values()) else "NoLoss"


def concluded_by(
    observed: Observed, check: OpenCheck, before: World, found: Drift, data: OnChange
) -> Concluded:
    """What a check's report means.

    Args:
        observed: what the reconcile saw.
        check: the check.
        before: what was known before it.
        found: what its trainer reported.
        data: what a change of the data is to lead to.
    """
    said = published(observed)
    tasks = compared(found.metrics, said)
    finding = verdict(tasks)
    changed: Finding = "Changed" if data == "Always" else finding
    why = UNMEASURED.get(found.unmeasured or "", "") if said else NO_NUMBERS
    moved = found.changed or check.model_changed
    return Concluded(
        hash=check.hash,
        after=check.after,
        served=check.served,
        time=rfc3339(observed.now),
        world=_world(check.world, before, found, data),
        before=before,
        data=None if data == "Never" else changed if found.changed else "Unchanged",
        model=finding if check.model_changed else None,
        entities=tasks.get("entities"),
        relations=tasks.get("relations"),
        model_calls=found.model_calls,
        message=told_of(observed, measured_words(tasks) or no_numbers(why)) if moved else "",
    )


def _world(seen: World, before: World, found: Drift, data: OnChange) -> World:
    """What the next look compares with: what a check did not know, or was not to look at, stays as it was."""
    read = data != "Never"
    return World(
        data=seen.data or before.data,
        dataset=found.data_digest if read else before.dataset,
        version=found.data_version if read else before.version,
        model=seen.model or before.model,
        other_model=seen.other_model or before.other_model,
    )


def measured_words(tasks: dict[Task, TaskDrift]) -> str:
    """F1 of each task beside what was published; empty where none was measured."""
    return "; ".join(
        f"{task}: F1 {one.f1:.3f} on {one.documents} held-out documents is "
        + (
            f"below {one.low:.3f}, the low end"
            if one.f1 < one.low
            else f"not below {one.low:.3f}, the low end"
        )
        + f" of the interval published with {one.published:.3f}"
        for task, one in tasks.items()
    )


def no_numbers(why: str = NO_NUMBERS) -> str:
    """Why nothing was measured, and what to do."""
    return f"{why}. {REASONS[Reason.NOT_MEASURED].remedy}"


def told_of(observed: Observed, words: str) -> str:
    """What was found, and which prompts took no part as they are for another model."""
    away = (
        f"the prompt for {task} is not measured: it is for {name or 'no model'}, which this spec does not ask"
        for task, name in of_other_models(observed).items()
    )
    return "; ".join((*away, words))[:1024]


def drift_status(observed: Observed) -> DriftStatus | None:
    """What status tells: the check that goes on, else the last one; None: nothing was ever looked at."""
    checks = observed.check.checks
    told = observed.resource.status.drift
    if checks.concluded is not None:
        told = _told(observed, checks.concluded)
    return _with_open(told, checks.current, known_before(observed)) if checks.current is not None else told


def _told(observed: Observed, concluded: Concluded) -> DriftStatus:
    run, words = _run(observed, concluded)
    message = "; ".join(filter(None, (concluded.message, words)))
    was, now = concluded.before, concluded.world
    read = bool(was.dataset and now.dataset)
    data = (was.dataset, now.dataset) if read else (was.data, now.data)
    return DriftStatus(
        data=_side(concluded.time, *data, concluded.data) if concluded.data else None,
        model=_model_side(concluded.time, was, now, concluded.model) if concluded.model else None,
        entities=concluded.entities,
        relations=concluded.relations,
        model_calls=concluded.model_calls,
        run=run,
        message=message[:1024],
    )


def _run(observed: Observed, concluded: Concluded) -> tuple[int | None, str]:
    """The run that a finding led to, or leads to, and the words for it; none where nobody asks for it.

    A later run of another spec was started for that.
    """
    run = concluded.after + 1
    if asks_for_run(concluded, observed.resource) and _hash_of(observed, run) == concluded.hash:
        return run, f"run {run} was started for it"
    if drift_wanted(observed):
        return run, f"run {run} follows, and what is served stays served until it ends"
    return None, ""


def _hash_of(observed: Observed, run: int) -> str:
    """Hash of a run's spec; empty where nothing of it is left."""
    record, hashes = observed.record, {one.number: one.hash for one in observed.trained}
    if record is not None:
        hashes[record.run.number] = record.run.hash
    return hashes.get(run, "")


def _side(time: str, before: str, now: str, finding: Finding) -> SideDrift:
    return SideDrift(checked_time=time, before=before[:SHOWN], now=now[:SHOWN], finding=finding)


def _model_side(time: str, before: World, now: World, finding: Finding) -> SideDrift:
    """The same of one model or two."""
    was, there = (
        ", ".join(one[:SHOWN] for one in (world.model, world.other_model) if one) for world in (before, now)
    )
    return SideDrift(checked_time=time, before=was, now=there, finding=finding)


def _with_open(told: DriftStatus | None, check: OpenCheck, was: World) -> DriftStatus:
    """The same while a check goes on: its side says so, or why it failed; the other stays."""
    finding: Finding = "Checking"
    message = "the served prompt is measured with what changed" if check.measure else "the data are looked at"
    time = check.since
    if check.failure is not None:
        reason = Reason(check.failure.reason)
        finding, time = "CheckFailed", check.failed_time or check.since
        message = f"{check.failure.message}. {REASONS[reason].remedy}"
    told = told or DriftStatus()
    changes: dict[str, object] = {"message": message[:1024]}
    if check.data_changed or not check.model_changed:
        changes["data"] = _side(time, was.data, check.world.data, finding)
    if check.model_changed:
        changes["model"] = _model_side(time, was, check.world, finding)
    return told.model_copy(update=changes)
