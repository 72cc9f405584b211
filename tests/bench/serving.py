"""One side of a case: a fresh simulated server, the client in a process of its own, and what was seen."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from tests.bench.cases import Case, Side
from tests.bench.clock import Client, loop_for
from tests.sandbox.simulated_ollama.latency import Call, Message, Slot, Slots, Speed, Timing
from tests.sandbox.simulated_ollama.models import Model
from tests.sandbox.simulated_ollama.request import FOREVER
from tests.sandbox.simulated_ollama.running import Listener
from tests.sandbox.simulated_ollama.server import Options, Server

MODEL: Final = "qwen3:32b"
REPOSITORY: Final = Path(__file__).parents[2]
MOST_SLOTS: Final = 64
"""Calls that a trainer has in flight at most."""
SIDE_SECONDS: Final = 7200.0
"""Real time after which a side is taken for one that hangs."""
PASSING_SCALE: Final = 0.01
"""Seconds of the passing clock for a model second: connections then stay open for 7,500 model seconds."""


CLIENTS: Final[Mapping[str, str]] = {
    "plain": "tests.bench.side",
    "trainer": "tests.bench.side",
    "pod": "tests.bench.pod",
}
"""Modules that are started for the sides."""


class SideError(Exception):
    """A side ended without a result; says why."""


@dataclass(slots=True)
class Turn:
    """One call as the server saw it; times in seconds of the loop's clock."""

    messages: tuple[Message, ...]
    slot: int
    came: float
    began: float
    read: float = 0.0
    """When its prompt was read."""
    ended: float = 0.0
    prompt: int = 0
    prefilled: int = 0
    decoded: int = 0


@dataclass(slots=True)
class Seen:
    """What a side did."""

    began: float
    ended: float
    scale: float
    turns: list[Turn]
    said: dict[str, Any] = field(default_factory=dict)
    """What the client said of itself at its end."""

    @property
    def seconds(self) -> float:
        """Model seconds that it took."""
        return (self.ended - self.began) / self.scale


class RecordedSlots(Slots):
    """Slots that note every call."""

    def __init__(self, count: int, speed: Speed) -> None:
        super().__init__(count, speed)
        self.turns: list[Turn] = []
        self.asked = 0
        """Calls that are waiting or being served."""
        self._of: dict[int, Turn] = {}

    @asynccontextmanager
    async def serve(self, messages: tuple[Message, ...]) -> AsyncIterator[Call]:
        """As the base class, and noted."""
        self.asked += 1
        try:
            async with super().serve(messages) as call:
                try:
                    yield call
                finally:
                    turn = self._of.pop(id(call.timing))
                    turn.decoded = call.written
                    turn.ended = asyncio.get_running_loop().time()
        finally:
            self.asked -= 1

    async def _read(self, slot: Slot, messages: tuple[Message, ...], timing: Timing) -> None:
        clock = asyncio.get_running_loop().time
        turn = Turn(messages, slot.number, clock() - timing.waited, clock(), prompt=timing.prompt_tokens)
        self.turns.append(turn)
        self._of[id(timing)] = turn
        await super()._read(slot, messages, timing)
        turn.read, turn.prefilled = clock(), timing.prefilled


def chain_tokens(case: Case) -> float:
    """Tokens of the longest chain of calls that wait for one another, as the trainer knows it.

    Measured: what the trainer takes where prompts cost nothing and no call slows or waits for another.
    """
    free = Speed(prefill=1e9, crowding=0.0, scale=PASSING_SCALE)
    return _run(replace(case, slots=MOST_SLOTS), "trainer", free, real=False).seconds * free.decode


def measured(case: Case, side: Side | Literal["pod"], *, real_scale: float | None = None) -> Seen:
    """Run one side of a case.

    Args:
        case: the row.
        side: which client; `pod` is the whole trainer, see `tests.bench.pod`.
        real_scale: real seconds for a model second; None: the passing clock.

    Raises:
        SideError: the client failed; with the end of what it wrote.
    """
    speed = Speed(scale=PASSING_SCALE if real_scale is None else real_scale)
    return _run(case, side, speed, real=real_scale is not None)


def _run(case: Case, side: str, speed: Speed, *, real: bool) -> Seen:
    client = Client()
    with asyncio.Runner(loop_factory=lambda: loop_for(client, real=real)) as runner:
        return runner.run(_measured(case, side, speed, client))


async def _measured(case: Case, side: str, speed: Speed, client: Client) -> Seen:
    options = Options((Model.parsed(MODEL),), slots=case.slots, time_scale=speed.scale)
    listener = Listener(options, "127.0.0.1", 0)
    listener.server = Server(options)
    slots = RecordedSlots(case.slots, speed)
    listener.server.slots = slots
    client.waits_for_server = lambda: slots.asked > 0
    await listener.server._load(listener.server._model(MODEL), options.context, FOREVER)
    await listener.start()
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as written, os.fdopen(reader, "rb", buffering=0) as words:
        wanted = json.dumps({**asdict(case), "side": side, "url": listener.url, "model": MODEL})
        child = subprocess.Popen(  # noqa: ASYNC220 - it only starts here
            [sys.executable, "-m", CLIENTS[side], str(writer), wanted],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": "operator:."},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
        )
        os.close(writer)
        client.pid = child.pid
        watchdog = threading.Timer(SIDE_SECONDS, child.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            began, ended, said = await _listen(words.fileno())
        finally:
            watchdog.cancel()
            client.pid = None
            child.kill()
            child.wait()
            await listener.stop()
        if said is None:
            written.seek(0)
            raise SideError(f"{case.name}, {side}: " + written.read()[-3000:].decode(errors="replace"))
    return Seen(began, ended, speed.scale, slots.turns, said)


async def _listen(words: int) -> tuple[float, float, dict[str, Any] | None]:
    """When the client began and ended, and what it said; None where it went away before."""
    loop = asyncio.get_running_loop()
    told = bytearray()
    lines: list[float] = []
    through = asyncio.Event()

    def read() -> None:
        chunk = os.read(words, 65_536)
        told.extend(chunk)
        lines.extend([loop.time()] * chunk.count(b"\n"))
        if not chunk or len(lines) == 2:
            loop.remove_reader(words)
            through.set()

    loop.add_reader(words, read)
    await through.wait()
    if len(lines) < 2:
        return 0.0, 0.0, None
    return lines[0], lines[1], json.loads(told.split(b"\n")[1])
