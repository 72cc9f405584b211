"""The images of the Dockerfile, built on this machine from Debian packages alone, without a registry of images."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.sandbox.progress import Say

CONTROLLER: Final = "localhost/domaintraining-controller:e2e"
TRAINER: Final = "localhost/domaintraining-trainer:e2e"
SIMULATED_OLLAMA: Final = "localhost/simulated-ollama:e2e"


def built(say: Say) -> dict[str, Path]:
    """Every image by its name, as a tar that `ctr -n k8s.io images import` and `docker load` take.

    The tars lie in the user's cache and are built only when a source of theirs has changed (Dockerfile, locks,
    operator/, the simulated server). The simulated server listens on 0.0.0.0:11434; what is given as the
    container's `args` goes to `python -m simulated_ollama` behind that. `say` gets a line at least every
    5 seconds while there is something to wait for. Needs root and Debian's docker.io and debootstrap, which are
    installed where they are missing; raises SandboxError that says what is missing.
    """
    raise NotImplementedError
