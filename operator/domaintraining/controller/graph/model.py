"""The seam to the graph: what is read of a domain, what is to be written, and who may write it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Final, Protocol
from uuid import NAMESPACE_OID, uuid5

from domaintraining.api.reasons import Reason
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

PROGRESS: Final = frozenset({"current_step", "progress_percent"})
"""Properties of a TrainingLog that move all the time while a run goes."""
MOST_LINES: Final = 200
"""Log messages that a TrainingLog keeps, the newest."""
GOING: Final = ("pending", "training")
"""Statuses of a run, and of a domain, that say that something goes on."""
UNTOLD: Final = "no DomainTraining tells any more how it goes"
"""Error message of a run that was going when its resource went, trained another domain or left the graph."""
Value = str | int | float | datetime | None
"""A property; None removes it."""


@dataclass(frozen=True)
class Owner:
    """The resource that a domain belongs to."""

    namespace: str
    name: str
    uid: str
    created: str
    """When the API server made it, of RFC 3339: of two resources of one name the later one counts."""

    @property
    def key(self) -> Key:
        """What it is known by in queues and lists."""
        return self.namespace, self.name

    @property
    def text(self) -> str:
        """The property `owner`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Domain:
    """What is known of a domain that is there."""

    name: str
    description: str = ""
    llm_model: str = ""
    owner: str = ""
    """Namespace and name of its owner; empty: nobody's."""
    cluster: str = ""
    uid: str = ""
    created: str = ""
    policy: str = ""
    """Deletion policy that its owner had."""
    status: str = ""
    rank: int = 0
    """How far the run was that it was written for last, see `Wanted.rank`."""
    seed: str = ""
    """Makes the ids of its logs others than those of an earlier resource, see `seed_of`."""
    written: str = ""
    """Digest of what was written last."""
    going: bool = False
    """Whether a log says that its run goes; told of domains that are owned alone."""
    intact: bool = True
    """Whether it holds what is to be written, and its logs do; where nothing is, it does."""


@dataclass(frozen=True)
class Log:
    """What the TrainingLog of one run should hold."""

    id: str
    properties: Mapping[str, Value]
    lines: tuple[str, ...] = ()
    """What its log_messages should hold, in this order; each is appended once."""

    @property
    def outline(self) -> list[object]:
        """Everything but progress."""
        still = {key: one for key, one in self.properties.items() if key not in PROGRESS}
        return [self.id, still]


@dataclass(frozen=True)
class Wanted:
    """What a domain and the logs of its runs should hold: a function of the cluster's objects alone."""

    domain: str
    """Name of the domain."""
    owner: Owner
    rank: int
    """Grows with run and attempt, and with the run's end: what is written last wins by it."""
    properties: Mapping[str, Value]
    """Of the domain; others stay as they are."""
    created: Mapping[str, Value]
    """Of a domain that is not there yet, beside them."""
    logs: tuple[Log, ...] = ()
    """Of all runs that the cluster tells of, the last one last."""
    adopted: bool = False
    """Whether its resource took over runs of an earlier one: it was restored."""
    note: str = ""
    """What the condition says beside: what is not written, and why."""

    @cached_property
    def digest(self) -> str:
        """Changes with everything that is to be written."""
        return _digest([self.outline, [[one.properties, one.lines] for one in self.logs]])

    @cached_property
    def outline(self) -> str:
        """The same without progress: it stays while only the counts of a run move."""
        facts = [self.domain, self.owner.text, self.owner.uid, self.rank, self.properties]
        return _digest([facts, [one.outline for one in self.logs]])


class Verdict(Enum):
    """What a write comes to."""

    WRITE = "write"
    """It is to be written, or was."""
    UNCHANGED = "unchanged"
    """The graph holds it."""
    NOT_OWNED = "not owned"
    """The domain is another's, or nobody's and not given to this namespace."""
    NEWER = "newer"
    """A later run wrote, or a later resource of this name."""


