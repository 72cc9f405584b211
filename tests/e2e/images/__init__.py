"""The images of the Dockerfile, built on this machine without a registry of images."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.images.build import build_missing
from tests.e2e.images.recipe import CONTROLLER, SIMULATED_OLLAMA, TRAINER
from tests.sandbox.progress import Say

__all__ = ["CONTROLLER", "SIMULATED_OLLAMA", "TRAINER", "built"]


def built(say: Say) -> dict[str, Path]:
    """Every image by its name, as a tar that `ctr -n k8s.io images import` and `docker load` take.

    The tars lie in the user's cache and are built only when a source of theirs has changed (Dockerfile,
    locks, operator/, the simulated server). The simulated server listens on 0.0.0.0:11434; what is given as
    the container's `args` goes to `python -m simulated_ollama` behind that. `say` gets a line at least every
    5 seconds while there is something to wait for. Needs root and Debian's docker.io and debootstrap, which
    are installed where they are missing; raises SandboxError that says what is missing.
    """
    return build_missing(say)
