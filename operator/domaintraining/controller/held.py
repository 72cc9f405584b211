"""A Job whose pod does not come to run: how long it keeps its place on the model server. Pure."""

from datetime import timedelta
from typing import Final

from domaintraining.controller.attempt import Attempt
from domaintraining.controller.observed import JobState, Observed

HELD_FOR: Final = timedelta(minutes=15)
"""Long enough for a large image, a volume that moves, or a new node."""


def is_held(observed: Observed) -> bool:
    """Whether the attempt's pod could run and does not, and its status says what is wrong."""
    job = observed.job
    return job is not None and job.active and job.held_since is not None and job.trouble is not None


def held_too_long(observed: Observed, job: JobState, attempt: Attempt) -> bool:
    """Whether a Job without a pod that runs is given up: others wait for its place on the model server.

    At once where what keeps it may have been changed: a Job keeps the pod that it was made with.
    """
    if job.held_since is None or not job.active:
        return False
    preflight = observed.preflight
    changed = preflight is not None and preflight.settings_digest != attempt.settings_digest
    return (changed and is_held(observed)) or observed.now - job.held_since >= HELD_FOR