def judge(found: Domain | None, wanted: Wanted, cluster: str, *, given: bool) -> Verdict:
    """Whether a domain may be written, and has to be.

    Args:
        found: the domain; None: there is none.
        wanted: what it should hold.
        cluster: what this cluster calls itself.
        given: whether the operator's settings give it to this namespace where it is nobody's.
    """
    if found is None:
        return Verdict.WRITE
    if not found.owner:
        return Verdict.WRITE if given else Verdict.NOT_OWNED
    if found.owner != wanted.owner.text or found.cluster not in {"", cluster}:
        return Verdict.NOT_OWNED
    if _is_later(found, wanted):
        return Verdict.NEWER
    return Verdict.UNCHANGED if found.written == wanted.digest and found.intact else Verdict.WRITE


def _is_later(found: Domain, wanted: Wanted) -> bool:
    """Whether a domain tells of a later run, or of a later resource of the same name."""
    if found.uid == wanted.owner.uid:
        return found.rank > wanted.rank
    # one without a cluster was handed over, by hand: the giver's age says nothing then
    return bool(found.cluster) and found.created > wanted.owner.created


def not_owned(wanted: Wanted, found: Domain | None) -> DomainTrainingError:
    """Why a domain is another's, or was written later, in words for a condition."""
    owner = found.owner[:128] if found is not None else ""
    if not owner:
        words = f"it has no owner, and GRAPH_DOMAINS does not give it to namespace {wanted.owner.namespace}"
    elif owner == wanted.owner.text and found is not None and found.uid == wanted.owner.uid:
        words = f"a later run of {owner} was written"
    elif owner == wanted.owner.text and found is not None:
        words = (
            f"it belongs to {owner} of the cluster {found.cluster[:128]}; GRAPH_CLUSTER says which is this"
        )
    else:
        words = f"it belongs to {owner}"
    return DomainTrainingError(Reason.DOMAIN_NOT_OWNED, f"domain {wanted.domain} is not touched: {words}")


def seed_of(found: Domain | None, wanted: Wanted) -> str:
    """What the ids of the logs that are written are made with, beside `Log.id`; empty: nothing.

    Runs of a resource that was made again count from 1 anew, and must not change the logs of the earlier one.
    It is kept in the domain, so that it stays when that resource is restored.
    """
    if found is None:
        return ""
    is_new = bool(found.uid) and found.uid != wanted.owner.uid
    return wanted.owner.uid if is_new and not wanted.adopted else found.seed


def seeded(logs: Iterable[Log], seed: str) -> list[Log]:
    """Logs by the ids under which they stand in the graph."""
    if not seed:
        return list(logs)
    return [replace(one, id=str(uuid5(NAMESPACE_OID, f"{one.id}/{seed}"))) for one in logs]


def ownership(wanted: Wanted, cluster: str, seed: str) -> dict[str, Value]:
    """The properties by which a domain is known to be a resource's, and how far it was written."""
    return {
        "owner": wanted.owner.text,
        "owner_cluster": cluster,
        "owner_uid": wanted.owner.uid,
        "owner_created": wanted.owner.created,
        "owner_rank": wanted.rank,
        "log_seed": seed,
        "written": wanted.digest,
    }


class GraphDownError(DomainTrainingError):
    """The server does nothing for anybody: it does not answer, or refuses the user."""


class Graph(Protocol):
    """Neo4j as the controller uses it. Every call ends within seconds.

    All raise GraphDownError: GraphUnavailable where it may pass by itself, GraphRefused where it does not.
    What is wrong with one domain alone is another DomainTrainingError. No words hold the password or anything
    that was to be written.
    """

    async def read(self, name: str) -> Domain | None:
        """A domain; None where there is none."""

    async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
        """Write in one transaction, as far as `judge` lets it; gives what it said, and of which domain.

        Logs that say that a run goes, and are not among those wanted, have failed.
        """

    async def constrain(self) -> str:
        """Make names of domains unique; gives why that was refused, empty: it was not."""

    async def owned(self, cluster: str) -> list[Domain]:
        """All domains that this cluster owns."""

    async def leave(self, domain: Domain, *, remove: bool) -> None:
        """Remove a domain with its logs, or end its status where its run goes on; only as it was read."""

    async def close(self) -> None:
        """Close all connections."""


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
