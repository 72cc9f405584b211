"""A simulated server that listens: in this process's loop, or in a thread of its own for tests."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from aiohttp import web

from .faults import Faults
from .server import Options, Server

_START_SECONDS = 10.0
_BACKLOG = 256
_LEAVE_SECONDS = 0.01
"""What calls in flight are left when it goes away; for aiohttp, 0 would be for ever."""
_TURNS = 2
"""Of the loop, from an accepted client to its transport, and to the protocol that learns of it."""


class Listener:
    """One server on one address. For a while nobody may listen there: clients are refused."""

    def __init__(self, options: Options, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._options = options
        self._runner: web.AppRunner | None = None
        self._listening: socket.socket | None = None
        self._away: set[asyncio.Task[None]] = set()
        self.server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; port 0 becomes a free one, and stays this server's.

        Raises:
            OSError: the address is taken.
        """
        if self.server is None:
            self.server = Server(self._options, self._refuse)
        self._runner = web.AppRunner(
            self.server.app(), handler_cancellation=True, access_log=None, shutdown_timeout=_LEAVE_SECONDS
        )
        await self._runner.setup()
        self._listening = _bound(self._host, self._port)
        self._port = self._listening.getsockname()[1]
        await web.SockSite(self._runner, self._listening).start()

    async def stop(self) -> None:
        """Close the address and every connection."""
        for task in self._away:
            task.cancel()
        await self._close()

    async def _close(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await self._accept_no_more()
            await runner.cleanup()

    async def _accept_no_more(self) -> None:
        """Let those that were accepted become known to the runner, which closes only what it knows."""
        listening, self._listening = self._listening, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _refuse(self, seconds: float) -> None:
        task = asyncio.create_task(self._gone(seconds))
        self._away.add(task)
        task.add_done_callback(self._away.discard)

    async def _gone(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # the call that ordered it gets its answer
        await self._close()
        await asyncio.sleep(seconds)
        while True:
            with suppress(OSError):
                await self.start()
                return
            await asyncio.sleep(0.05)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)  # noqa: FBT003 - the library has no name for it
    return bound


class SimulatedOllama:
    """A simulated server in a thread of its own.

    `with SimulatedOllama(Options(models=(Model("qwen3:32b"),))) as server:` starts and stops it.
    """

    def __init__(self, options: Options, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = Listener(options, host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-ollama", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address, once it is started."""
        return self._listener.url

    def start(self) -> str:
        """Listen, and return the address.

        Raises:
            OSError: the address is taken.
        """
        self._thread.start()
        self._done(self._listener.start())
        return self.url

    def stop(self) -> None:
        """Stop; nobody listens when this returns."""
        self._done(self._listener.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    def stats(self, *, trace: bool = False) -> dict[str, Any]:
        """What `GET /simulated/stats` says, also while the server refuses."""
        return self._called(lambda server: server.stats.as_json(server.slots.use, trace=trace))

    def set_faults(self, faults: Faults) -> None:
        """What goes wrong from now on, as `POST /simulated/faults`."""
        body = {name: getattr(faults, name) for name in faults.__dataclass_fields__}
        request = urllib.request.Request(
            self.url + "/simulated/faults", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_START_SECONDS):
            pass

    def _called(self, function: Callable[[Server], dict[str, Any]]) -> dict[str, Any]:
        async def call() -> dict[str, Any]:
            assert self._listener.server is not None
            return function(self._listener.server)

        result: dict[str, Any] = self._done(call())
        return result

    def _done(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)
