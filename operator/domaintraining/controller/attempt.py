"""The record of an attempt: kept in the run ConfigMap, so that nothing is known by memory alone."""

from typing import Annotated, Final

from pydantic import Field

from domaintraining.api.base import WireModel
from domaintraining.api.budget import Spent
from domaintraining.api.report import Failure
from domaintraining.api.scalars import Time

ATTEMPT_KEY: Final = "attempt.json"
"""Key of the run ConfigMap."""
FIRST_PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 1800.0


class Attempt(WireModel):
    """The last attempt at a run and what it depended on."""

    number: Annotated[int, Field(ge=1)]
    """From 1; each has a Job of its own."""
    data_digest: str = ""
    """Digest of the data when it started."""
    settings_digest: str = ""
    """Digest of the job, model server and operator settings it started with."""
    retrain: str = ""
    """Retrain annotation that the run acted on."""
    start_time: Time
    """When the first attempt of the run started."""
    spent: Spent = Spent()
    """What the run had cost when the attempt started, or ended."""
    failure: Failure | None = None
    """Why it ended without a result."""
    failed_time: Time | None = None
    """When that was seen."""


def pause(attempt: int) -> float:
    """Seconds from the end of an attempt (from 1) to the next: 30 s, doubled each time, at most 30 min."""
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 16), LONGEST_PAUSE)
