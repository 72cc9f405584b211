"""How long the model server has been failing, seen over all threads, and how long to pause. No I/O."""

import math
import random
import threading
from collections.abc import Callable, Iterator
from typing import Final

ANNOUNCED_AFTER: Final = 3
"""Failures in a row, over all calls, that are more than a hiccup."""
LONG_FAILURE_SECONDS: Final = 30.0
"""A call that failed only after so long is announced at once."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


def pauses(uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Seconds to pause after each failure, without end: doubling up to 30 s, each with jitter of half.

    See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (equal jitter).
    """
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield uniform(longest / 2, longest)
        longest = min(longest * 2, LONGEST_PAUSE_SECONDS)


class Outage:
    """The time since the first failure after which no call was begun and answered.

    Args:
        budget_seconds: how long failures may go on.
        clock: seconds that never fall.
        on_wait: told what failed, once an outage is more than a hiccup.
        on_recovered: told when a call was answered after that.
    """

    def __init__(
        self,
        budget_seconds: float,
        clock: Callable[[], float],
        on_wait: Callable[[str], None],
        on_recovered: Callable[[], None],
    ) -> None:
        self._budget = budget_seconds
        self._clock = clock
        self._on_wait = on_wait
        self._on_recovered = on_recovered
        self._lock = threading.Lock()
        self._since: float | None = None
        self._answered_at = -math.inf
        self._failures = 0
        self._announced = False
        self._waited = 0.0

    def failed(self, what: str, lasted: float) -> bool:
        """Notes a failed call that lasted so many seconds; whether the budget is used up.

        One that began before the last answer tells of what is over: it makes no new outage.
        """
        now = self._clock()
        with self._lock:
            if now - lasted < self._answered_at:
                return False
            self._since = now if self._since is None else self._since
            self._failures += 1
            grave = self._failures >= ANNOUNCED_AFTER or lasted >= LONG_FAILURE_SECONDS
            if grave and not self._announced:
                self._announced = True
                self._on_wait(what)
            return now - self._since >= self._budget

    def answered(self, lasted: float) -> None:
        """Notes a call that was answered after so many seconds: the outage, if there was one, is over.

        Unless the call is older: a server that goes away may still answer what it had begun.
        """
        now = self._clock()
        with self._lock:
            if self._since is not None and now - lasted < self._since:
                return
            self._answered_at = now
            if self._since is None:
                return
            self._waited += now - self._since
            self._since, self._failures = None, 0
            if self._announced:
                self._announced = False
                self._on_recovered()

    @property
    def waited_seconds(self) -> float:
        """Seconds lost to outages that are over."""
        with self._lock:
            return self._waited
