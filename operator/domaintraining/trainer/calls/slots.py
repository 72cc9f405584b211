"""Which waiting call goes next, so that the model server reads as little of a prompt twice as it can. Pure.

A server keeps in each slot the prompt that it served there last and reads only what is new in the next one
(llama.cpp's prompt cache). Calls that share all messages but the last, those of one prompt over many texts,
are a lot: a lot stays on the slot that has read it, another slot opens a lot of its own, and only where
there is none does it help with a lot that is already being served.

Reading a prompt once more stops all other streams meanwhile. While there are more calls to come, that is
worth it only for several calls; measured with `make bench-trainer` at 16 slots and 60 samples: 155 s of the
model where every idle slot helps, 139 s where it helps from 4 calls for each slot on, 144 s from 3 or 6.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Prompt = tuple[str, ...]
"""Contents of the messages of a call, in their order."""

FIRST: Final = -1
"""Calls that go before any other, whatever is read twice for them."""
CRITICAL: Final = 0
"""Calls that others can only follow: demos to collect, instructions to propose."""
CERTAIN: Final = 1
"""Calls that nothing but the end waits for: evaluations."""
FEW_SLOTS: Final = 2
"""Up to so many slots the server is busy whatever comes first; only what is read twice counts then."""

WORTH_READING: Final = 4.0
"""Waiting calls for each slot from which on a further slot reads their prompt, while there is more to do."""


class Wish(NamedTuple):
    """When a call should go: the lower rank first, in it the lower order."""

    rank: int = CRITICAL
    order: int = 0


NOT_YET: Final = (float("inf"),)


@dataclass(eq=False, slots=True)
class _Slot:
    cached: Prompt = ()
    lot: "_Lot | None" = None
    """The lot that it serves; None: it is free."""


@dataclass(eq=False, slots=True)
class _Lot:
    first: bool
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
        self._slots: list[_Slot] = []
        self.open(count)
        self._lots: dict[tuple[bool, Prompt], _Lot] = {}
        self._lot_of: dict[Hashable, _Lot] = {}
        self._slot_of: dict[Hashable, _Slot] = {}

    def open(self, count: int) -> None:
        """The server turns out to serve so many calls more at once."""
        self._slots += [_Slot() for _ in range(count)]

    def add(self, call: Hashable, prompt: Prompt, wish: Wish) -> None:
        """One more call waits, or one that waits already is wished for earlier."""
        lot = self._lot_of.get(call)
        if lot is not None:
            lot.wish = min(lot.wish, wish)
            return
        # of one prompt, too, what goes before any other is a lot of its own: the rest would go with it
        key = first, prefix = wish.rank == FIRST, prompt[:-1]
        lot = self._lot_of[call] = self._lots.setdefault(key, _Lot(first, prefix, wish))
        lot.wish = min(lot.wish, wish) if lot.waiting else wish
        enter = lot.waiting.appendleft if wish.rank < CERTAIN else lot.waiting.append
        enter((call, prompt))

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
        chosen = min(((self._preference(lot, free), at) for at, lot in enumerate(lots)), default=None)
        if not free or chosen is None or chosen[0] == NOT_YET:
            return None
        lot = lots[chosen[1]]
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
            del self._lots[lot.first, lot.prefix]

    def _preference(self, lot: _Lot, free: list[_Slot]) -> tuple[float, ...]:
        """What the calls of a lot are sorted by; NOT_YET: its own slots are to serve it."""
        rank = lot.wish.rank if len(self._slots) > FEW_SLOTS else min(lot.wish.rank, CRITICAL)
        held = max((shared(slot.cached, lot.prefix) for slot in free), default=0)
        if held == sum(map(len, lot.prefix)) and held:
            return rank, 0, lot.wish.order
        if not lot.serving:
            return rank, 1, lot.wish.order, -held
        for_each = len(lot.waiting) / (lot.serving + 1)
        much = WORTH_READING if lot.wish.rank == CERTAIN and self._more_to_do() else 1.0
        return (rank, 2, -for_each) if for_each >= much or rank == FIRST else NOT_YET

    def _more_to_do(self) -> bool:
        """Whether the other slots have work: more calls wait than they can take, or are sure to come."""
        critical = (lot.wish.rank == CRITICAL for lot in self._lots.values())
        return any(critical) or len(self) > len(self._slots)


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
