"""Builds what is not in the cache: the base image, the images of the Dockerfile, and a tar of each."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.e2e.images.base import provide_base
from tests.e2e.images.daemon import Docker, docker_daemon
from tests.e2e.images.debian import hindrance, install_missing
from tests.e2e.images.packageindex import build_arguments
from tests.e2e.images.recipe import RECIPES, ROOT, Recipe, copy_sources, keys
from tests.sandbox.build import cache_folder
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say

KEPT: Final = 2
"""Tars of one image that stay in the cache: that of now, and that of the sources before."""


def images_folder() -> Path:
    """Where tars and the daemon's data lie."""
    return cache_folder(os.environ) / "images"


def build_missing(say: Say) -> dict[str, Path]:
    """A tar of each image by the image's name; see `tests.e2e.images.built`."""
    # A copy, since somebody may go on editing.
    with tempfile.TemporaryDirectory(prefix="domaintraining-sources-") as folder:
        sources = Path(folder)
        copy_sources(sources)
        made_of = keys(sources)
        tars = {each.name: images_folder() / f"{each.title}-{made_of[each.name]}.tar" for each in RECIPES}
        if not all(tar.exists() for tar in tars.values()):
            with builder(say) as docker:
                # Another one may have built while we waited.
                for recipe in (each for each in RECIPES if not tars[each.name].exists()):
                    _make(docker, recipe, sources, tars, say)
    return tars


@contextlib.contextmanager
def builder(say: Say) -> Iterator[Docker]:
    """The daemon of the cache, one caller at a time. Raises SandboxError where this machine can't."""
    if reason := hindrance():
        raise SandboxError(f"images can't be built here: {reason}")
    folder = images_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of images is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        install_missing(say)
        with docker_daemon(folder / "docker") as docker:
            yield docker


def load(docker: Docker, name: str, tar: Path, say: Say) -> None:
    """Puts an image into the daemon from its tar."""
    docker.tell(["load", "--quiet", "--input", str(tar)], f"remarks while {name} is loaded", say)


def _make(docker: Docker, recipe: Recipe, sources: Path, tars: Mapping[str, Path], say: Say) -> None:
    started = time.monotonic()
    say(f"building {recipe.name} (about 1 minute, until a source changes)")
    if recipe.based_on:
        load(docker, recipe.based_on, tars[recipe.based_on], say)
        start = f"--build-arg=CONTROLLER_IMAGE={recipe.based_on}"
    else:
        start = f"--build-arg=BASE_IMAGE={provide_base(docker, images_folder(), say)}"
    with tempfile.TemporaryDirectory(prefix="build-", dir=docker.folder) as secrets:
        arguments = [start, *build_arguments(Path(secrets)), f"--build-arg=REVISION={_revision()}"]
        if recipe.target:
            arguments.append(f"--target={recipe.target}")
        named = ["--tag", recipe.name, "--file", str(sources / recipe.dockerfile)]
        shape = ["--network=host", "--progress=plain"]
        docker.tell(
            ["build", *shape, *arguments, *named, str(recipe.context(sources))], "lines of the build", say
        )
    _save(docker, recipe, tars[recipe.name], say)
    say(f"{recipe.name} built in {time.monotonic() - started:.0f} s")


def _save(docker: Docker, recipe: Recipe, tar: Path, say: Say) -> None:
    partial = tar.with_suffix(".partial")
    docker.tell(["save", "--output", str(partial), recipe.name], "remarks of docker save", say)
    partial.rename(tar)
    docker.ask("image", "prune", "--force")
    older = sorted(tar.parent.glob(f"{recipe.title}-*.tar"), key=lambda each: each.stat().st_mtime)
    for each in older[:-KEPT]:
        each.unlink()


def _revision() -> str:
    """The commit of the checkout, with `-dirty` where files differ from it; empty without git."""
    commands = (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    try:
        head, changes = (
            subprocess.run(
                ["git", *each], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
            ).stdout
            for each in commands
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.strip() + ("-dirty" if changes.strip() else "")
