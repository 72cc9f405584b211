"""What status tells of changes under a served prompt: of its data, and of its model on the server."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import WireModel
from domaintraining.api.scalars import Count, Message, Ratio, Time

Finding = Literal["Unchanged", "Checking", "NoLoss", "Loss", "Changed", "NotMeasured", "CheckFailed"]
"""Reasons of the table of reasons."""
SHOWN: int = 12
"""Hex digits of a digest that status shows."""
Shown = Annotated[str, StringConstraints(max_length=64)]


class SideDrift(WireModel):
    """The data, or the model, as it was looked at last."""

    checked_time: Time
    """When it was found."""
    before: Shown = ""
    """Digest that the last run, or the last check without a loss, knew; shortened."""
    now: Shown = ""
    """Digest that was found; shortened."""
    finding: Finding
    """What was found."""


class TaskDrift(WireModel):
    """The served prompt of one task, measured again."""

    f1: Ratio
    """Micro F1 measured by the check."""
    published: Ratio
    """F1 in status.metrics when it was measured."""
    low: Ratio
    """Low end of its confidenceInterval: a loss is an F1 below it."""
    high: Ratio
    """High end."""
    documents: Count = 0
    """Held-out documents that the check measured on."""


class DriftStatus(WireModel):
    """What was found when the data or the model were looked at again."""

    data: SideDrift | None = None
    """The data; absent where nothing was found yet."""
    model: SideDrift | None = None
    """The model on its server; absent where nothing was found yet."""
    entities: TaskDrift | None = None
    """The prompt for entities, where it was measured."""
    relations: TaskDrift | None = None
    """The prompt for relations, where it was measured."""
    model_calls: Count = 0
    """Calls that the model server answered for the last check."""
    run: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Run that it started."""
    message: Message = ""
    """The same for people, and what to do."""
