"""The part of the spec that says when a run's prompts are served; none of it starts a run."""

from typing import Annotated, Literal

from pydantic import Field

from domaintraining.api.base import ApiModel

Require = Literal["NotWorse", "Improved", "Any"]
LeastF1 = Annotated[float, Field(ge=0, le=1)]


class TaskAcceptance(ApiModel):
    """What one task's prompt has to reach; an absent field is that of acceptance itself."""

    require: Require | None = None
    """As acceptance.require (the same as there)."""
    min_f1: LeastF1 | None = None
    """As acceptance.minF1 (the same as there)."""
    min_improvement: LeastF1 | None = None
    """As acceptance.minImprovement (the same as there)."""


class Acceptance(ApiModel):
    """What a task's prompt has to reach on the held-out documents to be served."""

    require: Require = "NotWorse"
    """NotWorse: the interval of the paired difference to the prompt served, else to the baseline, is not all
    below 0; Improved: it is all above 0; Any: whatever it is. Without held-out documents NotWorse and Any
    pass."""
    min_f1: LeastF1 | None = None
    """F1 on the held-out documents that it must reach."""
    min_improvement: LeastF1 | None = None
    """Improvement of F1 that it must reach, 0.02 for two points."""
    matching: Literal["semantic"] | None = None
    """semantic: judged by the numbers with names compared by their embeddings, for which metric.matching is
    semantic (by those that prompts are chosen by)."""
    entities: TaskAcceptance | None = None
    """What differs for the entity prompt."""
    relations: TaskAcceptance | None = None
    """What differs for the relation prompt."""
