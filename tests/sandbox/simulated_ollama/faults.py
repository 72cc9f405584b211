"""Failures to order.

Which calls go wrong, and how. A seeded generator decides, so that a test can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Fault = Literal["busy", "reset", "cut", "garbage", "slow", "waver", ""]


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Rates are shares of /api/chat calls, 0 to 1; together at most 1.

    Args:
        busy_rate: answered with 503, as a server whose queue is full.
        reset_rate: the connection is torn off before the answer.
        cut_rate: the answer ends early: `done` is false, no done_reason.
        garbage_rate: the answer is no JSON of the schema (the model ran away); done_reason is length.
        slow_rate: the answer comes `slow_seconds` late.
        slow_seconds: see slow_rate; real seconds.
        waver_rate: answered as with another seed at temperature 1: equal calls differ, as they may on a
            real server that serves several at once.
        pull_break_rate: share of a model that each pull fetches before it ends with an error line;
            0: none ends so.
        refuse_seconds: nobody listens for so long, from now on.
        remove: this model is gone, from now on.
        seed: of the generator that decides which calls go wrong.
    """

    busy_rate: float = 0.0
    reset_rate: float = 0.0
    cut_rate: float = 0.0
    garbage_rate: float = 0.0
    slow_rate: float = 0.0
    slow_seconds: float = 0.0
    waver_rate: float = 0.0
    pull_break_rate: float = 0.0
    refuse_seconds: float = 0.0
    remove: str = ""
    seed: int = 1

    def __post_init__(self) -> None:
        rates = [getattr(self, field.name) for field in fields(self) if field.name.endswith("rate")]
        if any(not 0 <= rate <= 1 for rate in rates) or sum(rates) - self.pull_break_rate > 1:
            raise ValueError("rates must be between 0 and 1, and those of calls at most 1 together")
        if self.slow_seconds < 0 or self.refuse_seconds < 0:
            raise ValueError("seconds must not be negative")

    @classmethod
    def parsed(cls, body: Mapping[str, Any]) -> Faults:
        """The faults of a JSON object with these names.

        Raises:
            ValueError: an unknown name, or a rate that cannot be.
            TypeError: a value of another type.
        """
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in body.items():
            if name not in known:
                raise ValueError(f"unknown fault {name!r}; known are {', '.join(known)}")
            allowed = (int, float) if known[name] is float else known[name]
            if not isinstance(value, allowed) or isinstance(value, bool):
                raise TypeError(f"{name} must be a {known[name].__name__}")
        return cls(**body)


class FaultPlan:
    """Decides for each call, in the order they come, whether it goes wrong."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.set(faults or Faults())

    def set(self, faults: Faults) -> None:
        """Begin anew with these faults."""
        self.faults = faults
        self._random = random.Random(faults.seed)

    def next(self) -> Fault:
        """What goes wrong with the next call, empty where nothing does."""
        faults = self.faults
        chance = self._random.random()
        for fault, rate in (
            ("busy", faults.busy_rate),
            ("reset", faults.reset_rate),
            ("cut", faults.cut_rate),
            ("garbage", faults.garbage_rate),
            ("slow", faults.slow_rate),
            ("waver", faults.waver_rate),
        ):
            if chance < rate:
                return fault  # type: ignore[return-value]
            chance -= rate
        return ""

    def seed(self) -> int:
        """Another seed for an answer that wavers."""
        return self._random.randrange(2**31)
