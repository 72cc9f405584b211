"""What status tells of runs and of the prompt that they led to."""

from typing import Annotated

from pydantic import Field, StringConstraints

from domaintraining.api.base import WireModel
from domaintraining.api.scalars import Count, Message, Short, Time


class TaskPromptStatus(WireModel):
    """The prompt of one task."""

    instruction: Annotated[str, StringConstraints(max_length=2048)] = ""
    """The instruction, cut at 2,048 characters."""
    model: Short = ""
    """Model that the prompt is for, as its request.json names it."""
    demos: Count = 0
    """Number of demos."""


class PromptConfig(WireModel):
    """The served prompt."""

    config_map: Short
    """ConfigMap that applications mount."""
    revision: Count
    """Number of the run it came from."""
    digest: Short
    """SHA-256 of the ConfigMap's data."""
    entities: TaskPromptStatus | None = None
    """Prompt for entities."""
    relations: TaskPromptStatus | None = None
    """Prompt for relations."""


class ReusedFrom(WireModel):
    """Whose revision a run was made from."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """DomainTraining of the same namespace."""
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Number of its revision."""


class RunStatus(WireModel):
    """The current or last run."""

    number: Count
    """Number, from 1."""
    hash: Short
    """Hash of what started it."""
    job: Short = ""
    """Job of the last attempt."""
    image: Annotated[str, StringConstraints(max_length=512)] = ""
    """Image of the trainer."""
    start_time: Time | None = None
    """When the first Job was made."""
    completion_time: Time | None = None
    """When the result was taken over."""
    attempts: Count = 0
    """Jobs made for this run."""
    journal: Message = ""
    """Where the model's answers are kept: the claim, or that they live as long as the pod."""
    similar: Message = ""
    """How many similar domains were considered and tried, and whether the prompt of one won."""
    reused_from: ReusedFrom | None = None
    """Set where no Job was made: the same run of another resource was taken over."""


class HistoryEntry(WireModel):
    """A run that ended."""

    number: Count
    """Number of the run."""
    completion_time: Time
    """When it ended."""
    entities: Short = ""
    """F1 of entities, baseline first."""
    relations: Short = ""
    """F1 of relations, baseline first."""
    reason: Short
    """Promoted, Rejected or Superseded."""
