"""What a run may still cost. At its end the search goes on with what is answered, and asks nothing more."""

import threading
import time
from collections.abc import Callable
from typing import Final

from domaintraining.api.budget import Limits, Spent, SpentOn

SLACK: Final = 16
"""Calls that may be on their way before those that score what the searches start from."""


class BudgetSpent(BaseException):
    """A call would go beyond the budget. Not an Exception: DSPy catches those and scores 0."""


class Budget:
    """The budget of a run and what it has cost, over all attempts; used by many threads at once.

    Args:
        limits: what it may cost; an absent limit is none.
        earlier: what earlier attempts cost.
        answered: calls that the model servers answered in this attempt.
        clock: seconds that never fall.
        short: those of them that measured how much a server serves at once; nobody reserves them.
        models: what of it was for each compared model; None: there is one.
    """

    def __init__(  # noqa: PLR0913 - what a budget is reckoned from
        self,
        limits: Limits,
        earlier: Spent,
        answered: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        *,
        short: Callable[[], int] = lambda: 0,
        models: Callable[[], list[SpentOn] | None] = lambda: None,
    ) -> None:
        self._limits, self._earlier, self._models = limits, earlier, models
        self._answered, self._clock, self._short = answered, clock, short
        self._began = clock()
        self._lock = threading.Lock()
        self._before = self._reserved = self._short_before = 0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self._limits.calls is not None or self._limits.seconds is not None

    def spent(self) -> Spent:
        """What the run has cost so far."""
        calls = self._earlier.calls + self._answered()
        return Spent(seconds=round(self._seconds(), 1), calls=calls, models=self._models())

    def part(self, parts: int, own: SpentOn, least: int = 0, later: int = 0) -> "Budget":
        """The budget of one search of several that are still to be made: an equal part of what is left.

        What one leaves over is the others'. A search that an earlier attempt began gets the part that it had
        then.

        Args:
            parts: searches still to be made, this one among them.
            own: what this one has cost already.
            least: calls that it gets in any case, as far as there are any; once, over all attempts.
            later: calls that are not its own beyond those: the others' least.
        """
        used = self.spent()

        def equal(left: float, own_spent: float) -> float:
            return min(left, max(0.0, (left + own_spent) / parts - own_spent))

        calls, seconds = self._limits.calls, self._limits.seconds
        if calls is not None:
            left = max(0, calls - used.calls)
            least = max(0, least - own.calls)
            calls = used.calls + min(left, max(least, min(int(equal(left, own.calls)), left - later)))
        if seconds is not None:
            seconds = used.seconds + equal(max(0.0, seconds - used.seconds), own.seconds)
        limits = Limits(calls=calls, seconds=seconds)
        part = Budget(limits, self._earlier, self._answered, self._clock, short=self._short)
        part._began = self._began
        return part

    def leaving(self, calls: int) -> "Budget":
        """The same budget without its last calls, for what comes before something that needs them."""
        most = self._limits.calls
        limits = self._limits.model_copy(update={"calls": None if most is None else max(0, most - calls)})
        less = Budget(limits, self._earlier, self._answered, self._clock, short=self._short)
        less._began = self._began
        return less

    def begin(self) -> None:
        """Count every call from now on when it is sent; none is in flight."""
        with self._lock:
            self._before, self._reserved, self._short_before = self._answered(), 0, self._short()

    def reserve(self) -> bool:
        """Count one more call; whether the budget has it."""
        with self._lock:
            most, short = self._limits.calls, self._short() - self._short_before
            used = self._earlier.calls + self._before + self._reserved + short
            if self.seconds_left == 0.0 or (most is not None and used >= most):
                return False
            self._reserved += 1
            return True

    def release(self) -> None:
        """A call that was counted is not sent."""
        with self._lock:
            self._reserved -= 1

    @property
    def seconds_left(self) -> float | None:
        """Seconds that may still pass; None: as many as it takes."""
        most = self._limits.seconds
        return None if most is None else max(0.0, most - self._seconds())

    def _seconds(self) -> float:
        return self._earlier.seconds + self._clock() - self._began
