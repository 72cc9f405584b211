"""Waiting for a state with a deadline, instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.03


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 30.0) -> T:
    """Looks again and again and gives the first answer that is true.

    Raises AssertionError with `what` and the last answer after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last seen: {found!r}")
        time.sleep(PAUSE_SECONDS)
