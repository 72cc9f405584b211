"""When a resource is looked at again without an event: what is not watched is polled. Pure."""

from typing import Final

from domaintraining.api.reasons import REASONS
from domaintraining.controller.decide import Step, next_attempt_time
from domaintraining.controller.observed import Observed
from domaintraining.controller.places import FRONT
from domaintraining.controller.project import Outcome

LOOK_AGAIN: Final = 30.0
PODLESS_LOOK: Final = 5.0
"""Nothing that is watched changes when a Job's pod is refused, nor when a quota is raised."""
PULL_LOOK: Final = 2.0
SERVER_LOOK: Final = 10.0
"""A server that is down is asked this often by those whose turn it is, and by all that were passed over."""


def next_look(observed: Observed, outcome: Outcome, askers: int) -> float | None:
    """Seconds until the next look; None: only when something happens.

    Args:
        observed: what the reconcile saw last.
        outcome: what came of it.
        askers: among how many it shares the questions to servers that are down.
    """
    problem, step = outcome.problem, outcome.plan.step
    if problem is not None:
        if problem.reason == "ModelPulling":
            return PULL_LOOK
        return SERVER_LOOK * askers if REASONS[problem.reason].passes else LOOK_AGAIN
    if step is Step.WAIT and observed.record is not None:
        due = next_attempt_time(observed.record)
        left = (due - observed.now).total_seconds() if due else LOOK_AGAIN
        return max(1.0, min(left, LOOK_AGAIN))
    if step is Step.SUPERSEDE:
        return 0.0
    if observed.job is not None and observed.job.podless and observed.job.held_since is not None:
        return PODLESS_LOOK
    held = is_far(observed) or (observed.job is not None and observed.job.suspended)
    return None if held or step in (Step.REST, Step.SUSPEND) else LOOK_AGAIN


def is_far(observed: Observed) -> bool:
    """Whether it waits so far back that only a resync looks at it."""
    return observed.place is not None and observed.place.position > FRONT
