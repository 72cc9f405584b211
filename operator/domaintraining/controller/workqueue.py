"""One queue of keys: each key once, one worker at a time for it, backoff with jitter, delayed looks."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

log = logging.getLogger(__name__)

Key = tuple[str, str]
FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 60.0


class WorkQueue:
    """Runs `reconcile` for keys until it is cancelled.

    Args:
        reconcile: gives the seconds after which to look again, or None.
        workers: keys worked on at once.
    """

    def __init__(self, reconcile: Callable[[Key], Awaitable[float | None]], workers: int = 4) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._busy: set[Key] = set()
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
            self._queued.add(key)
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

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._busy.add(key)
            try:
                await self._one(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _one(self, key: Key) -> None:
        try:
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
