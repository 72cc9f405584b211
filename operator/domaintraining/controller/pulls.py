"""Pulls of models: one at a time for each server and model, in the background, with how far they are.

See https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp

from domaintraining.api.model import full_name
from domaintraining.controller.models import (
    UNANSWERED,
    bounded,
    json_object,
    one_line,
    open_session,
    way_to,
    what,
)
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import PLAIN, Reach

TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=5, sock_read=900)
"""A server that checks a large file says nothing for minutes."""
MOST_LAYERS: Final = 1000
LONGEST_DIGEST: Final = 100
MOST_ERROR_BYTES: Final = 65_536
LACKING: Final = ("file does not exist", "not found")

PullLines = Callable[[str, str], AsyncGenerator[dict[str, Any], None]]
"""Endpoint and model to the lines of /api/pull; the seam that tests replace."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullState:
    """How far a pull is; it runs while it is neither done nor has an error."""

    percent: int = 0
    """Part of the known bytes, 0 to 100; 100 only at the end. Falls when the server names a new file."""
    done: bool = False
    """Whether the server has the model."""
    error: str | None = None
    """Why it broke off, up to 300 characters in one line."""
    not_found: bool = False
    """Whether no registry has the model, so that another try is of no use."""
    finished_at: float | None = None
    """When it ended, in seconds since 1970."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.finished_at is None


@dataclass(slots=True)
class _Pull:
    state: PullState
    watchers: dict[Hashable, Callable[[], None]]
    task: asyncio.Task[None] | None = None
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)


class PullError(Exception):
    """A server says why a pull broke off."""


class Pulls:
    """All pulls that this process started; close it at the end.

    A pull whose process dies is asked for again by the next one: the server keeps what it has.
    """

    def __init__(self, lines: PullLines | None = None, clock: Callable[[], float] = time.time) -> None:
        """Take where lines come from (default: HTTP) and the clock."""
        self._lines = lines or http_lines
        self._clock = clock
        self._pulls: dict[tuple[str, str], _Pull] = {}

    def state(self, endpoint: str, model: str) -> PullState | None:
        """How far a pull is, or how it ended; None where none was started or it was forgotten."""
        pull = self._pulls.get(_key(endpoint, model))
        return pull.state if pull else None

    def age(self, endpoint: str, model: str) -> float:
        """Seconds since a pull ended; 0 while it runs or where there is none."""
        state = self.state(endpoint, model)
        if state is None or state.finished_at is None:
            return 0.0
        return max(0.0, self._clock() - state.finished_at)

    def start(
        self, endpoint: str, model: str, on_change: Callable[[], None], watcher: Hashable = None
    ) -> None:
        """Pull a model, again where an earlier pull ended; where one runs, only watch it.

        Args:
            endpoint: URL of an allowed server.
            model: name of an allowed model.
            on_change: called at each whole percent and at the end; must not block.
            watcher: who watches; a second start of one watcher takes the place of the first. None: on_change.
        """
        key = _key(endpoint, model)
        pull = self._pulls.get(key)
        if pull is None or not pull.state.running:
            pull = _Pull(PullState(), {})
            self._pulls[key] = pull
            pull.task = asyncio.create_task(self._follow(pull, endpoint, model), name=f"pull {model}")
        pull.watchers[on_change if watcher is None else watcher] = on_change

    def forget(self, endpoint: str, model: str) -> None:
        """Drop how a pull ended; one that runs goes on and stays."""
        pull = self._pulls.get(_key(endpoint, model))
        if pull is not None and not pull.state.running:
            del self._pulls[_key(endpoint, model)]

    async def close(self) -> None:
        """Stop following; the connection ends and the server stops pulling."""
        tasks = [pull.task for pull in self._pulls.values() if pull.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pulls.clear()

    async def _follow(self, pull: _Pull, endpoint: str, model: str) -> None:
        try:
            await self._read(pull, endpoint, model)
            end = PullState(percent=100, done=True)
        except (PullError, DomainTrainingError, *UNANSWERED) as error:
            text = what(error)
            lacking = isinstance(error, PullError) and any(part in text.lower() for part in LACKING)
            end = PullState(percent=pull.state.percent, error=text, not_found=lacking)
        except Exception as error:
            logger.exception("pull of %s ended", model)
            end = PullState(percent=pull.state.percent, error=what(error))
        pull.layers.clear()
        _change(pull, replace(end, finished_at=self._clock()))

    async def _read(self, pull: _Pull, endpoint: str, model: str) -> None:
        async with aclosing(self._lines(endpoint, model)) as lines:
            async for line in lines:
                if "error" in line:
                    raise PullError(one_line(line["error"]) or "the server gives no reason")
                if line.get("status") == "success":
                    return
                _count(pull.layers, line)
                _change(pull, PullState(percent=_percent(pull.layers)))
        raise PullError("the server ended the pull without success")


async def http_lines(endpoint: str, model: str, reach: Reach = PLAIN) -> AsyncGenerator[dict[str, Any], None]:
    """The lines of a server's /api/pull, JSON objects; an error reply is one line with `error`.

    Raises:
        aiohttp.ClientError, TimeoutError, OSError, ValueError: no answer, or one that can't be read.
    """
    async with (
        open_session(TIMEOUT, reach) as session,
        session.post(
            endpoint.rstrip("/") + "/api/pull",
            json={"model": model, "stream": True},
            proxy=way_to(endpoint, reach),
            allow_redirects=False,
        ) as response,
    ):
        if response.status != 200:
            content = json_object(await bounded(response, MOST_ERROR_BYTES))
            # another server's 404 must not read as a model that no registry has
            said = content.get("error", "it is no reply of Ollama")
            yield {"error": f"{endpoint} answers {response.status}: {one_line(said)}"}
            return
        async for line in response.content:
            if line.strip():
                yield json_object(line)


def _key(endpoint: str, model: str) -> tuple[str, str]:
    return endpoint.rstrip("/"), full_name(model)


def _count(layers: dict[str, tuple[int, int]], line: dict[str, Any]) -> None:
    """Note how far a file is; lines without sizes say nothing about it."""
    digest, total, completed = line.get("digest"), line.get("total"), line.get("completed", 0)
    if not isinstance(digest, str) or len(digest) > LONGEST_DIGEST:
        return
    if not isinstance(total, int) or not isinstance(completed, int):
        return
    if 0 < total < 2**63 and completed >= 0 and (digest in layers or len(layers) < MOST_LAYERS):
        layers[digest] = (min(completed, total), total)


def _percent(layers: dict[str, tuple[int, int]]) -> int:
    total = sum(size for _, size in layers.values())
    return min(99, sum(done for done, _ in layers.values()) * 100 // total) if total else 0


def _change(pull: _Pull, state: PullState) -> None:
    if state == pull.state:
        return
    pull.state = state
    for on_change in list(pull.watchers.values()):
        try:
            on_change()
        except Exception:
            logger.exception("a watcher of a pull failed")
