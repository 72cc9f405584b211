"""The part of the spec that says what a run may cost; none of it starts a new run."""

import re
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel, WireModel
from domaintraining.api.rules import DURATION, checked, rule
from domaintraining.api.scalars import Count, Seconds, Short

UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

GoDuration = Annotated[
    str,
    StringConstraints(min_length=1, max_length=48, pattern=DURATION),
    checked(
        rule(
            f"self.matches(r'{DURATION}') && duration(self) >= duration('1s')"
            " && duration(self) <= duration('8760h')",
            "must be a duration from 1s to 8760h, such as 90m or 2h30m",
        )
    ),
]


class Budget(ApiModel):
    """What a run may cost; at its end the best so far is evaluated and kept, and a larger one goes on."""

    max_duration: GoDuration | None = None
    """Running time of the trainer, over all attempts (no limit)."""
    max_model_calls: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Calls that the model server answers; those that the journal answers cost nothing (no limit)."""


class Limits(WireModel):
    """A budget as the trainer gets it; an absent limit is none."""

    seconds: Seconds | None = None
    """Running time of the trainer."""
    calls: Count | None = None
    """Calls that the model server answers."""


class SpentOn(WireModel):
    """What one of the compared models has cost, over all attempts."""

    name: Short
    """Model."""
    seconds: Seconds = 0.0
    """Running time of the trainer."""
    calls: Count = 0
    """Calls that were answered for it."""


class Spent(WireModel):
    """What a run has cost, over all attempts."""

    seconds: Seconds = 0.0
    """Running time of the trainer."""
    calls: Count = 0
    """Calls that the model server answered."""
    models: Annotated[list[SpentOn], Field(max_length=16)] | None = None
    """What of it was for each compared model; None: there is one."""


def limits_of(budget: Budget) -> Limits:
    """A budget of the spec as limits."""
    longest = budget.max_duration
    return Limits(seconds=None if longest is None else seconds_of(longest), calls=budget.max_model_calls)


def seconds_of(duration: str) -> float:
    """Seconds of a Go duration such as `1h30m`, as the API server took it."""
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", duration)
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)
