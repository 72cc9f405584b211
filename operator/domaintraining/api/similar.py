"""What a run is given of similar domains: their promoted prompts and how alike their data are.

Other resources' ConfigMaps are hostile input: everything here is bounded, and what is not as described counts
as not there.
"""

import base64
import binascii
import hashlib
import json
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from domaintraining.api.base import WireModel
from domaintraining.api.sample import MAX_ITEMS, MAX_TEXT, ItemName, TypeName
from domaintraining.api.scalars import Short
from domaintraining.api.spec import Task

MOST_OFFERS: Final = 32
"""Domains that one run is given."""
MOST_VALUES: Final = 16_384
LONGEST_INSTRUCTION: Final = 8_192
LONGEST_REASONING: Final = 8_192
MOST_SEEN: Final = 3_000

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Distance = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]


def _values(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("no base64") from None
    if not 1 <= size <= MOST_VALUES:
        raise ValueError("another number of values")
    return text


class DataVector(WireModel):
    """Mean of the embeddings of a domain's texts."""

    model: Short
    """Model that made them."""
    digest: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Its digest; vectors of others are not comparable."""
    values: Annotated[str, StringConstraints(max_length=4 * MOST_VALUES // 3 + 8), AfterValidator(_values)]
    """Base64 of one signed byte a value, the largest being 127: only its direction counts."""


class ShownEntity(WireModel):
    """An entity of a demo."""

    name: ItemName
    type: TypeName


class ShownRelation(WireModel):
    """A relation of a demo."""

    source: ItemName
    type: TypeName
    target: ItemName


class ShownDemo(WireModel):
    """A demo of another domain's prompt."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
    entities: Annotated[list[ShownEntity], Field(max_length=MAX_ITEMS)] = []
    relations: Annotated[list[ShownRelation], Field(max_length=MAX_ITEMS)] = []
    reasoning: Annotated[str, StringConstraints(max_length=LONGEST_REASONING)] | None = None


class TaskOffer(WireModel):
    """One task's promoted prompt."""

    instruction: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_INSTRUCTION)]
    types: Annotated[list[TypeName], Field(min_length=1, max_length=512)]
    """Its closed list."""
    demos: Annotated[list[ShownDemo], Field(max_length=32)] = []


class Offer(WireModel):
    """What a domain has to offer to another one."""

    name: Name
    """Its DomainTraining."""
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Its served revision."""
    entities: TaskOffer | None = None
    relations: TaskOffer | None = None
    vector: DataVector | None = None
    seen: Annotated[list[Digest], Field(max_length=MOST_SEEN)] = []
    """Digests of the texts that its training had seen."""

    def task(self, task: Task) -> TaskOffer | None:
        """The prompt of a task."""
        return self.entities if task == "entities" else self.relations

    def text(self) -> str:
        """The offer as it is handed over, the same bytes every time."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Offered(WireModel):
    """One of the domains that a run is given, as the run says it."""

    name: Name
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    digest: Digest
    """SHA-256 of the offer's text."""


class Considered(WireModel):
    """What a run's manifest says of one of these domains."""

    name: Name
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    distance: dict[Task, Distance] = {}
    """For each task that both have: 0 is the same."""
    cosine: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    """Of the data; absent where the two were not comparable."""
    validation_f1: dict[Task, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = {}
    """For each task that its prompt was tried for what it scored."""
    held_out_seen: Annotated[int, Field(ge=0)] = 0
    """Held-out texts of this run that its training had seen; more than every tenth: it is not tried."""


class Similar(WireModel):
    """What a run's manifest says of similar domains."""

    considered: Annotated[list[Considered], Field(max_length=MOST_OFFERS)] = []
    """By distance, the nearest first."""
    won: dict[Task, Name | None] = {}
    """For each task the domain whose prompt was the best on the validation part; None: MIPROv2's own was."""


def offer_digest(text: str) -> str:
    """What a run says of an offer's text."""
    return hashlib.sha256(text.encode()).hexdigest()
