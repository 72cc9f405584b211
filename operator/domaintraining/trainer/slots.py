"""Which waiting call goes next, so that the model server reads as little of a prompt twice as it can. Pure.

A server keeps in each slot the prompt that it served there last and reads only what is new in the next one
(llama.cpp's prompt cache). Calls that share all messages but the last, those of one prompt over many texts,
are a lot: a lot stays on the slot that has read it, another slot opens a lot of its own, and only where
there is none does it help with a lot that is already being served.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Prompt = tuple[str, ...]
"""Contents of the messages of a call, in their order."""

CRITICAL: Final = 0
"""Calls that others can only follow: demos to collect, instructions to propose."""
CERTAIN: Final = 1
"""Calls that nothing but the end waits for: evaluations."""
FEW_SLOTS: Final = 2
"""Up to so many slots the server is busy whatever comes first; only what is read twice counts then."""


class Wish(NamedTuple):
    """When a call should go: the lower rank first, in it the lower order."""

    rank: int = CRITICAL
    order: int = 0


@dataclass(eq=False, slots=True)
class _Slot:
    cached: Prompt = ()
    lot: "_Lot | None" = None
    """The lot that it serves; None: it is free."""


@dataclass(eq=False, slots=True)
class _Lot:
    prefix: Prompt
    wish: Wish
    waiting: deque[tuple[Hashable, Prompt]] = field(default_factory=deque)
    serving: int = 0


class Slots:
    """The waiting calls, and what each slot of the server is taken to hold. Not for several threads.

    Args:
        count: calls that the server serves at once.
    """

    def __init__(self, count: int) -> None:
        self._slots = [_Slot() for _ in range(count)]
        self._lots: dict[Prompt, _Lot] = {}
        self._lot_of: dict[Hashable, _Lot] = {}
        self._slot_of: dict[Hashable, _Slot] = {}

    def add(self, call: Hashable, prompt: Prompt, wish: Wish) -> None:
        """One more call waits, or one that waits already is wished for earlier."""
        lot = self._lots.setdefault(prompt[:-1], _Lot(prompt[:-1], wish))
        lot.wish = min(lot.wish, wish) if lot.waiting else wish
        if call not in self._lot_of:
            lot.waiting.append((call, prompt))
            self._lot_of[call] = lot

    def drop(self, call: Hashable) -> None:
        """A call that waits is not wanted any more."""
        lot = self._lot_of.pop(call, None)
        if lot is not None:
            lot.waiting = deque(one for one in lot.waiting if one[0] != call)
            self._forget(lot)

    def take(self) -> Hashable | None:
        """The call to send now; None where no slot is free or no call waits."""
        free = [slot for slot in self._slots if slot.lot is None]
        lots = [lot for lot in self._lots.values() if lot.waiting]
        if not free or not lots:
            return None
        lot = min(lots, key=lambda one: self._preference(one, free))
        call, prompt = lot.waiting.popleft()
        del self._lot_of[call]
        slot = max(free, key=lambda one: shared(one.cached, prompt, partly=True))
        slot.cached, slot.lot = prompt, lot
        lot.serving += 1
        self._slot_of[call] = slot
        return call

    def free(self, call: Hashable) -> None:
        """A call that was sent has ended."""
        slot = self._slot_of.pop(call)
        assert slot.lot is not None
        slot.lot.serving -= 1
        self._forget(slot.lot)
        slot.lot = None

    def __len__(self) -> int:
        """Calls that wait."""
        return len(self._lot_of)

    def _forget(self, lot: _Lot) -> None:
        if not lot.waiting and not lot.serving:
            del self._lots[lot.prefix]

    def _preference(self, lot: _Lot, free: list[_Slot]) -> tuple[float, ...]:
        rank = lot.wish.rank if len(self._slots) > FEW_SLOTS else 0
        held = max(shared(slot.cached, lot.prefix) for slot in free)
        if held == sum(map(len, lot.prefix)) and held:
            return rank, 0, lot.wish.order
        if not lot.serving:
            return rank, 1, lot.wish.order, -held
        return rank, 2, -len(lot.waiting) / (lot.serving + 1)


def shared(cached: Prompt, prompt: Prompt, *, partly: bool = False) -> int:
    """Characters at the start of a prompt that a slot has read: whole messages, or also a part of one."""
    total = 0
    for old, new in zip(cached, prompt, strict=False):
        if old != new:
            return total + (_same(old, new) if partly else 0)
        total += len(new)
    return total


def _same(left: str, right: str) -> int:
    """Characters that two texts share at their start: halving is faster here than comparing one by one."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
