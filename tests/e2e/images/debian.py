"""Programs from Debian packages: found where Debian puts them, installed where they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling

PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where packages put programs. Comes first: elsewhere lie clients of Docker that lack BuildKit."""
NEEDED: Final = {
    "dockerd": "docker.io",
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""The package of each program, or of a file by its whole path."""


def hindrance() -> str | None:
    """Why images can't be built on this machine; None where they can."""
    if os.geteuid() != 0:
        return "building images starts a Docker daemon of its own, which needs root"
    if not shutil.which("apt-get") and missing():
        return f"not a Debian, and {', '.join(missing())} not installed"
    return None


def missing(needed: Mapping[str, str] = NEEDED) -> list[str]:
    """The packages whose programs or files are not there."""
    return [package for what, package in needed.items() if not (program(what) or Path(what).is_file())]


def program(name: str) -> str | None:
    """The path of a program, looked for in Debian's folders and then in the caller's."""
    return shutil.which(name, path=f"{PATH}:{os.environ.get('PATH', '')}")


def install_missing(say: Say) -> None:
    """Installs what NEEDED names and isn't there. Raises SandboxError saying what to install by hand."""
    packages = missing()
    if not packages:
        return
    say(f"installing {' '.join(packages)} (about 20 seconds, once)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    try:
        run_telling(["apt-get", "update"], Path("/"), environment, "remarks of apt", say)
        run_telling(install, Path("/"), environment, "remarks of apt", say)
    except (SandboxError, OSError) as error:
        raise SandboxError(f"install {' '.join(packages)} and try again.\n{error}") from error
