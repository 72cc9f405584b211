"""What becomes of domains whose resource is gone or now trains another one. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domaintraining.controller.graph.model import GOING, Domain
from domaintraining.controller.workqueue import Key


class Known(NamedTuple):
    """A resource that is there."""

    uid: str
    domain: str
    """Domain that it trains."""
    synced: bool
    """Whether it is written into the graph."""


class Left(NamedTuple):
    """A domain that nobody writes any more."""

    domain: Domain
    owner: Key
    remove: bool
    """Whether it is to be removed; else its status is ended."""


def to_leave(owned: Iterable[Domain], known: Mapping[Key, Known], namespace: str | None) -> list[Left]:
    """The domains to remove, and those whose status would say for ever that a run goes.

    Args:
        owned: domains that this cluster owns.
        known: all resources, from a complete list.
        namespace: that the list is of; None: of all.
    """
    found = []
    for one in owned:
        parts = one.owner.partition("/")
        key = parts[0], parts[2]
        if namespace not in {None, key[0]}:
            continue
        resource = known.get(key)
        if resource is not None and resource.synced and resource.domain == one.name:
            continue
        moved = resource is None or resource.synced
        remove = one.policy == "Delete" and moved
        if remove or one.going or one.status in GOING:
            found.append(Left(one, key, remove=remove))
    return found
