"""Builds the control plane from its published Go modules, once for each state of its sources."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling
from tests.sandbox.toolchain import go_program, needed_version

SOURCES = Path(__file__).with_name("controlplane")
# What `make demo` says before a wait of minutes; measured on two cores.
COLD_BUILD = "about 5 minutes on 2 cores, once"


def controlplane_binary(say: Say) -> Path:
    """The control plane's binary in the user's cache, built when it is not there; `kubectl` lies beside it.

    `say` gets a line at least every 5 seconds while there is something to wait for, and none otherwise.
    Raises SandboxError with the end of the compiler's output when it can't be built.
    """
    sources = read_sources(SOURCES)
    folder = cache_folder(os.environ) / f"controlplane-{sources_digest(sources, platform.machine())}"
    binary = folder / "controlplane"
    if binary.exists():
        return binary
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(folder.parent / "build.lock", say):
        if not binary.exists():
            _build(folder, sources, say)
    return binary


def cache_folder(environment: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/domaintraining where that is an absolute path, else ~/.cache/domaintraining."""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "domaintraining"


def read_sources(folder: Path) -> dict[str, bytes]:
    """The files the binary is made of, by name: *.go, go.mod and go.sum."""
    files = [*folder.glob("*.go"), folder / "go.mod", folder / "go.sum"]
    return {file.name: file.read_bytes() for file in files if not file.name.endswith("_test.go")}


def sources_digest(sources: Mapping[str, bytes], machine: str) -> str:
    """Sixteen hex digits that change with each name and byte of the sources, machine type and flags."""
    digest = hashlib.sha256()
    for part in (machine, " ".join(link_flags("v0.0.0")), *sorted(sources)):
        digest.update(part.encode() + b"\0")
        content = sources.get(part, b"")
        digest.update(str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def kubernetes_version(go_mod: str) -> str:
    """The release of k8s.io/kubernetes that a go.mod requires, such as v1.36.3."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+)\s*$", go_mod, re.MULTILINE)
    if not found:
        raise SandboxError("go.mod of the control plane requires no k8s.io/kubernetes")
    return found[1]


def link_flags(version: str) -> list[str]:
    """The linker's flags that make the components report their release (else they say v0.0.0-master)."""
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    package = "k8s.io/component-base/version"
    return ["-s", "-w", *(f"-X {package}.{name}={value}" for name, value in values.items())]


@contextlib.contextmanager
def _only_builder(lock: Path, say: Say) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of the control plane is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, sources: Mapping[str, bytes], say: Say) -> None:
    go_mod = sources["go.mod"].decode()
    version = kubernetes_version(go_mod)
    go, environment = go_program(needed_version(go_mod), folder.parent, say)
    say(f"building the control plane of Kubernetes {version} ({COLD_BUILD})")
    run_telling([str(go), "list", "-deps", "."], SOURCES, environment, "modules downloaded", say)
    with tempfile.TemporaryDirectory(prefix="controlplane-", dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        command = [str(go), "build", "-v", "-ldflags", " ".join(link_flags(version))]
        command += ["-o", str(made / "controlplane"), "."]
        run_telling(command, SOURCES, environment, "packages compiled", say)
        (made / "kubectl").symlink_to("controlplane")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
