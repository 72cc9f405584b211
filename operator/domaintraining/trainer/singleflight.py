"""Equal calls wait for each other instead of being sent twice.

DSPy's Evaluate sends a call again that takes longer than 120 s (ParallelExecutor's stragglers). The copy has
the same bytes; behind this gate it waits for the first one and then finds its answer in DSPy's cache.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class SingleFlight:
    """One gate for each key; keys nobody waits for are forgotten."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._gates: dict[str, tuple[Lock, int]] = {}

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Hold the gate of a key: whoever else asks for it waits until it is given back, also by an error."""
        with self._guard:
            gate, waiting = self._gates.get(key, (Lock(), 0))
            self._gates[key] = (gate, waiting + 1)
        try:
            with gate:
                yield
        finally:
            self._leave(key)

    def _leave(self, key: str) -> None:
        with self._guard:
            gate, waiting = self._gates[key]
            if waiting > 1:
                self._gates[key] = (gate, waiting - 1)
            else:
                del self._gates[key]

    def __len__(self) -> int:
        """Keys that somebody holds or waits for."""
        with self._guard:
            return len(self._gates)
