"""The checks between two runs: begun, launched, watched, tried again and concluded. Pure decisions."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from domaintraining.api.drift import Finding
from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.report import Failure
from domaintraining.api.scalars import rfc3339
from domaintraining.controller.attempt import pause
from domaintraining.controller.checks import Checks, Concluded, OpenCheck, World
from domaintraining.controller.diagnose import failure_of_job
from domaintraining.controller.drift import (
    Change,
    Seen,
    before,
    changed,
    due,
    highest_run,
    is_about,
    is_looked_at,
    is_other_world,
    left_of,
    policies,
    serving,
    spread,
)
from domaintraining.controller.findings import concluded_by, no_numbers, published, told_of
from domaintraining.controller.held import HELD_FOR
from domaintraining.controller.observed import Observed
from domaintraining.errors import DomainTrainingError


class Move(Enum):
    """The one thing that is done next about checks."""

    REST = "rest"
    """Nothing, until it is time to look again."""
    WRITE = "write"
    """The record changes."""
    LAUNCH = "launch"
    """The open check gets its Job."""
    WATCH = "watch"
    """Its Job goes on."""
    TIDY = "tidy"
    """What a check left is removed."""


@dataclass(frozen=True)
class CheckPlan:
    """What one reconcile does about checks."""

    move: Move
    checks: Checks | None = None
    """The record to write."""
    seconds: float | None = None
    """Seconds after which to look again even if nothing happens."""


def plan_check(observed: Observed, seen: Seen, period: float, *, resting: bool) -> CheckPlan:
    """What to do next about checks.

    Args:
        observed: what the reconcile saw.
        seen: data and model as they are now.
        period: seconds between two looks at data that a trainer alone sees.
        resting: whether no run goes on or is to start.
    """
    state = observed.check
    checks, current = state.checks, state.checks.current
    if not resting or not is_looked_at(observed.resource):
        if current is not None:
            return CheckPlan(Move.WRITE, checks.model_copy(update={"current": None}))
        return CheckPlan(Move.TIDY if state.left else Move.REST)
    if current is None:
        if state.left:
            return CheckPlan(Move.TIDY)
        return _look(observed, seen, period)
    if _is_outdated(observed, current, seen):
        return CheckPlan(Move.WRITE, checks.model_copy(update={"current": None}))
    return _go_on(observed, current, period)


def _is_outdated(observed: Observed, check: OpenCheck, seen: Seen) -> bool:
    """Whether it is about a world that is no more; what its Job has begun to measure, it ends."""
    if not is_about(check, observed):
        return True
    if observed.check.job is not None or observed.check.found is not None:
        return False
    return is_other_world(seen, check.world)


def _look(observed: Observed, seen: Seen, period: float) -> CheckPlan:
    """Begin a check where something changed or it is time; what needs no measuring is concluded at once."""
    change = changed(observed, seen)
    if change.wants_run or (change.measure and not published(observed)):
        return _conclude_unread(observed, seen, change)
    if change.measure:
        return _open(observed, seen, change)
    left = due(observed, seen, period)
    if left is None or left > 0:
        return CheckPlan(Move.REST, seconds=left)
    return _open(observed, seen, Change())


def _open(observed: Observed, seen: Seen, change: Change) -> CheckPlan:
    checks, number = observed.check.checks, observed.check.next_number
    current = OpenCheck(
        number=number,
        hash=observed.resource.hash,
        after=highest_run(observed),
        served=serving(observed),
        since=rfc3339(observed.now),
        world=World(data=seen.data, model=seen.model, other_model=seen.other_model),
        data_changed=change.data,
        model_changed=change.model,
        measure=change.measure,
    )
    return CheckPlan(Move.WRITE, checks.model_copy(update={"last": number, "current": current}))


def _conclude_unread(observed: Observed, seen: Seen, change: Change) -> CheckPlan:
    """What is found without a trainer: a run is wanted anyway, or there is nothing to compare with."""
    finding: Finding = "Changed" if change.wants_run else "NotMeasured"
    was = before(observed)
    found = Concluded(
        hash=observed.resource.hash,
        after=highest_run(observed),
        served=serving(observed),
        time=rfc3339(observed.now),
        # what was not looked at stays as it was known
        world=World(
            data=seen.data or was.data,
            dataset="" if change.data else was.dataset,
            version="" if change.data else was.version,
            model=seen.model or was.model,
            other_model=seen.other_model or was.other_model,
        ),
        before=was,
        data=finding if change.data else None,
        model=finding if change.model else None,
        message="" if change.wants_run else told_of(observed, no_numbers()),
    )
    return CheckPlan(Move.WRITE, observed.check.checks.model_copy(update={"concluded": found}))


def _go_on(observed: Observed, check: OpenCheck, period: float) -> CheckPlan:
    """Conclude, retry, watch or launch the check that is open."""
    state, (on_data, _) = observed.check, policies(observed.resource)
    checks = state.checks
    if state.found is not None:
        if state.found.changed and not check.measure and on_data == "OnLoss" and published(observed):
            return _replace(observed, check, data_changed=True, measure=True)
        found = concluded_by(observed, check, before(observed), state.found, on_data)
        return CheckPlan(Move.WRITE, checks.model_copy(update={"current": None, "concluded": found}))
    failure = _failure(observed)
    if failure is not None:
        failures, now = check.failures + 1, rfc3339(observed.now)
        return _replace(observed, check, failures=failures, failure=failure, failed_time=now)
    if state.job is not None:
        return CheckPlan(Move.WATCH)
    left = _pause_left(observed, check, period)
    if state.left:
        return CheckPlan(Move.TIDY, seconds=left)
    return CheckPlan(Move.REST, seconds=left) if left > 0 else CheckPlan(Move.LAUNCH)


def launch_failed(observed: Observed, error: DomainTrainingError) -> CheckPlan:
    """What the API server, or a list of the operator's, refuses is written down as a failed Job is."""
    check = observed.check.checks.current
    assert check is not None, "a check was launched"
    return _replace(
        observed,
        check,
        failures=check.failures + 1,
        failure=Failure(reason=error.reason, message=error.message[:1024]),
        failed_time=rfc3339(observed.now),
    )


def _replace(observed: Observed, check: OpenCheck, **changes: Any) -> CheckPlan:
    """The same check with a Job of another name; its place in the queue stays."""
    checks, number = observed.check.checks, observed.check.next_number
    current = check.model_copy(update={"number": number} | changes)
    return CheckPlan(Move.WRITE, checks.model_copy(update={"last": number, "current": current}))


def _failure(observed: Observed) -> Failure | None:
    """Why the check's Job gives no answer; None: it may."""
    state, job = observed.check, observed.check.job
    if job is None:
        return state.failure
    if state.error:
        return Failure(reason=Reason.RESULT_INVALID, message=f"report of the check: {state.error}"[:1024])
    stuck = job.active and job.held_since is not None and observed.now - job.held_since >= HELD_FOR
    hopeless = job.trouble is not None and not REASONS[job.trouble.reason].passes
    if not (job.over or stuck or hopeless):
        return None
    error = failure_of_job(job)
    return state.failure or Failure(reason=error.reason, message=error.message[:1024])


def _pause_left(observed: Observed, check: OpenCheck, period: float) -> float:
    """Seconds until a check that failed is tried again: what may pass soon, all else like any other look."""
    if check.failure is None or check.failed_time is None:
        return 0.0
    passes = REASONS[check.failure.reason].passes
    wait = pause(check.failures) if passes else period * spread(observed.resource.uid)
    return left_of(wait, check.failed_time, observed.now)
