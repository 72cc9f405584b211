"""What to do next: pure decisions from what one reconcile observed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from domaintraining.api.budget import limits_of
from domaintraining.api.names import ANNOTATION_RETRAIN
from domaintraining.api.reasons import DATASET_REASONS, REASONS, Reason
from domaintraining.api.scalars import RFC3339
from domaintraining.controller.attempt import pause
from domaintraining.controller.drift import drift_wanted
from domaintraining.controller.held import held_too_long
from domaintraining.controller.observed import JobState, Observed, Revision, RunRecord
from domaintraining.controller.promotion import (
    holds,
    last_of_spec,
    lost_part,
    pinned,
    revision_of,
    wanted,
)
from domaintraining.controller.retention import to_forget, to_prune
from domaintraining.controller.revisions import completion_time
from domaintraining.controller.spending import goes_further
from domaintraining.errors import DomainTrainingError


class Step(Enum):
    """The one thing that is done next."""

    REST = "rest"
    """A revision of this spec is there, promoted or rejected."""
    WATCH = "watch"
    """The Job goes on."""
    TAKE_OVER = "take over"
    """The trainer's result is made a revision."""
    RECORD_FAILURE = "record failure"
    """The attempt ended without a result."""
    START = "start"
    """A Job is to start (after the checks)."""
    WAIT = "wait"
    """The attempt failed; the next one waits for its time or for a change."""
    SUSPEND = "suspend"
    """Something is left to do, and nothing is to start."""
    SUPERSEDE = "supersede"
    """The last run ended without a result because another is wanted; status says so before it starts."""


@dataclass(frozen=True)
class Plan:
    """What one reconcile does."""

    step: Step
    run: int = 0
    """Number of the run that the step is about."""
    attempt: int = 0
    """Attempt to start."""
    serve: Revision | None = None
    """Revision that `<name>-prompt` should hold; None: leave as it is."""
    stop: tuple[JobState, ...] = ()
    """Jobs to delete."""
    prune: tuple[Revision, ...] = ()
    """Revisions to delete."""
    forget: tuple[int, ...] = ()
    """Runs of which everything but the revision is deleted."""
    adopt: tuple[Revision, ...] = ()
    """Revisions that a restored resource takes over."""


def decide(observed: Observed) -> Plan:
    """The next step, and what to serve, stop, adopt and prune on the way."""
    step, run, attempt = next_step(observed)
    serve = to_serve(observed)
    return Plan(
        step=step,
        run=run,
        attempt=attempt,
        serve=serve,
        stop=to_stop(observed, run),
        prune=to_prune(observed, serve),
        forget=to_forget(observed),
        adopt=tuple(revision for revision in observed.revisions if not revision.owned),
    )


def next_step(observed: Observed) -> tuple[Step, int, int]:
    """Step, number of the run and number of the attempt."""
    left, suspend = _without_revision(observed), observed.resource.spec.suspend
    if left is not None and observed.report.result is not None and not observed.report.error:
        # also of a spec that has changed meanwhile: it may come back, and a result cost its calls
        return Step.TAKE_OVER, left.run.number, left.attempt.number
    record = open_run(observed)
    if record is not None:
        step, run, attempt = _go_on(observed, record)
        if suspend and step in (Step.START, Step.WAIT):
            return Step.SUSPEND, run, record.attempt.number
        return (Step.RECORD_FAILURE if suspend and step is Step.WATCH else step), run, attempt
    if superseded(observed) and not _told(observed):
        return Step.SUPERSEDE, 0, 0
    settled = revision_of(observed, observed.resource.hash)
    again = retrain_wanted(observed) or budget_grew(observed) or drift_wanted(observed)
    if settled is not None and (suspend or not again):
        return Step.REST, settled.number, 0
    return Step.SUSPEND if suspend else Step.START, next_number(observed), 1


def pin_problem(observed: Observed) -> DomainTrainingError | None:
    """What is wrong with spec.pinRevision: the revision is not kept, or not whole."""
    number, found = observed.resource.spec.pin_revision, pinned(observed)
    if number is None:
        return None
    if found is not None:
        served = observed.served is not None and observed.served.number == number
        lost = "" if served else lost_part(observed, found)
        words = f"spec.pinRevision is {number}; {lost}"
        return DomainTrainingError(Reason.REVISION_NOT_FOUND, words) if lost else None
    kept = ", ".join(str(one.number) for one in observed.trained) or "none"
    return DomainTrainingError(
        Reason.REVISION_NOT_FOUND,
        f"spec.pinRevision is {number}, and the revisions that are kept are: {kept}",
    )


def lost_problem(observed: Observed) -> DomainTrainingError | None:
    """What keeps the promoted revision of this spec from being served: somebody deleted a part of it."""
    found, served = revision_of(observed, observed.resource.hash), observed.served
    if found is None or not found.promoted or (served is not None and served.number == found.number):
        return None
    lost = lost_part(observed, found)
    words = f"revision {found.number} can't be served: {lost}; {ANNOTATION_RETRAIN} makes a run"
    return DomainTrainingError(Reason.REVISION_NOT_FOUND, words) if lost else None


def suspended(observed: Observed) -> bool:
    """Whether the attempt ends because spec.suspend says so, and not by itself."""
    job = observed.job
    return observed.resource.spec.suspend and job is not None and not job.over and not _hopeless(job)


def budget_grew(observed: Observed) -> bool:
    """Whether the last run of this spec was ended by its budget, and today's goes further.

    A revision never changes: what goes on is a run with the next number, and the journal answers what the
    last one asked.
    """
    last = last_of_spec(observed)
    return last is not None and goes_further(last.manifest, limits_of(observed.resource.spec.budget))


