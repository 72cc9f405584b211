"""The probes' HTTP server, and the beat that looks at the parts: in the loop that it tells of.

A loop that is blocked answers no probe, which says the same as a failing one.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NoReturn

from aiohttp import web

from domaintraining.controller.health import Fault, Vitals, alive, faults, ready, words
from domaintraining.controller.watches import Watches
from domaintraining.controller.workqueue import WorkQueue

BEAT: Final = 5.0
"""Seconds between two looks."""
QUIET: Final = 20.0
"""Seconds without a request after which the API server is asked whether it is there."""
PING_SECONDS: Final = 10.0
"""After which a question counts as unanswered."""
BLOCKED: Final = 2.0
"""Seconds that a beat may be late before the log tells of it."""
HOSTS: Final = ("0.0.0.0", "::")  # noqa: S104 - the kubelet asks at the pod's address

log = logging.getLogger(__name__)


class Health:
    """The parts' signs of life, gathered; times are the event loop's.

    Args:
        queue: of the controller.
        watches: of the controller.
        ping: asks the API server for something; its `told` gets to know how it went.
        resync_seconds: pause between two resyncs.
        clock: seconds that never fall.
    """

    def __init__(
        self,
        queue: WorkQueue,
        watches: Watches,
        ping: Callable[[], Awaitable[None]],
        resync_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._queue, self._watches, self._ping, self._clock = queue, watches, ping, clock
        self._resync_seconds = resync_seconds
        self._started = self._asked = clock()
        self._answering: float | None = None
        self._failing: float | None = None
        self._resynced: float | None = None
        self._told: set[str] = set()

    def told(self, status: int) -> None:
        """The status of an answer of the API server, 0 where none came; 5xx count as none."""
        now = self._asked = self._clock()
        if 0 < status < 500:
            self._answering, self._failing = now if self._answering is None else self._answering, None
        else:
            self._answering, self._failing = None, now if self._failing is None else self._failing

    def resynced(self) -> None:
        """A resync has ended."""
        self._resynced = self._clock()

    def faults(self) -> list[Fault]:
        """What stands still now."""
        self._watches.look()
        vitals = Vitals(
            started=self._started,
            watches=self._watches.heard(),
            refused=self._watches.refused(),
            queue=self._queue.state(),
            answering=self._answering,
            failing=self._failing,
            resynced=self._resynced,
            resync_seconds=self._resync_seconds,
        )
        return faults(vitals, self._clock())

    def words(self, found: list[Fault]) -> str:
        """What the probes answer."""
        return words(found, self._clock(), datetime.now(UTC))

    async def beat(self) -> NoReturn:
        """Look at the parts now and then, ask the API server where it was quiet, tell of news in the log."""
        while True:
            before = self._clock()
            await asyncio.sleep(BEAT)
            late = self._clock() - before - BEAT
            if late > BLOCKED:
                log.warning("the event loop stood still for %.1f s", late)
            if self._clock() - self._asked >= QUIET:
                await self._ask()
            self._tell(self.faults())

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._ping()
        except TimeoutError:
            self.told(0)

    def _tell(self, found: list[Fault]) -> None:
        """News since the last look; what was not connected yet is no news while the process starts."""
        lasting = {one.part: one for one in found if self._clock() - one.since >= 2 * BEAT}
        for part in sorted(self._told - lasting.keys()):
            log.info("%s: is well again", part)
        for part in sorted(lasting.keys() - self._told):
            log.warning("%s", self.words([lasting[part]]).strip())
        self._told = set(lasting)


def application(health: Health) -> web.Application:
    """/healthz and /readyz: 200 with `ok`, or 503 with a line for each part that stands still."""

    async def answer(request: web.Request) -> web.Response:
        found = health.faults()
        well = alive(found) if request.path == "/healthz" else ready(found)
        status, told = (200, []) if well else (503, found)
        return web.Response(text=health.words(told), status=status, headers={"Cache-Control": "no-store"})

    made = web.Application(client_max_size=1024)
    made.add_routes([web.get("/healthz", answer), web.get("/readyz", answer)])
    return made


async def serve(health: Health, port: int) -> NoReturn:
    """Answer probes until cancelled.

    Raises:
        OSError: the port is taken, or there is no network at all.
    """
    runner = web.AppRunner(application(health), handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await _listen(runner, port)
        await asyncio.Event().wait()
        raise AssertionError  # nobody sets it
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    """On both families, where there are two."""
    failed: list[OSError] = []
    for host in HOSTS:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            failed.append(error)
            if error.errno == errno.EADDRINUSE or len(failed) == len(HOSTS):
                raise OSError(error.errno, f"HEALTH_PORT {port}: {error.strerror}") from error
