"""What a run's answers and choices depend on: runs of the same fingerprint share one journal file.

A resource's checks with one model share a file of their own, whatever the samples are: a check chooses
nothing, and the key of an answer has the whole call in it. Runs and checks read each other's answers as those
of earlier runs.
"""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import domaintraining
from domaintraining.api.run import Run
from domaintraining.api.status import ModelStatus

HASH_LENGTH: Final = 32
"""Hex digits kept of SHA-256 for a file's name."""
DIGEST_LENGTH: Final = 12
"""Characters of a model's digest in a folder's name, as `ollama list` shows it."""
PACKAGES: Final = ("dspy", "optuna", "numpy")
"""The search draws from all three."""
PACKAGE: Final = Path(domaintraining.__file__).parent
FOLDERS: Final = ("api", "trainer")
"""Parts of this package that shape prompts and search."""
OF_THE_SEARCH: Final = frozenset({"auto", "optimizer"})
OF_THE_WORDING: Final = frozenset({"types", "instructions"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes two runs the same; none of it is sample text or a secret.

    Budget, journal, concurrency, endpoints, names and what is served are not part of it: with others of
    these the same run goes on. `options` is without keep_alive for the same reason.
    """

    data: str
    """Digest of the samples as they were read."""
    split: Mapping[str, Any]
    """How they are divided, and what is made of the train part."""
    code: str
    """SHA-256 over the program's own source."""
    versions: Mapping[str, str]
    """Versions of Python and of the libraries that draw."""
    model: Mapping[str, str]
    """Name and digest of the model."""
    prompt_model: Mapping[str, str] | None
    """Name and digest of the model that proposes instructions; None: the model itself."""
    options: Mapping[str, Any]
    """Options of task calls."""
    search: Mapping[str, Any]
    """Tasks, mode, options of the search with its seed, and how it compares names: never by embeddings."""
    wording: str
    """SHA-256 over types and instructions of the spec."""
    digests: frozenset[str] = field(init=False)
    """Digests of the models, where they are known."""
    hash: str = field(init=False)
    """32 hex digits of SHA-256 over all parts."""

    def __post_init__(self) -> None:
        """Works out what follows from the parts."""
        object.__setattr__(self, "digests", model_digests(self.parts()))
        object.__setattr__(self, "hash", hash_of(self.parts()))

    @classmethod
    def of_run(cls, run: Run, data_digest: str) -> "Fingerprint":
        """The fingerprint of a run.

        Args:
            run: the run.
            data_digest: digest of its samples as they were read.
        """
        if run.check is not None:
            return cls._of_checks(run)
        written = run.model_dump(mode="json", by_alias=True)
        options = run.options.model_dump(mode="json", by_alias=True, exclude={"keep_alive"})
        return cls(
            data=data_digest,
            split=_dealt(written["data"]),
            code=code_digest(),
            versions=versions(),
            model=_named(run.model),
            prompt_model=None if run.prompt_model is None else _named(run.prompt_model),
            options=options,
            search={key: written[key] for key in sorted(OF_THE_SEARCH)}
            # what MIPROv2 ends with does not depend on what is tried beside it
            | {"optimizer": run.optimizer.model_dump(mode="json", by_alias=True, exclude={"similar_domains"})}
            | {"tasks": sorted(run.tasks), "metric": {"matching": run.metric.letters}},
            wording=_digest({key: written[key] for key in OF_THE_WORDING}),
        )

    @classmethod
    def _of_checks(cls, run: Run) -> "Fingerprint":
        return cls(
            data="",
            split={},
            code=code_digest(),
            versions={},
            model=_named(run.model),
            prompt_model=None,
            options={},
            search={"checksOf": run.name},
            wording="",
        )

    def parts(self) -> dict[str, Any]:
        """The parts as JSON values, for the header of a journal file."""
        return {
            "data": self.data,
            "split": dict(self.split),
            "code": self.code,
            "versions": dict(self.versions),
            "model": dict(self.model),
            "promptModel": None if self.prompt_model is None else dict(self.prompt_model),
            "options": dict(self.options),
            "search": dict(self.search),
            "wording": self.wording,
        }

    @property
    def folder(self) -> str:
        """Name of the folder for runs of this model; the digest comes from a server and may be anything."""
        plain = re.sub(r"[^0-9A-Za-z]", "", self.model["digest"].removeprefix("sha256:"))
        return f"model-{plain[:DIGEST_LENGTH] or 'unknown'}"

    @property
    def file(self) -> str:
        """Name of the run's file in that folder."""
        return f"run-{self.hash}.jsonl"


def hash_of(parts: Mapping[str, Any]) -> str:
    """32 hex digits of SHA-256 over a fingerprint's parts."""
    return _digest(parts)[:HASH_LENGTH]


def model_digests(parts: Mapping[str, Any]) -> frozenset[str]:
    """Digests of the models that a fingerprint's parts name; whatever the parts look like."""
    models = [parts.get("model"), parts.get("promptModel")]
    found = (model.get("digest") for model in models if isinstance(model, Mapping))
    return frozenset(digest for digest in found if isinstance(digest, str) and digest)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the search draws from."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@cache
def code_digest(root: Path = PACKAGE) -> str:
    """SHA-256 over the names and bytes of a package's own source of prompts and search, 64 hex digits."""
    digest = hashlib.sha256()
    files = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    for path in files:
        source = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\n{len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()


def _dealt(data: Mapping[str, Any]) -> dict[str, Any]:
    """How the samples are divided, and what is made of the train part, where that is asked for."""
    augment = {} if data["augment"] is None else {"augment": data["augment"]}
    return {**data["split"], **augment}


def _named(model: ModelStatus) -> dict[str, str]:
    return {"name": model.name, "digest": model.digest}


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