def open_run(observed: Observed) -> RunRecord | None:
    """The last run, where it is this spec's and has no revision yet."""
    record = _without_revision(observed)
    if record is None or record.run.hash != observed.resource.hash:
        return None
    return record if not retrain_wanted(observed) else None


def superseded(observed: Observed) -> bool:
    """Whether the last run has no revision and will have none: another spec or another run is wanted."""
    record = _without_revision(observed)
    last = record is not None and all(one.number < record.run.number for one in observed.trained)
    return last and open_run(observed) is None


def _without_revision(observed: Observed) -> RunRecord | None:
    record = observed.record
    if record is None or any(revision.number == record.run.number for revision in observed.trained):
        return None
    return record


def _told(observed: Observed) -> bool:
    """Whether status names the last run as superseded, or a later one."""
    history = observed.resource.status.history
    number = observed.record.run.number if observed.record else 0
    return any(
        one.number > number or (one.number == number and one.reason == Reason.SUPERSEDED) for one in history
    )


def _go_on(observed: Observed, record: RunRecord) -> tuple[Step, int, int]:
    number, attempt = record.run.number, record.attempt
    if attempt.failure is not None:
        again = may_try_again(observed, record)
        return (Step.START, number, attempt.number + 1) if again else (Step.WAIT, number, attempt.number)
    job, report = observed.job, observed.report.report
    if job is None:
        # a Job may be gone before it was seen to fail; its trainer's words are still there
        failed = report is not None and report.failure is not None
        return Step.RECORD_FAILURE if failed else Step.START, number, attempt.number
    if not job.over and not _hopeless(job) and not held_too_long(observed, job, attempt):
        return Step.WATCH, number, attempt.number
    return Step.RECORD_FAILURE, number, attempt.number


def _hopeless(job: JobState) -> bool:
    return job.trouble is not None and not REASONS[job.trouble.reason].passes


def may_try_again(observed: Observed, record: RunRecord) -> bool:
    """Whether the next attempt may start: its time has come, or what the last one depended on has changed."""
    attempt, preflight = record.attempt, observed.preflight
    if attempt.failure is None:
        return False
    if attempt.failure.reason is Reason.SUSPENDED:
        return True
    due = next_attempt_time(record)
    if due is not None and observed.now >= due:
        return True
    if preflight is None:
        return False
    data = preflight.data_digest != attempt.data_digest and preflight.data_problem is None
    return data or preflight.settings_digest != attempt.settings_digest


def next_attempt_time(record: RunRecord) -> datetime | None:
    """When a failure that may pass is tried again; None: only after a change.

    What a volume's files or a server hold is seen by a trainer alone: wrong data are looked at again there.
    """
    attempt = record.attempt
    if attempt.failure is None or attempt.failed_time is None:
        return None
    reason = attempt.failure.reason
    data = record.run.data
    unseen = reason in DATASET_REASONS and (data.claim or data.remote.given())
    if not REASONS[reason].passes and not unseen:
        return None
    return datetime.fromisoformat(attempt.failed_time) + timedelta(seconds=pause(attempt.number))


def retrain_wanted(observed: Observed) -> bool:
    """Whether the annotation asks for a run later than any that was started for it.

    Of a resource that was restored, only its revisions tell.
    """
    wanted = moment(observed.resource.retrain_requested)
    if wanted is None:
        return False
    handled = [observed.resource.status.last_handled_retrain_time or ""]
    handled += [observed.record.attempt.retrain] if observed.record else []
    handled += [str(revision.manifest.get("retrain", "")) for revision in observed.trained]
    return all(wanted > done for text in handled if (done := moment(text)) is not None)


def moment(text: str) -> datetime | None:
    """A time as status may hold it, of RFC 3339; None where the text is none."""
    try:
        return datetime.fromisoformat(text) if RFC3339.fullmatch(text) else None
    except ValueError:
        return None


def next_number(observed: Observed) -> int:
    """One more than the highest number that anything of this resource bears."""
    numbers = [revision.number for revision in observed.revisions] + [job.run for job in observed.jobs]
    numbers += [*observed.runs, *([observed.record.run.number] if observed.record else [])]
    numbers += [observed.resource.status.run.number] if observed.resource.status.run else []
    return max(numbers, default=0) + 1


def to_serve(observed: Observed) -> Revision | None:
    """What `<name>-prompt` should hold, if it holds something else; None: leave what is served."""
    found, served = wanted(observed), observed.served
    if found is None and served is not None and not served.owned:
        return served  # of a resource that was restored
    if found is None or served is None or not served.owned or not holds(served, found):
        return found
    return None if (served.number, served.hash) == (found.number, found.hash) else found


def to_stop(observed: Observed, run: int) -> tuple[JobState, ...]:
    """Jobs of other runs without a result than the one that goes on, and those whose attempt was given up.

    A Job whose result was taken over ends by itself; one whose revision was restored meanwhile does not.
    """
    record = observed.record
    failed = record is not None and record.attempt.failure is not None
    over = {revision.number for revision in observed.trained}
    if record is not None and _restored_meanwhile(observed, record):
        over, run = over - {record.run.number}, 0
    return tuple(
        job
        for job in observed.jobs
        if job.owned and job.active and job.run not in over and (job.run != run or failed)
    )


def _restored_meanwhile(observed: Observed, record: RunRecord) -> bool:
    """Whether the last run's revision is of a run that had ended before this one began."""
    began = moment(record.attempt.start_time)
    kept = (one for one in observed.trained if one.number == record.run.number)
    ended = [moment(completion_time(one) or "") for one in kept]
    return began is not None and any(end is not None and end < began for end in ended)
