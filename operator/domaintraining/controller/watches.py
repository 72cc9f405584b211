"""kopf's watches, listened to: over a session of ours, whose streams tell how much has come through them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import kopf

LOGIN_PAUSE: Final = 5.0
"""Least seconds between two logins: kopf asks for the next as soon as the API server refuses a token."""

OpenSession = Callable[[aiohttp.TraceConfig], Awaitable[tuple[str, aiohttp.ClientSession]]]
"""Makes a session with fresh credentials, and gives the API server's URL before it."""


class Watches:
    """When each watch was last heard: a stream that opens, an event, a bookmark.

    Args:
        paths: of the watches that there have to be.
        clock: seconds that never fall.
    """

    def __init__(self, paths: Iterable[str], clock: Callable[[], float]) -> None:
        self._heard: dict[str, float | None] = dict.fromkeys(paths)
        self._refused: set[str] = set()
        self._streams: dict[str, tuple[aiohttp.StreamReader, int]] = {}
        self._clock = clock

    def heard(self) -> dict[str, float | None]:
        """When each was last heard, as far as the latest look; None: it was never connected."""
        return dict(self._heard)

    def refused(self) -> frozenset[str]:
        """Those that the API server forbids: without rights in the namespace, or without the namespace."""
        return frozenset(self._refused)

    def look(self) -> None:
        """See on which streams something came since the last look."""
        for path, (stream, before) in self._streams.items():
            if stream.total_bytes != before:
                self._streams[path] = stream, stream.total_bytes
                self._heard[path] = self._clock()

    def trace(self) -> aiohttp.TraceConfig:
        """What a session needs so that its watches are listened to."""
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._opened)
        return config

    async def _opened(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, asked: aiohttp.TraceRequestEndParams
    ) -> None:
        path, status = asked.url.path, asked.response.status
        if status == 403:
            self._refused.add(path)
        elif status == 200:
            self._refused.discard(path)
        if status == 200 and "watch" in asked.url.query:
            self._streams[path] = asked.response.content, 0
            self._heard[path] = self._clock()


def register_login(registry: kopf.OperatorRegistry, watches: Watches, open_session: OpenSession) -> None:
    """Have kopf watch over sessions that are listened to, with the credentials of all other requests."""
    last: list[float] = []

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        now = asyncio.get_running_loop().time
        if last and now() - last[-1] < LOGIN_PAUSE:
            await asyncio.sleep(LOGIN_PAUSE)
        last[:] = [now()]
        server, session = await open_session(watches.trace())
        return kopf.AiohttpSession(server=server, aiohttp_session=session)
