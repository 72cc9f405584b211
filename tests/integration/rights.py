"""Rights of RBAC: what rules allow, and what an audit event of the API server shows to have been needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final, NamedTuple

Json = dict[str, Any]
DECISION: Final = "authorization.k8s.io/decision"
CREATED: Final = 201


class Right(NamedTuple):
    """The least that a rule of RBAC can allow."""

    group: str
    resource: str
    verb: str


def granted(rules: Iterable[Mapping[str, list[str]]]) -> set[Right]:
    """What rules of a Role or ClusterRole allow."""
    return {
        Right(*parts)
        for rule in rules
        for parts in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def used(event: Json) -> Iterator[Right]:
    """What the API server's authorizer was asked for one request; nothing for its discovery."""
    about = event.get("objectRef")
    if not about:
        return
    resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    yield Right(about.get("apiGroup", ""), resource, event["verb"])
    if event["verb"] == "patch" and event["responseStatus"]["code"] == CREATED:
        yield Right(about.get("apiGroup", ""), resource, "create")  # what an apply of something new needs too


def refused(events: Iterable[Json]) -> list[str]:
    """The requests that a right was missing for; 403 is also what a quota or a closing namespace says."""
    return [event["requestURI"] for event in events if event.get("annotations", {}).get(DECISION) == "forbid"]


def is_trainer(user: str, others: Iterable[str]) -> bool:
    """Whether it is a service account by none of the other names, which leaves the trainers' own."""
    return user.startswith("system:serviceaccount:") and user.rpartition(":")[2] not in {*others, "default"}
