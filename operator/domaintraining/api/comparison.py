"""The models that a run compares: what the spec names, and what status tells of each."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from domaintraining.api.base import ApiModel, WireModel
from domaintraining.api.model import Endpoint, ModelName
from domaintraining.api.rules import rule
from domaintraining.api.scalars import Count, Message, Ratio, Seconds, Short

MOST: Final = 8
"""Models that a spec may name beside its own."""


class CompareModel(ApiModel):
    """A further Ollama model that the prompts are searched for."""

    name: ModelName
    """Model as `ollama pull` takes it."""
    endpoint: Endpoint | None = None
    """URL of its Ollama server (that of model); others as the operator's list allows."""


CompareWith = Annotated[
    list[CompareModel],
    Field(
        max_length=MOST,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]

OTHER_MODELS: Final[dict[str, Any]] = rule(
    "!has(self.compareWith) || !has(self.model) || !has(self.model.name)"
    " || self.compareWith.all(one, one.name != self.model.name)",
    "compareWith names models beside model.name, which is compared anyway",
)


class Interval(WireModel):
    """A 95 % interval: percentiles of 10,000 seeded resamples of the documents."""

    low: Ratio
    """2.5th percentile."""
    high: Ratio
    """97.5th percentile."""


class ComparedTask(WireModel):
    """What one model reached with the prompt that was found for it."""

    f1: Ratio | None = None
    """Micro F1 over the held-out documents, which chose nothing; absent without them."""
    confidence_interval: Interval | None = None
    """Interval of f1."""
    validation_f1: Ratio
    """Mean F1 by document on the part that prompts and model are chosen by; flatters."""


class ComparedModel(WireModel):
    """One row of the comparison."""

    name: Short
    """Model."""
    endpoint: Short
    """URL of its server."""
    digest: Short = ""
    """Digest that the server gives for it."""
    state: Literal["Waiting", "Training", "Compared", "CutShort", "NotCompared"] = "Waiting"
    """Compared: its searches are through; CutShort: the budget ended them, the best so far counts;
    NotCompared: it took no part in the choice, message says why."""
    message: Message = ""
    """Why it was not compared."""
    entities: ComparedTask | None = None
    """Its prompt for entities."""
    relations: ComparedTask | None = None
    """Its prompt for relations, given the labelled entities."""
    model_calls: Count = 0
    """Calls that were answered for its searches and for measuring their prompts, over all attempts."""
    seconds: Seconds = 0.0
    """Running time of these."""
    chosen: bool = False
    """Whether the run's prompts are for this model: it has the highest mean validationF1."""


Comparison = Annotated[list[ComparedModel], Field(max_length=MOST + 1)]
