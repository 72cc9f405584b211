"""The places on model servers: who waits for one, who has one, and that none is given away twice.

What is known between two looks is a view of the cluster: who waits stands in the conditions of the resources,
who has a place in the Jobs. Only who was passed over stands nowhere; a new process finds it out anew. A place
is taken under one lock, from a list of all Jobs made then; so neither two workers nor a new process give away
more than there are.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from domaintraining.api.names import LABEL_MANAGED_BY
from domaintraining.controller.admission import NEVER, Admission, Place, Running, Waiting, admit
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB, Cluster, ClusterError, Kind
from domaintraining.controller.observe import read_resource
from domaintraining.controller.observed import Object, Resource
from domaintraining.controller.settings import Settings
from domaintraining.controller.uses import (
    ended_jobs,
    is_queued,
    running_jobs,
    waiting_of,
    waits_for_kueue,
)
from domaintraining.controller.workqueue import Key

log = logging.getLogger(__name__)

FRONT: Final = 10
"""Positions that are kept up to date; those further back are seen to by the resync."""
LISTED_FOR: Final = timedelta(seconds=20)
"""How old a list of Jobs may be for telling positions; a place is taken from a new one."""
DECIDED_FOR: Final = timedelta(seconds=5)
"""How long a decision holds while nothing changes but the time."""
OFFERED_FOR: Final = timedelta(seconds=30)
"""How long a place is kept for one whose turn it is; after that it is passed over."""
PASSED_OVER: Final = timedelta(minutes=5)
"""How long that lasts, for each that is: so all together hold up a place for a tenth of the time at most."""
RUNNING_JOBS: Final = {LABEL_MANAGED_BY: "domaintraining"}
"""Runs and checks: both ask the same server."""


class Places:
    """All places that this controller gives away.

    Args:
        cluster: the API server.
        settings: how many there are on each server.
        now: the clock.
        wake: has a resource looked at again.
    """

    def __init__(
        self, cluster: Cluster, settings: Settings, now: Callable[[], datetime], wake: Callable[[Key], None]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now
        self._wake = wake
        self._lock = asyncio.Lock()
        self._waiting: dict[Key, Waiting] | None = None
        self._running: list[Running] = []
        self._ended: list[Running] = []
        self._listed: datetime | None = None
        self._shown: dict[Key, Place] = {}
        self._offered: dict[Key, datetime] = {}
        self._passed: dict[Key, datetime] = {}
        self._calls: set[Key] = set()
        self._admission: tuple[datetime, Admission] | None = None

    async def stand(self, resource: Resource, check: Waiting | None = None) -> Place | None:
        """Where a resource stands whose next attempt could start; None: it is its turn, or Kueue's.

        Args:
            resource: who waits.
            check: what stands there for its check, where it is one.

        Raises:
            ClusterError: the API server failed.
        """
        if waits_for_kueue(resource):
            return None
        me = check or waiting_of(resource, self._settings, self._now())
        async with self._lock:
            await self._look(me)
            admission = self._decided()
        self._call(admission, besides=me.key)
        if me.key in admission.start:
            return None
        self._shown[me.key] = admission.places[me.key]
        return admission.places[me.key]

    async def take(
        self, resource: Resource, start: Callable[[], Awaitable[None]], check: Waiting | None = None
    ) -> bool:
        """Start where there still is a place; gives whether it was started.

        Args:
            resource: whose turn it is.
            start: makes the Job.
            check: what stood there for its check, where it is one.

        Raises:
            ClusterError: the API server failed.
            DomainTrainingError: what `start` raises.
        """
        if waits_for_kueue(resource):
            await start()
            return True
        me = check or waiting_of(resource, self._settings, self._now())
        async with self._lock:
            self._listed = None
            await self._look(me)
            if me.key not in self._decided().start:
                return False
            self._listed = None  # what an error leaves is seen in the next list
            await start()
            self._forget(me.key)
            self._running.append(Running(me.key, me.uses))
            self._listed, self._admission = self._now(), None
            admission = self._decided()
        self._call(admission, moved=True)
        return True

    def line_up(self, key: Key) -> None:
        """Learn that nothing holds one up any more: it stands where it stood before it was passed over.

        Those that were passed over with it are called, to see whether the same is true of them.
        """
        self._passed.pop(key, None)
        self._admission = None
        for other in self._passed_over_with(key):
            self._wake(other)

    def askers(self, key: Key) -> int:
        """Among how many one shares the questions to servers that are down; whose turn it is asks itself."""
        return 1 if key in self._offered else max(1, len(self._passed_over_with(key)))

    def _passed_over_with(self, key: Key) -> list[Key]:
        """All that were passed over and use the servers of this one."""
        waiting = self._waiting or {}
        if key not in waiting:
            return []
        servers = waiting[key].uses.keys()
        return [one for one in self._passed if one in waiting and waiting[one].uses.keys() == servers]

    async def leave(self, key: Key, *, waits: bool, running: bool) -> None:
        """Learn what came of a look at a resource; where it freed a place or its turn, others are called.

        Args:
            key: of the resource.
            waits: whether it could start and did not.
            running: whether it has a Job that has a place.
        """
        left = not waits and self._forget(key)
        freed = not running and any(one.key == key for one in self._running)
        if freed:
            self._listed = None
        if not self._waiting or not (left or freed):
            return
        async with self._lock:
            if self._listed is None:
                await self._list()
            admission = self._decided()
        self._call(admission, moved=True)

    def _forget(self, key: Key) -> bool:
        """Take one off all lists of what waits; gives whether it did."""
        self._admission = None
        self._shown.pop(key, None)
        self._offered.pop(key, None)
        self._passed.pop(key, None)
        return (self._waiting or {}).pop(key, None) is not None

    async def _look(self, me: Waiting) -> None:
        """Know who waits, and who runs from a list that is not old and does not name who waits here."""
        if self._waiting is None:
            self._waiting = await self._queued()
        old = self._listed is None or abs(self._now() - self._listed) > LISTED_FOR
        if old or any(one.key == me.key for one in self._running):
            await self._list()
        if self._waiting.get(me.key) != me:
            self._waiting[me.key], self._admission = me, None

    async def _list(self) -> None:
        jobs = await self._found(JOB, RUNNING_JOBS)
        now = self._now()
        self._running = running_jobs(jobs, self._settings)
        self._ended = ended_jobs(jobs, self._settings, now)
        self._listed, self._admission = now, None

    async def _queued(self) -> dict[Key, Waiting]:
        """Who waits by what status says: what a controller that has just started knows of the queue."""
        await self._list()
        busy = {one.key for one in self._running}
        found: dict[Key, Waiting] = {}
        for body in await self._found(DOMAIN_TRAINING, {}):
            resource = _read(body)
            if resource is not None and (key := resource.key) not in busy:
                found[key] = waiting_of(resource, self._settings, self._now())
        return found

    async def _found(self, kind: Kind, labels: Mapping[str, str]) -> list[Object]:
        """All of a kind; a namespace that is gone took the right to list it along, and holds up no other."""
        found: list[Object] = []
        for namespace in self._settings.namespaces or (None,):
            try:
                found += await self._cluster.find(kind, namespace, labels)
            except ClusterError as error:
                if namespace is None or error.status not in (403, 404):
                    raise
                log.warning("WATCH_NAMESPACES: %s is left out of the queue: %s", namespace, error)
        return found

    def _decided(self) -> Admission:
        """The decision of now; who is called for the first time is told with the next call."""
        now, waiting = self._now(), self._waiting or {}
        if self._admission is not None and abs(now - self._admission[0]) <= DECIDED_FOR:
            return self._admission[1]
        self._pass_over(now)
        everybody = [replace(one, passed=self._passed.get(key, NEVER)) for key, one in waiting.items()]
        admission = admit(everybody, self._running, self._settings.trainings, now, self._ended)
        self._calls |= set(admission.start) - self._offered.keys()
        self._offered = {key: self._offered.get(key, now) for key in admission.start}
        self._admission = (now, admission)
        return admission

    def _pass_over(self, now: datetime) -> None:
        """Those that did not take their place in time go behind all others, the longer the more they are."""
        late = [key for key, since in self._offered.items() if now - since >= OFFERED_FOR]
        for key in late:
            del self._offered[key]
        passed = self._passed | dict.fromkeys(late, now)
        self._passed = {key: when for key, when in passed.items() if now - when < PASSED_OVER * len(passed)}

    def _call(self, admission: Admission, *, besides: Key | None = None, moved: bool = False) -> None:
        """Wake, once, those whose turn it is; where somebody moved, those in front that stand elsewhere."""
        calls, self._calls = self._calls - {besides}, set()
        for key in sorted(calls.intersection(admission.start)):
            self._wake(key)
        if not moved:
            return
        for key, place in admission.places.items():
            if place.position <= FRONT and key not in admission.start and self._shown.get(key) != place:
                self._wake(key)


def _read(body: Object) -> Resource | None:
    """A resource that waits for a place, as its status says; None: it does not."""
    try:
        resource = read_resource(body)
    except ValidationError:
        return None
    deleted = body["metadata"].get("deletionTimestamp")
    if deleted or resource.spec.suspend or waits_for_kueue(resource) or not is_queued(resource):
        return None
    return resource
