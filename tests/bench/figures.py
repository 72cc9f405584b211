"""What the two sides of a case amount to: seconds, limit, use of the slots. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domaintraining.api.spec import TASKS
from tests.bench.cases import Case, Side
from tests.bench.limit import Prompt, floor_seconds, limit_seconds, tree_tokens
from tests.bench.serving import Seen, Turn
from tests.sandbox.simulated_ollama.latency import Speed

BUCKETS: Final = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """One side of a case in numbers."""

    seconds: float
    """Model seconds."""
    calls: int
    prefilled: int
    """Prompt tokens that were read, a shared start as often as a slot did not hold it."""
    tree: int
    """Prompt tokens that had to be read at least."""
    decoded: int
    limit: float
    """Model seconds that these calls need at least."""
    idle: float
    """Part of the slots' time in which they served nobody, 0 to 1."""
    cpu_seconds: float
    """Real processor time of the client."""
    peak_mib: float
    """Most memory of the client, imports included."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case: both sides, and whether they found the same."""

    case: Case
    plain: Figures
    trainer: Figures
    same_program: bool
    """Programs and trial scores of both tasks are equal."""
    chain: float = 0.0
    """Tokens of the longest chain of answers that wait for one another; 0: not measured."""

    @property
    def ratio(self) -> float:
        """How many times faster the trainer is."""
        return self.plain.seconds / self.trainer.seconds

    @property
    def over_limit(self) -> float:
        """The trainer's time by the limit."""
        return self.trainer.seconds / self.trainer.limit

    @property
    def floor(self) -> float:
        """Seconds that the trainer's calls need at least, since some of them wait for others."""
        own = self.trainer
        return floor_seconds(own.tree, own.decoded, self.chain, self.case.slots, Speed())

    @property
    def holds(self) -> bool:
        """Whether the trainer found the same with no more calls."""
        return self.same_program and self.trainer.calls <= self.plain.calls


def figures_of(seen: Seen, slots: int) -> Figures:
    """The numbers of one side."""
    tree = tree_tokens(turn.messages for turn in seen.turns)
    decoded = sum(turn.decoded for turn in seen.turns)
    busy = sum(turn.ended - turn.began for turn in seen.turns)
    return Figures(
        seconds=seen.seconds,
        calls=len(seen.turns),
        prefilled=sum(turn.prefilled for turn in seen.turns),
        tree=tree,
        decoded=decoded,
        limit=limit_seconds(tree, decoded, slots, Speed()),
        idle=max(0.0, 1 - busy / slots / (seen.ended - seen.began)),
        cpu_seconds=seen.said["cpuSeconds"],
        peak_mib=seen.said["peakBytes"] / 2**20,
    )


def row_of(case: Case, plain: Seen, trainer: Seen, chain: float = 0.0) -> Row:
    """A case from what was seen of its sides."""
    same = all(plain.said[what] == trainer.said[what] for what in ("programs", "trials"))
    return Row(case, figures_of(plain, case.slots), figures_of(trainer, case.slots), same, chain)


def calls_of(case: Case, side: Side, seen: Seen) -> Iterable[dict[str, Any]]:
    """Each call of a side for the trace, without its text; times in model seconds from the begin."""

    def since(moment: float) -> float:
        return round((moment - seen.began) / seen.scale, 3)

    for turn in sorted(seen.turns, key=lambda turn: turn.began):
        yield {
            "samples": case.samples,
            "auto": case.auto,
            "slots": case.slots,
            "side": side,
            "slot": turn.slot,
            "came": since(turn.came),
            "start": since(turn.began),
            "read": since(turn.read),
            "end": since(turn.ended),
            "prompt": turn.prompt,
            "prefilled": turn.prefilled,
            "decoded": turn.decoded,
            "turns": len(turn.messages),
            "kind": kind_of(turn.messages),
            "prefix": digest_of(turn.messages[:-1]),
            "text": digest_of(turn.messages[-1:]),
        }


def kind_of(messages: Prompt) -> str:
    """What a call is for: `entities`, `relations` or `proposal`."""
    system = messages[0][1]
    return next((task for task in TASKS if f'\n- "{task}": a list of' in system), "proposal")


def digest_of(messages: Prompt) -> str:
    """Some hex digits that tell prompts apart without their text."""
    return hashlib.sha256(repr(messages).encode()).hexdigest()[:10]


def timeline(seen: Seen, slots: int) -> list[tuple[float, float, float]]:
    """For each tenth of a side's time the parts of the slots' time spent writing, reading and idle."""
    width = (seen.ended - seen.began) / BUCKETS
    found = []
    for number in range(BUCKETS):
        low = seen.began + number * width
        reading = _overlap(seen.turns, low, low + width, writing=False) / (width * slots)
        writing = _overlap(seen.turns, low, low + width, writing=True) / (width * slots)
        found.append((writing, reading, max(0.0, 1 - reading - writing)))
    return found


def _overlap(turns: Sequence[Turn], low: float, high: float, *, writing: bool) -> float:
    spans = ((turn.read, turn.ended) if writing else (turn.began, turn.read) for turn in turns)
    return sum(max(0.0, min(high, end) - max(low, begin)) for begin, end in spans)
