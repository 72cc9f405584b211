"""A local base image: Debian bookworm with its own Python, in the place of python:3.12-slim-bookworm.

One way for every machine without a registry of images: debootstrap needs a mirror of Debian, nothing else.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.e2e.images.daemon import Docker
from tests.e2e.images.debian import program
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling

NAME: Final = "localhost/python:bookworm"
RELEASE: Final = "bookworm"
MIRROR: Final = "DEBIAN_MIRROR"
"""The variable that names another mirror than debootstrap's own choice."""
PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
LEFT_OUT: Final = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
)


def base_key() -> str:
    """Sixteen hex digits that change with what the base image is made of, but not with Debian's updates."""
    parts = (RELEASE, platform.machine(), *PACKAGES, *LEFT_OUT)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def provide_base(docker: Docker, cache: Path, say: Say) -> str:
    """The base image's name, once the daemon holds it. Raises SandboxError where the mirror gives nothing."""
    name = f"{NAME}-{base_key()}"
    if not docker.has(name):
        files = cache / f"base-{base_key()}.tar"
        if not files.exists():
            _bootstrap(files, say)
        settings = ["--change", "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"]
        docker.tell(["import", *settings, str(files), name], "remarks of docker import", say)
    return name


def _bootstrap(files: Path, say: Say) -> None:
    """Debian into a folder, and the folder into a tar."""
    say(f"making a base image of Debian {RELEASE} (about 90 seconds, once)")
    with tempfile.TemporaryDirectory(prefix="base-", dir=files.parent) as temporary:
        root = Path(temporary) / "root"
        command = [program("debootstrap") or "debootstrap", "--variant=minbase"]
        command += [f"--include={','.join(PACKAGES)}", RELEASE, str(root), *_mirror()]
        # debootstrap tells its steps on stdout.
        telling = ["sh", "-c", 'exec "$@" >&2', "sh", *command]
        try:
            run_telling(telling, files.parent, os.environ, "steps of debootstrap", say)
        except SandboxError as error:
            raise SandboxError(f"Set {MIRROR} to a mirror of Debian that can be reached.\n{error}") from error
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        packed = Path(temporary) / "base.tar"
        excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
        pack = ["tar", "--numeric-owner", "--sort=name", *excluded, "-C", str(root), "-cf", str(packed), "."]
        run_telling(pack, files.parent, os.environ, "remarks of tar", say)
        shutil.move(packed, files)


def _mirror() -> list[str]:
    mirror = os.environ.get(MIRROR)
    return [mirror] if mirror else []
