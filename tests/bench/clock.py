"""The benchmark's time: an event loop that waits for nothing but the client's own work.

Whatever the simulated server waits for (a token, a prompt) costs no real time: the clock is moved on as soon
as the client has nothing left to do, that is, no thread of it runs or could run, and its processor time
stands still. So figures are those of the latency model alone, the same on a fast, a slow and a busy machine;
what the client computes counts as nothing and is shown beside them. A client that sleeps is taken for one
that waits for the server.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.0002
_IDLE: Final = frozenset(b"SZXI")
"""States of a thread in /proc that need no processor: sleeping, ended."""


def can_wait_for_clients() -> bool:
    """Whether this system tells what another process's threads do; else the real clock is needed."""
    return sys.platform == "linux" and Path("/proc/self/task").is_dir()


def cpu_nanoseconds(pid: int) -> int:
    """Processor time of another process (Linux: the clock's number holds the pid)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def sleeps(pid: int) -> bool:
    """Whether no thread of a process runs or waits for a processor."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            stat = (thread / "stat").read_bytes()
            if stat[stat.rindex(b")") + 2] not in _IDLE:
                return False
    return True


class Client:
    """The process whose work the clock waits for."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.waits_for_server: Callable[[], bool] = lambda: False
        self._cpu = -1

    def is_through(self) -> bool:
        """Whether it cannot go on before the server does; to be asked twice, with a pause between."""
        if self.pid is None:
            return True
        try:
            before, self._cpu = self._cpu, cpu_nanoseconds(self.pid)
            return before == self._cpu and self.waits_for_server() and sleeps(self.pid)
        except OSError:
            return True


class _Selector(selectors.DefaultSelector):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            ready: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
            return ready
        through = 0
        while through < 2:
            ready = super().select(_LOOK_SECONDS)
            if ready:
                return ready
            through = through + 1 if self.client.is_through() else 0
        self.passed += timeout
        return []


class PassingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands while its client works, and is moved on when that waits."""

    def __init__(self, client: Client) -> None:
        self._passing = _Selector(client)
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.passed


def loop_for(client: Client, *, real: bool) -> asyncio.AbstractEventLoop:
    """A loop with the passing clock, or with the real one."""
    return asyncio.SelectorEventLoop() if real else PassingLoop(client)
