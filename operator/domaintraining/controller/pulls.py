"""Pulls of models: one task for each server and model; the server itself keeps what was pulled.

A pull that the controller forgets, because it was killed, goes on where it was when it is asked for again.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from domaintraining.controller.models import words

Model = tuple[str, str]
MAX_LINE: Final = 65_536
SILENCE: Final = aiohttp.ClientTimeout(total=None, connect=5, sock_read=300)
NOT_FOUND: Final = ("file does not exist", "not found", "no such")


@dataclass
class PullState:
    """How far a pull is."""

    percent: int = 0
    done: bool = False
    error: str = ""
    not_found: bool = False
    """Whether the registry does not have the model."""
    ended_at: float = 0.0
    """Monotonic seconds."""


class Pulls:
    """All pulls of this controller."""

    def __init__(self) -> None:
        self._states: dict[Model, PullState] = {}
        self._tasks: dict[Model, asyncio.Task[None]] = {}

    def state(self, endpoint: str, model: str) -> PullState | None:
        """How far a pull is; None: there is none."""
        return self._states.get((endpoint, model))

    def age(self, endpoint: str, model: str) -> float:
        """Seconds since a pull ended; 0 while it goes on."""
        state = self._states.get((endpoint, model))
        return time.monotonic() - state.ended_at if state and state.ended_at else 0.0

    def forget(self, endpoint: str, model: str) -> None:
        """Let the next look start a pull anew."""
        if (endpoint, model) not in self._tasks:
            self._states.pop((endpoint, model), None)

    def start(self, endpoint: str, model: str, on_change: Callable[[], None]) -> None:
        """Start a pull unless it is going on; `on_change` is called whenever the percentage changes."""
        key = (endpoint, model)
        if key in self._tasks:
            return
        state = self._states[key] = PullState()
        self._tasks[key] = asyncio.create_task(self._run(key, state, on_change), name=f"pull {model}")

    async def close(self) -> None:
        """End all pulls; the servers keep what they have."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Model, state: PullState, on_change: Callable[[], None]) -> None:
        try:
            await _pull(key, state, on_change)
            if not state.done and not state.error:
                state.error = "the server ended the pull without success"
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            state.error = words(str(error) or type(error).__name__)
        finally:
            state.ended_at = time.monotonic()
            self._tasks.pop(key, None)
            on_change()


async def _pull(key: Model, state: PullState, on_change: Callable[[], None]) -> None:
    endpoint, model = key
    sizes: dict[str, tuple[int, int]] = {}
    async with (
        aiohttp.ClientSession(timeout=SILENCE, trust_env=False, read_bufsize=MAX_LINE) as session,
        session.post(f"{endpoint}/api/pull", json={"model": model}, allow_redirects=False) as reply,
    ):
        async for line in reply.content:
            values = json.loads(line)
            if isinstance(values, dict) and _take(values, state, sizes):
                on_change()
        if reply.status != 200 and not state.error:
            state.error = f"/api/pull answers {reply.status}"


def _take(values: dict[str, Any], state: PullState, sizes: dict[str, tuple[int, int]]) -> bool:
    """One line of a pull's stream; gives whether what is shown changed."""
    if "error" in values:
        state.error = words(values["error"])
        state.not_found = any(text in state.error for text in NOT_FOUND)
        return True
    if values.get("status") == "success":
        state.done, state.percent = True, 100
        return True
    total, completed = values.get("total"), values.get("completed", 0)
    if not isinstance(total, int) or not isinstance(completed, int) or total <= 0:
        return False
    sizes[str(values.get("digest", ""))[:128]] = (min(completed, total), total)
    percent = 100 * sum(done for done, _ in sizes.values()) // sum(size for _, size in sizes.values())
    changed = percent > state.percent
    state.percent = max(state.percent, min(percent, 99))
    return changed
