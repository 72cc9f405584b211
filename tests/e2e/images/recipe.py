"""What each image is made of: its target, its sources and the name under which the node gets it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.images.base import base_key

ROOT: Final = Path(__file__).parents[3]
CONTROLLER: Final = "localhost/domaintraining-controller:e2e"
TRAINER: Final = "localhost/domaintraining-trainer:e2e"
SIMULATED_OLLAMA: Final = "localhost/simulated-ollama:e2e"
BUILD_FILES: Final = (".dockerignore", "images/install.sh", "images/precompile.py", "images/sbom.py")
PACKAGE: Final = "operator/domaintraining"


@dataclass(frozen=True)
class Recipe:
    """One image; `sources` are files, folders or patterns of files below the root of the repository."""

    name: str
    dockerfile: str
    target: str
    sources: tuple[str, ...]
    based_on: str = ""
    """Another image of ours that it starts from; empty: the base image."""

    @property
    def title(self) -> str:
        """The name without registry and tag, as a file's name."""
        return self.name.rpartition("/")[2].partition(":")[0]

    def context(self, root: Path) -> Path:
        """The folder that the build sees, in a repository or a copy of it."""
        return root / Path(self.dockerfile).parent


def _of_the_operator(name: str, role: str) -> Recipe:
    parts = (f"requirements-{role}.lock", f"{PACKAGE}/api", f"{PACKAGE}/{role}")
    return Recipe(name, "Dockerfile", role, (*BUILD_FILES, *parts, f"{PACKAGE}/*.py"))


RECIPES: Final = (
    _of_the_operator(CONTROLLER, "controller"),
    _of_the_operator(TRAINER, "trainer"),
    Recipe(
        SIMULATED_OLLAMA,
        "tests/sandbox/Dockerfile.simulated-ollama",
        "",
        ("tests/sandbox/simulated_ollama",),
        based_on=CONTROLLER,
    ),
)
"""In the order in which they are built."""


def keys(root: Path = ROOT) -> dict[str, str]:
    """Sixteen hex digits for each image that change with each byte it is made of, its base included."""
    found: dict[str, str] = {}
    for recipe in RECIPES:
        start = found[recipe.based_on] if recipe.based_on else base_key()
        found[recipe.name] = _digest({"": start.encode(), **_contents(recipe, root)})
    return found


def copy_sources(folder: Path, root: Path = ROOT) -> None:
    """What all images are made of, as it is now: what is built from the copy has the keys of the copy."""
    for recipe in RECIPES:
        for name, content in _contents(recipe, root).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def _contents(recipe: Recipe, root: Path) -> dict[str, bytes]:
    named = [path for each in (recipe.dockerfile, *recipe.sources) for path in root.glob(each)]
    files = [file for each in named for file in ([each] if each.is_file() else each.rglob("*"))]
    kept = (file for file in files if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in kept}


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]
