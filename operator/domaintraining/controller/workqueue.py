"""One queue of keys: each key once, one worker at a time for it, backoff with jitter, delayed looks."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name of a DomainTraining."""
FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 60.0
LONGEST_RECONCILE: Final = 300.0
"""Seconds after which one look is given up and tried again; each of its requests has a limit of its own."""
PATIENCE: Final = 0.25
"""Seconds after which a worker leaves a look to itself and takes the next key: it waits for some server."""
MOST_AT_ONCE: Final = 64
"""Looks that go on at once, those left to themselves among them."""


class QueueState(NamedTuple):
    """What stands in the queue longest; moments of the loop's clock."""

    length: int = 0
    """Keys that wait for a worker."""
    waiting: float | None = None
    """Since when the oldest of them waits; None: none does."""
    busy: float | None = None
    """Since when the oldest look goes on; None: none does."""
    busy_key: Key = ("", "")
    """The key that it is at."""
    moved: float | None = None
    """When a look ended last; None: none did yet."""


class WorkQueue:
    """Runs `reconcile` for keys until it is cancelled.

    Args:
        reconcile: gives the seconds after which to look again, or None.
        workers: keys worked on at once, without those whose look takes long.
        most: keys worked on at once with them.
    """

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[float | None]],
        workers: int = 4,
        most: int = MOST_AT_ONCE,
    ) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._most = most
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: dict[Key, float] = {}
        self._busy: dict[Key, float] = {}
        self._moved: float | None = None
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Put a key on the queue; one that is worked on is looked at again afterwards."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued[key] = asyncio.get_running_loop().time()
            self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Put a key on the queue after a while, unless it gets there earlier."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def state(self) -> QueueState:
        """How long what stands in it stands there; both are in the order in which they came."""
        busy_key, busy = next(iter(self._busy.items()), (("", ""), None))
        waiting = next(iter(self._queued.values()), None)
        return QueueState(len(self._queued), waiting, busy, busy_key, self._moved)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work(group))

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            key = await self._ready.get()
            self._queued.pop(key, None)
            self._busy[key] = asyncio.get_running_loop().time()
            look = group.create_task(self._look(key))
            full = len(self._busy) + self._workers > self._most  # what the others may take next counts
            await asyncio.wait((look,), timeout=None if full else PATIENCE)

    async def _look(self, key: Key) -> None:
        try:
            await self._one(key)
        finally:
            self._busy.pop(key, None)
            self._moved = asyncio.get_running_loop().time()
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _one(self, key: Key) -> None:
        try:
            async with asyncio.timeout(LONGEST_RECONCILE):
                seconds = await self._reconcile(key)
        except Exception as error:  # noqa: BLE001 - a key that fails must not stop the others
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(FIRST_BACKOFF * 2 ** min(failures, 10), LONGEST_BACKOFF)
            # jitter spreads retries, it protects nothing
            pause *= random.uniform(0.5, 1.0)  # noqa: S311
            log.warning("%s/%s: %s; again in %.1f s", *key, _words(error), pause)
            self.add_later(key, pause)
            return
        self._failures.pop(key, None)
        if seconds is not None:
            self.add_later(key, seconds)


def _words(error: Exception) -> str:
    """An error in one line; pydantic's and the API server's words hold no sample text by construction."""
    return f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
