"""The queue of what is to be written into the graph: no reconcile ever waits for Neo4j.

For each resource only the latest state counts, and what that is follows from the cluster's objects: nothing
is lost with the process. One worker writes, so that a server that is down is tried by one request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from domaintraining.api.reasons import Reason
from domaintraining.controller.graph.model import (
    Domain,
    Graph,
    GraphDownError,
    Verdict,
    Wanted,
    not_owned,
)
from domaintraining.controller.graph.outage import Outage
from domaintraining.controller.settings import GraphSettings
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

log = logging.getLogger(__name__)

PROGRESS_PAUSE: Final = 5.0
"""Shortest time between two writes that tell of progress only."""
ANSWER_WAIT: Final = 1.0
"""How long a reconcile waits for a domain, where nothing is known against the server."""
ANSWER_HOLDS: Final = 10.0


class Said(NamedTuple):
    """What is to be told of a resource in the graph."""

    status: bool | None
    """Whether the graph holds what it says; None: not yet."""
    reason: Reason
    message: str


@dataclass(frozen=True)
class _Done:
    """What came of the last write for a resource."""

    digest: str
    outline: str
    when: float
    error: DomainTrainingError | None = None


@dataclass
class _Question:
    """A domain that reconciles wait for."""

    answered: asyncio.Event = field(default_factory=asyncio.Event)
    late: set[Key] = field(default_factory=set)
    """Those that wait no longer and are to be woken."""


@dataclass
class GraphSync:
    """Writes what is offered, and tells how that went."""

    graph: Graph
    settings: GraphSettings
    cluster: Callable[[], Awaitable[str]]
    """What this cluster calls itself in the graph; empty: it does not know."""
    wake: Callable[[Key], None]
    """Has a resource looked at again."""
    clock: Callable[[], float]
    """Seconds that never fall."""
    recheck: float = 300.0
    """Seconds after which it is looked whether the graph still holds what was written."""
    _cluster: str | None = None
    _constraints: str | None = None
    """Why names could not be made unique; None: not tried yet."""
    _pending: dict[Key, Wanted] = field(default_factory=dict)
    _done: dict[Key, _Done] = field(default_factory=dict)
    _told: dict[Key, Said | None] = field(default_factory=dict)
    _questions: dict[str, _Question] = field(default_factory=dict)
    _answers: dict[str, tuple[float, Domain | DomainTrainingError | None]] = field(default_factory=dict)
    _jobs: dict[str, Callable[[Graph, str], Awaitable[None]]] = field(default_factory=dict)
    _outage: Outage = field(default_factory=Outage)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, wanted: Wanted) -> Said | None:
        """Have a state written where it is news; gives what is to be told of it; None: nothing is known."""
        key = wanted.owner.key
        if self._is_due(wanted):
            self._pending[key] = wanted
            self._changed.set()
        else:
            self._pending.pop(key, None)
        said = self._told[key] = self._said(wanted)
        return said

    def forget(self, key: Key) -> None:
        """Drop what is known of a resource that is gone."""
        for kept in (self._pending, self._done, self._told):
            kept.pop(key, None)

    def lost(self, key: Key) -> None:
        """What was written of a resource is taken out of the graph: it is written anew where it is there."""
        if self._done.pop(key, None) is not None:
            self.wake(key)

    async def domain(self, key: Key, name: str) -> Domain | None:
        """A domain as the graph has it now; None where there is none.

        Raises:
            DomainTrainingError: it can't be said; the resource is woken once it can.
        """
        known = self._answers.get(name)
        if known is None or self.clock() - known[0] > ANSWER_HOLDS:
            self._answers.pop(name, None)
            await self._ask(key, name)
            known = self._answers.get(name)
        if known is None:
            raise self._outage.error or DomainTrainingError(
                Reason.GRAPH_UNAVAILABLE, f"Neo4j at {self.settings.uri} has not answered yet"
            )
        if isinstance(known[1], DomainTrainingError):
            raise known[1]
        return known[1]

    async def _ask(self, key: Key, name: str) -> None:
        question = self._questions.setdefault(name, _Question())
        self._changed.set()
        if self._outage.error is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WAIT):
                    await question.answered.wait()
        if name not in self._answers:
            question.late.add(key)

    def later(self, name: str, job: Callable[[Graph, str], Awaitable[None]]) -> None:
        """Have something done once nothing else is to do; of one name the last counts."""
        self._jobs[name] = job
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._changed.clear()
            seconds = await self.step()
            if seconds == 0:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def step(self) -> float | None:
        """Do one thing that is due; gives the seconds until the next one is, None: nothing is to do."""
        now = self.clock()
        if not (self._questions or self._pending or self._jobs):
            return None
        if left := self._outage.left(now):
            return left
        key, wait = self._first(now)
        if not self._questions and key is None and not self._jobs:
            return wait
        try:
            cluster = await self._ready()
            if self._questions:
                await self._answer(next(iter(self._questions)))
            elif key is not None:
                await self._write(key, cluster)
            else:
                await self._do(next(iter(self._jobs)), cluster)
        except GraphDownError as error:
            self._failed(error)
        else:
            self._outage.end()
        return 0

    async def _ready(self) -> str:
        """Name of the cluster, once names are made unique."""
        if self._cluster is None:
            self._cluster = self.settings.cluster or await self.cluster()
        if self._constraints is None:
            self._constraints = await self.graph.constrain()
            if self._constraints:
                log.warning("names of domains are not made unique: %s", self._constraints)
        return self._cluster

    def _first(self, now: float) -> tuple[Key | None, float | None]:
        """The first resource to write now; else the seconds until one is."""
        least: float | None = None
        for key, wanted in self._pending.items():
            done = self._done.get(key)
            if done is None or done.outline != wanted.outline:
                return key, 0.0
            left = PROGRESS_PAUSE - (now - done.when)
            if left <= 0:
                return key, 0.0
            least = left if least is None else min(left, least)
        return None, least

    async def _answer(self, name: str) -> None:
        found: Domain | DomainTrainingError | None
        try:
            found = await self.graph.read(name)
        except GraphDownError:
            raise
        except Exception as error:  # noqa: BLE001 - what is wrong with one domain must not stop the others
            found = _of_one(error)
        now = self.clock()
        self._answers = {key: one for key, one in self._answers.items() if now - one[0] <= ANSWER_HOLDS}
        self._answers[name] = (now, found)
        question = self._questions.pop(name)
        question.answered.set()
        for key in sorted(question.late):
            self.wake(key)

    async def _write(self, key: Key, cluster: str) -> None:
        wanted = self._pending[key]
        given = self.settings.given(wanted.owner.namespace, wanted.domain)
        error = None
        try:
            verdict, found = await self.graph.write(wanted, cluster, given=given)
            if verdict in {Verdict.NOT_OWNED, Verdict.NEWER}:
                error = not_owned(wanted, found)
        except GraphDownError:
            if key in self._pending:  # others are not to wait behind one that takes too long
                self._pending[key] = self._pending.pop(key)
            raise
        except Exception as raised:  # noqa: BLE001 - as above
            error = _of_one(raised)
        if self._pending.get(key) == wanted:
            del self._pending[key]
        if key in self._told:  # it may be gone by now
            self._done[key] = _Done(wanted.digest, wanted.outline, self.clock(), error)
            self._tell(key, self._pending.get(key, wanted))

    async def _do(self, name: str, cluster: str) -> None:
        job = self._jobs.pop(name)
        try:
            await job(self.graph, cluster)
        except GraphDownError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; the next resync tries again
            log.warning("graph: %s", _of_one(error))

    def _failed(self, error: DomainTrainingError) -> None:
        """Keep off the server for a while; whoever waits for it learns why."""
        if self._outage.begin(error, self.clock()):
            log.warning("graph: %s", error)
        for question in self._questions.values():
            question.answered.set()
            question.answered = asyncio.Event()
        for key, wanted in self._pending.items():
            self._tell(key, wanted)

    def _is_due(self, wanted: Wanted) -> bool:
        done = self._done.get(wanted.owner.key)
        if done is None or self.clock() - done.when > self.recheck:
            return True
        return done.outline != wanted.outline or (done.error is None and done.digest != wanted.digest)

    def _said(self, wanted: Wanted) -> Said | None:
        key = wanted.owner.key
        done = self._done.get(key)
        down = self._outage.error
        if down is not None and (done is None or key in self._pending):
            return Said(status=False, reason=down.reason, message=down.message)
        if done is None:
            return None
        if done.error is not None:
            return Said(status=False, reason=done.error.reason, message=done.error.message)
        if done.outline != wanted.outline:
            return Said(status=None, reason=Reason.GRAPH_PENDING, message="it is being written")
        words = f"(:Domain {{name: '{wanted.domain}'}}) is as this resource says"
        words += f"; {wanted.note}" if wanted.note else ""
        if self._constraints:
            words += f"; its name could not be made unique: {self._constraints}"
        return Said(status=True, reason=Reason.GRAPH_SYNCED, message=words)

    def _tell(self, key: Key, wanted: Wanted) -> None:
        """Have a resource looked at again whose condition has to change."""
        before, said = self._told.get(key), self._said(wanted)
        self._told[key] = said
        if before is None or said is None or before[:2] != said[:2]:
            self.wake(key)


def _of_one(error: Exception) -> DomainTrainingError:
    """What is wrong with one domain; of an error that nobody expected only the kind is told."""
    if isinstance(error, DomainTrainingError):
        return error
    return DomainTrainingError(Reason.GRAPH_REFUSED, f"the request can't be made ({type(error).__name__})")
