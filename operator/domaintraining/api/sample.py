"""A labelled sample in its one inner form; older forms are read by the trainer's dataset module."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.rules import TYPE_NAME

MAX_TEXT: Final = 20_000
MAX_ITEMS: Final = 256

TypeName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=TYPE_NAME)]
"""Name of a type: words with single spaces between; no braces, quotes or backslashes."""

ItemName = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class SampleEntity(ApiModel):
    """One entity that the text names."""

    name: ItemName
    """The entity as the text names it."""
    type: TypeName
    """One of the entity types."""
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Free text; not used for training."""


class SampleRelation(ApiModel):
    """One directed relation between two entities of the same sample."""

    source: ItemName
    """Name of the entity that the relation starts at."""
    type: TypeName
    """One of the relation types."""
    target: ItemName
    """Name of the entity that the relation points to."""
    description: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Free text; not used for training."""


class Sample(ApiModel):
    """A text with what it says. A missing list means not labelled, an empty one means none."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
    """The text."""
    entities: Annotated[list[SampleEntity], Field(max_length=MAX_ITEMS)] | None = None
    """The entities in the text; without this key the sample is left out of entity training."""
    relations: Annotated[list[SampleRelation], Field(max_length=MAX_ITEMS)] | None = None
    """The relations in the text; without this key the sample is left out of relation training."""
    group: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """The document the text was cut from; samples of one group stay in one part of the split."""
