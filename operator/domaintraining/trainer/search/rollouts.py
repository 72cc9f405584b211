"""Where DSPy's cache would be: nothing is kept here, all answers are in the journal.

DSPy tells its cache, and nobody else, which rollout of a call is meant: the number that makes MIPROv2's
proposals differ where their prompts are equal. So this cache answers nothing and remembers that number for
the engine, which is called next in the same thread. DSPy's own cache would pickle and has no single flight.
"""

import threading
from typing import Any

from dspy.clients.cache import Cache


class Rollouts(Cache):  # type: ignore[misc]
    """A cache that never has an answer."""

    def __init__(self) -> None:
        super().__init__(enable_disk_cache=False, enable_memory_cache=False, disk_cache_dir=None)
        self._here = threading.local()

    def get(self, request: dict[str, Any], ignored_args_for_cache_key: list[str] | None = None) -> None:  # noqa: ARG002
        """Remember the rollout of a call that is going to be made in this thread."""
        self._here.rollout = request.get("rollout_id")

    def put(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""

    def current(self) -> int | None:
        """The rollout of the call that this thread makes now, once."""
        rollout: int | None = getattr(self._here, "rollout", None)
        self._here.rollout = None
        return rollout
