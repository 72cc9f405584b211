"""The models of the server: which are there, which can be pulled, and how far each pull has come."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

LEARNER_VERSION = "1"
"""Goes into each model's digest: another version may answer otherwise."""
FAMILY = "simulated"
_LAYER_SHARES = (0.999, 0.0006, 0.0004)
_PULL_BYTES_A_SECOND = 100e6
_TICK = 0.06


@dataclass(frozen=True, slots=True)
class Model:
    """What a model says of itself. `size` in bytes, `context` in tokens; `dimension` of its vectors.

    `build` tells models of one name apart, as a new pull of a tag does; `lapses` is the share of its answers
    to which it has nothing to say, 0 to 1.
    """

    name: str
    capabilities: tuple[str, ...] = ("completion", "tools")
    context: int = 40_960
    size: int = 20_201_253_588
    dimension: int = 1024
    build: str = ""
    lapses: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", full_name(self.name))

    @property
    def digest(self) -> str:
        """SHA-256 of name, build and version of the learner, in hex."""
        parts = [self.name, LEARNER_VERSION, *([self.build] if self.build else [])]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def details(self) -> dict[str, Any]:
        """Ollama's `details`; the family says that nothing is real."""
        return {
            "parent_model": "",
            "format": "gguf",
            "family": FAMILY,
            "families": [FAMILY],
            "parameter_size": "0B",
            "quantization_level": "none",
        }

    @property
    def layers(self) -> list[tuple[str, int]]:
        """Digest and bytes of each layer that a pull fetches."""
        sizes = [max(int(self.size * share), 1) for share in _LAYER_SHARES]
        names = [
            hashlib.sha256(f"{self.digest}\n{number}".encode()).hexdigest() for number in range(len(sizes))
        ]
        return [(f"sha256:{name}", size) for name, size in zip(names, sizes, strict=True)]

    @classmethod
    def parsed(cls, text: str) -> Model:
        """A model from `name[,thinking][,embedding][,context=N][,size=BYTES][,lapses=SHARE]`.

        Raises:
            ValueError: another word, or a number that is none.
        """
        name, *words = text.split(",")
        capabilities = ["completion", "tools"]
        numbers: dict[str, Any] = {}
        for word in words:
            key, _, value = word.partition("=")
            if word == "embedding":
                capabilities = ["embedding"]
            elif word in {"thinking", "vision"}:
                capabilities.append(word)
            elif key in {"context", "size", "dimension"}:
                numbers[key] = int(value)
            elif key == "lapses":
                numbers[key] = float(value)
            else:
                raise ValueError(
                    f"model {name!r}: {word!r} is none of thinking, vision, embedding, context=, size=, "
                    "lapses="
                )
        return cls(name, tuple(capabilities), **numbers)


def full_name(name: str) -> str:
    """A name with its tag: `qwen3` is `qwen3:latest`."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


@dataclass(slots=True)
class Download:
    """A model on its way: bytes of each layer that are there. Interrupted, it keeps them."""

    model: Model
    completed: dict[str, int] = field(default_factory=dict)
    readers: int = 0
    task: asyncio.Task[None] | None = None


class Shelf:
    """The models that are there and those that can be had."""

    def __init__(self, installed: Iterable[Model], pullable: Iterable[Model], scale: float) -> None:
        self._here = {model.name.lower(): (model, datetime.now(UTC)) for model in installed}
        self._elsewhere = {model.name.lower(): model for model in pullable}
        self._downloads: dict[str, Download] = {}
        self._rate = _PULL_BYTES_A_SECOND / max(scale, 1e-6)

    def get(self, name: str) -> Model | None:
        """The model of this name, None where it isn't there; case doesn't count, nor does `:latest`."""
        found = self._here.get(full_name(name).lower())
        return found[0] if found else None

    def all(self) -> list[tuple[Model, datetime]]:
        """Every model that is there and since when, the newest first."""
        return sorted(self._here.values(), key=lambda pair: pair[1], reverse=True)

    def since(self, model: Model) -> datetime:
        """Since when a model is there."""
        return self._here[model.name.lower()][1]

    def remove(self, name: str) -> bool:
        """Delete a model; False where there is none. It can be pulled again."""
        found = self._here.pop(full_name(name).lower(), None)
        if found:
            self._elsewhere[found[0].name.lower()] = found[0]
        return found is not None

    def rebuild(self, name: str, build: str, lapses: float) -> bool:
        """Put another build in the place of a model; False where there is none."""
        found = self._here.get(full_name(name).lower())
        if found:
            renewed = replace(found[0], build=build, lapses=lapses)
            self._here[renewed.name.lower()] = (renewed, datetime.now(UTC))
        return found is not None

    async def pull(self, name: str, breaks: Callable[[], float]) -> AsyncIterator[dict[str, Any]]:
        """The lines of a pull, as /api/pull streams them.

        Two pulls of one model share one download; one that is given up keeps its bytes for the next.

        Args:
            name: of the model.
            breaks: the share of the model that this pull fetches before it fails, 0 where it doesn't.
        """
        yield {"status": "pulling manifest"}
        model = self.get(name) or self._elsewhere.get(full_name(name).lower())
        if model is None:
            yield {"error": "pull model manifest: file does not exist"}
            return
        download = self._downloads.setdefault(model.name, Download(model))
        if self.get(name):
            download.completed = dict(model.layers)
        share = breaks()
        limit = sum(download.completed.values()) + share * model.size if share else 0
        async for line in self._layers(download):
            if limit and sum(download.completed.values()) >= limit and not self.get(name):
                yield {"error": "max retries exceeded: unexpected EOF"}
                return
            yield line
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self._here[model.name.lower()] = (model, datetime.now(UTC))
        self._downloads.pop(model.name, None)
        yield {"status": "success"}

    async def _layers(self, download: Download) -> AsyncIterator[dict[str, Any]]:
        download.readers += 1
        if download.task is None or download.task.done():
            download.task = asyncio.create_task(self._fetch(download))
        try:
            for digest, size in download.model.layers:
                while True:
                    done = download.completed.get(digest, 0)
                    line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
                    yield line | ({"completed": done} if done else {})
                    if done >= size:
                        break
                    await asyncio.sleep(_TICK)
        finally:
            download.readers -= 1
            if not download.readers and download.task is not None:
                download.task.cancel()

    async def _fetch(self, download: Download) -> None:
        clock = asyncio.get_running_loop().time
        for digest, size in download.model.layers:
            before = clock()
            while download.completed.get(digest, 0) < size:
                await asyncio.sleep(min(_TICK / 2, size / self._rate))
                now = clock()
                got = int((now - before) * self._rate) + 1
                download.completed[digest] = min(download.completed.get(digest, 0) + got, size)
                before = now
