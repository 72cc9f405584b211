"""What each of the compared models has cost, over all attempts; the baseline is no model's."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from domaintraining.api.budget import Spent, SpentOn


class Costs:
    """Calls and running time of each compared model; used by many threads at once.

    Args:
        earlier: what earlier attempts cost. What a killed pod had not reported yet, at most some seconds of
            work, is in no number.
        clock: seconds that never fall.
    """

    def __init__(self, earlier: Spent | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        before = (earlier.models if earlier else None) or []
        self._clock, self._lock = clock, threading.Lock()
        self._seconds = defaultdict[str, float](float, {one.name: one.seconds for one in before})
        self._calls = Counter({one.name: one.calls for one in before})
        self._since: tuple[str, float] | None = None

    @contextmanager
    def of(self, model: str) -> Iterator[None]:
        """Count for a model, for the time of the block; there is one at a time."""
        with self._lock:
            self._since = model, self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[model] += self._running(model)
                self._since = None

    def answered(self, model: str) -> None:
        """A call was answered; it counts where its model is the one that is counted for."""
        with self._lock:
            if self._since is not None and self._since[0] == model:
                self._calls[model] += 1

    def on(self, model: str) -> SpentOn:
        """What a model has cost so far."""
        with self._lock:
            seconds = self._seconds[model] + self._running(model)
            return SpentOn(name=model, calls=self._calls[model], seconds=round(seconds, 1))

    def spent(self) -> list[SpentOn] | None:
        """What all have cost so far; None: there is nothing to tell apart."""
        with self._lock:
            names = list(dict.fromkeys([*self._seconds, *self._calls, *(self._since or ())[:1]]))
        return [self.on(name) for name in names] or None

    def _running(self, model: str) -> float:
        """Seconds since the block began, where it is a model's."""
        if self._since is None or self._since[0] != model:
            return 0.0
        return self._clock() - self._since[1]
