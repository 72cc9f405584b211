"""How long a call takes: slots, prefix caches, one prefill at a time, streams that share the decoder.

The model of a server (an assumption, from the facts that the project measured with): 1,500 prompt tokens a
second, one prompt at a time, while which no stream goes on; 40 answer tokens a second for one stream, and a
step that takes 1 + 0.08 (n - 1) times as long with n streams. A call goes to the free slot that holds the
longest part of its prompt; only the rest is read. Calls wait in the order they came.

All streams run at one speed, so that one number, the tokens that each has made since the start, tells when
any of them ends: an event for each end, no sleep for a token.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .text import count_tokens

Message = tuple[str, str]
TURN_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second, what a further stream costs, and how many real seconds a second of the model takes."""

    prefill: float = 1500.0
    decode: float = 40.0
    crowding: float = 0.08
    scale: float = 1.0

    def step(self, streams: int) -> float:
        """Real seconds for one token of each of `streams` streams."""
        return self.scale * (1 + self.crowding * max(streams - 1, 0)) / self.decode


@dataclass(slots=True)
class Slot:
    """One place that serves a call, and the prompt that its cache holds."""

    number: int
    cached: tuple[Message, ...] = ()


@dataclass(slots=True)
class Timing:
    """What a call cost: tokens of its prompt, those read anew, and real seconds."""

    prompt_tokens: int
    prefilled: int = 0
    waited: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass(slots=True)
class Use:
    """What the slots have done so far: tokens, busy slot-seconds (real ones), most calls at once."""

    prompt_tokens: int = 0
    prefilled: int = 0
    decoded: int = 0
    busy_seconds: float = 0.0
    max_in_flight: int = 0
    waiting: int = 0


def prompt_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a prompt, with those that mark each turn."""
    return sum(TURN_TOKENS + count_tokens(content) for _, content in messages)


def shared_tokens(cached: Sequence[Message], messages: Sequence[Message]) -> int:
    """Tokens at the start of a prompt that a cache holds; the last one is always read anew."""
    total = 0
    for old, new in zip(cached, messages, strict=False):
        if old != new:
            if old[0] == new[0]:
                total += TURN_TOKENS + count_tokens(new[1][: _same(old[1], new[1])])
            break
        total += TURN_TOKENS + count_tokens(new[1])
    return min(total, prompt_tokens(messages) - 1)


def _same(left: str, right: str) -> int:
    """How many characters two texts share at their start."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Decoder:
    """The streams that share one processor, each at the same speed."""

    def __init__(self, speed: Speed) -> None:
        self.speed = speed
        self._made = 0.0  # tokens that a stream running from the start would have made
        self._since = 0.0
        self._streams = 0
        self._held = False
        self._ends: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """One more stream for the time of the block."""
        self._count_streams(+1)
        try:
            yield
        finally:
            self._count_streams(-1)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """No stream goes on for the time of the block: a prompt is read. One block at a time."""
        self._advance()
        self._held = True
        try:
            yield
        finally:
            self._advance()
            self._held = False
            self._arm()

    async def make(self, tokens: float) -> None:
        """Wait until a stream has made so many tokens more."""
        if tokens <= 0 or self.speed.scale <= 0:
            await asyncio.sleep(0)
            return
        self._advance()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._ends, (self._made + tokens, next(self._order), done))
        self._arm()
        await done

    def _count_streams(self, change: int) -> None:
        self._advance()
        self._streams += change
        self._arm()

    def _advance(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._streams and not self._held and self.speed.scale > 0:
            self._made += (now - self._since) / self.speed.step(self._streams)
        self._since = now

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ends and self._ends[0][2].done():
            heapq.heappop(self._ends)
        if self._ends and self._streams and not self._held:
            wait = max(self._ends[0][0] - self._made, 0.0) * self.speed.step(self._streams)
            self._timer = asyncio.get_running_loop().call_later(wait, self._end)

    def _end(self) -> None:
        self._advance()
        while self._ends and self._ends[0][0] <= self._made + 1e-6:
            done = heapq.heappop(self._ends)[2]
            if not done.done():
                done.set_result(None)
        self._arm()


@dataclass(slots=True)
class _Waiting:
    messages: tuple[Message, ...]
    turn: asyncio.Future[Slot]


class Slots:
    """The server's places and the queue before them."""

    def __init__(self, count: int, speed: Speed) -> None:
        self.speed = speed
        self.use = Use()
        self.decoder = Decoder(speed)
        self._free = [Slot(number) for number in range(count)]
        self._queue: deque[_Waiting] = deque()
        self._reading = asyncio.Lock()
        self._in_flight = 0

    @asynccontextmanager
    async def serve(self, messages: tuple[Message, ...]) -> AsyncIterator[Call]:
        """Wait for a slot, read the prompt, and hold the slot for the time of the block."""
        clock = asyncio.get_running_loop().time
        came = clock()
        slot = await self._slot(messages)
        began = clock()
        self._in_flight += 1
        self.use.max_in_flight = max(self.use.max_in_flight, self._in_flight)
        try:
            timing = Timing(prompt_tokens(messages), waited=began - came)
            await self._read(slot, messages, timing)
            async with self.decoder.stream():
                yield Call(self, timing)
        finally:
            self._in_flight -= 1
            self.use.busy_seconds += clock() - began
            self._release(slot)

    async def _slot(self, messages: tuple[Message, ...]) -> Slot:
        if self._free:
            return self._nearest(messages)
        waiting = _Waiting(messages, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self.use.waiting = len(self._queue)
        try:
            return await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled():
                self._release(waiting.turn.result())
            elif waiting in self._queue:
                self._queue.remove(waiting)
            raise

    def _nearest(self, messages: tuple[Message, ...]) -> Slot:
        best = max(self._free, key=lambda slot: (shared_tokens(slot.cached, messages), -slot.number))
        self._free.remove(best)
        return best

    def _release(self, slot: Slot) -> None:
        self._free.append(slot)
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.turn.done():
                waiting.turn.set_result(self._nearest(waiting.messages))
                break
        self.use.waiting = len(self._queue)

    async def _read(self, slot: Slot, messages: tuple[Message, ...], timing: Timing) -> None:
        timing.prefilled = timing.prompt_tokens - shared_tokens(slot.cached, messages)
        slot.cached = ()
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._reading, self.decoder.held():
            await asyncio.sleep(self.speed.scale * timing.prefilled / self.speed.prefill)
        timing.prefill_seconds = clock() - began
        slot.cached = messages
        self.use.prompt_tokens += timing.prompt_tokens
        self.use.prefilled += timing.prefilled


@dataclass(slots=True)
class Call:
    """A call that has a slot and has been read; it may now write."""

    slots: Slots
    timing: Timing
    written: int = field(default=0)

    async def write(self, tokens: int) -> None:
        """Write so many tokens more, in the time that this takes beside the other streams."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await self.slots.decoder.make(tokens)
        self.timing.decode_seconds += clock() - began
        self.written += tokens
        self.slots.use.decoded += tokens
