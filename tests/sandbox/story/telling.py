"""What the story says while it goes on, and what it shows at its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.sandbox.api import ApiError
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say

LIFE_SECONDS = 2.0
HEADINGS = ("step", "what happened", "calls", "seconds")


@dataclass(frozen=True)
class Scene:
    """One step as it ended: what it was, what happened, calls of the model server, seconds."""

    title: str
    happened: str
    calls: int
    seconds: float


@contextmanager
def alive(say: Say, seen: Callable[[], str]) -> Iterator[None]:
    """Says every 2 seconds how long it has taken by now, and what is seen of it."""
    over, begun = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(LIFE_SECONDS):
            say(f"  {time.monotonic() - begun:4.0f} s  {_seen(seen)}".rstrip())

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _seen(seen: Callable[[], str]) -> str:
    """What is seen; nothing while there is nobody to ask yet."""
    try:
        return seen()
    except (OSError, ApiError, SandboxError):
        return ""


def table(scenes: Sequence[Scene]) -> list[str]:
    """The steps as aligned lines; numbers at the right."""
    rows = [HEADINGS, *((one.title, one.happened, str(one.calls), f"{one.seconds:.1f}") for one in scenes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def as_json(scenes: Sequence[Scene], seconds: float) -> str:
    """The same for programs, with the seconds of all, which has starting and stopping in it."""
    steps = [
        {
            "step": one.title,
            "happened": one.happened,
            "calls": one.calls,
            "seconds": round(one.seconds, 1),
        }
        for one in scenes
    ]
    return json.dumps({"model": "simulated", "steps": steps, "seconds": round(seconds, 1)}, indent=2)
