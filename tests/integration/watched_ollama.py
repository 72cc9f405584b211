"""A simulated model server that counts its calls and does something when a certain one comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from tests.integration.waiting import wait_for
from tests.sandbox.simulated_ollama.faults import Faults
from tests.sandbox.simulated_ollama.models import Model, Shelf
from tests.sandbox.simulated_ollama.running import SimulatedOllama
from tests.sandbox.simulated_ollama.server import Options, Server
from tests.sandbox.simulated_ollama.stats import Stats

MODEL: Final = "qwen3:32b"
SLOTS: Final = 4
HANGS: Final = Faults(slow_rate=1, slow_seconds=3600)
"""No call is ever answered."""

Action = Callable[[], object]


class _Asked(Stats):
    """Counts that do something when a call comes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.orders: dict[int, Action] = {}

    def count_prompt(self, body: Mapping[str, Any]) -> str:
        """As the base class; an order for this call is carried out before the call goes on."""
        self.asked += 1
        self.orders.pop(self.asked, lambda: None)()
        return super().count_prompt(body)


class WatchedOllama(SimulatedOllama):
    """A simulated server whose calls are counted and that goes wrong, away and comes back by order.

    Args:
        scale: real seconds for a model second.
        slots: calls that it serves at once.
    """

    def __init__(self, scale: float = 0.0, slots: int = SLOTS) -> None:
        self._options = Options((Model(MODEL),), slots=slots, time_scale=scale)
        super().__init__(self._options)
        self._stats = _Asked()
        self._moving = asyncio.Lock()
        self.usual = Faults()
        """What goes wrong all the time."""

    def start(self) -> str:
        """As the base class."""
        url = super().start()
        self._server.stats = self._stats
        return url

    @property
    def asked(self) -> int:
        """Chat calls that have come, of all clients."""
        return self._stats.asked

    def at(self, call: int, action: Action) -> None:
        """Do something when so many calls more have come, while the last of them is in flight."""
        self._stats.orders[self.asked + call] = action

    def settle(self) -> None:
        """Wait until it has noticed that its clients are gone."""

        def alone() -> bool:
            runner = self._listener._runner
            return runner is None or runner.server is None or not runner.server.connections

        wait_for("no client", alone)

    def go_wrong(self, faults: Faults) -> None:
        """What goes wrong from now on."""
        self._server.plan.set(faults)

    def go_away(self, seconds: float | None = None) -> None:
        """Tear all calls in flight and refuse further ones, for so many seconds or until it comes back."""
        self.go_wrong(HANGS)

        async def leave() -> None:
            await self._listener._close()
            if seconds is not None:
                await asyncio.sleep(seconds)
                await self._return()

        self._move(leave())

    def come_back(self) -> None:
        """Listen again, with nothing in memory."""
        self._move(self._return())

    async def _return(self) -> None:
        self.go_wrong(self.usual)
        self._server._loaded.clear()
        await self._listener.start()

    def lose_model(self) -> None:
        """Its model is removed."""
        self._server._remove(MODEL)

    def regain_model(self) -> None:
        """Its model is there again."""
        self._server.shelf = Shelf(self._options.models, (), self._options.time_scale)

    @property
    def _server(self) -> Server:
        assert self._listener.server is not None
        return self._listener.server

    def _move(self, work: Coroutine[Any, Any, None]) -> None:
        async def in_turn() -> None:
            async with self._moving:
                await work

        asyncio.run_coroutine_threadsafe(in_turn(), self._loop)
