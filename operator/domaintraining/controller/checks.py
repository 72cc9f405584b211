"""The record of a resource's checks: kept in one ConfigMap, so that nothing is known by memory alone."""

from typing import Annotated, Final

from pydantic import Field

from domaintraining.api.base import WireModel
from domaintraining.api.drift import Finding, TaskDrift
from domaintraining.api.report import Failure
from domaintraining.api.scalars import Count, Message, Short, Time

RECORD_KEY: Final = "checks.json"
"""Key of the record's ConfigMap; the check that is open stands beside it, as a trainer starts from it."""


STARTS_A_RUN: Final = ("Loss", "Changed")
"""Findings that a run follows."""


class World(WireModel):
    """What was there, by digests: data and model of one moment."""

    data: Short = ""
    """The data as the controller sees them; empty: it can't (a volume), or does not know."""
    dataset: Short = ""
    """The samples as a trainer reads them, as status.dataset.digest; empty: nobody read them."""
    version: Short = ""
    """What the data's source called them; empty: it gives no names."""
    model: Short = ""
    """The model on its server; empty: not known."""
    other_model: Short = ""
    """The second one, where the served prompts are for two; empty: there is none, or it is not known."""


class OpenCheck(WireModel):
    """A check that was decided on and is not over."""

    number: Annotated[int, Field(ge=1)]
    """From 1; each has a Job of its own."""
    hash: Short
    """Hash of the spec whose prompt is looked at."""
    after: Count
    """The highest run when it was decided on; a later run ends it."""
    served: Short = ""
    """What was served then, as `serving` names it: another prompt ends it."""
    since: Time
    """When it was decided on: its place in the queue counts from here."""
    world: World
    """Data and model that it is about."""
    data_changed: bool = False
    """Whether data changed."""
    model_changed: bool = False
    """Whether the model changed."""
    measure: bool = False
    """Whether the served prompt is measured; False: a trainer only reads the data."""
    failures: Count = 0
    """Jobs of it that failed."""
    failure: Failure | None = None
    """Why the last one did."""
    failed_time: Time | None = None
    """When that was seen."""


class Concluded(WireModel):
    """What the last check found: this data and this model are not looked at again."""

    hash: Short
    """Hash of the spec whose prompt was looked at."""
    after: Count
    """The highest run then: only a later one is due to this finding."""
    served: Short = ""
    """What was served, as `serving` names it: of another prompt it says nothing."""
    time: Time
    """When it was found."""
    world: World
    """Data and model that it is about."""
    before: World
    """What was known before."""
    data: Finding | None = None
    """What was found of the data; None: they were not looked at."""
    model: Finding | None = None
    """What was found of the model; None: it was not looked at."""
    entities: TaskDrift | None = None
    """Numbers of the prompt for entities, where it was measured."""
    relations: TaskDrift | None = None
    """Numbers of the prompt for relations, where it was measured."""
    model_calls: Count = 0
    """Calls that it took."""
    message: Message = ""
    """The same for people."""


class Checks(WireModel):
    """All that is kept of a resource's checks."""

    last: Count = 0
    """Highest number that a check had."""
    current: OpenCheck | None = None
    """The one that is not over."""
    concluded: Concluded | None = None
    """The last that is."""
