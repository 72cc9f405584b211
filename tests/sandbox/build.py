"""Builds programs from their published Go modules, once for each state of their sources."""

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
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling
from tests.sandbox.toolchain import go_program, needed_version

SANDBOX = Path(__file__).parent
HELM = "helm.sh/helm/v3"
VERSITY = "github.com/versity/versitygw"


@dataclass(frozen=True)
class GoProgram:
    """A program that is built from a folder with go.mod, go.sum and, where it is one of ours, *.go.

    `package` is what go.mod's module holds, or a package of a module that go.mod names as a `tool`.
    """

    name: str
    folder: Path
    title: str
    """What is told to be built."""
    cold_build: str
    """How long that takes with nothing cached, measured on two cores."""
    package: str = "."
    linker: tuple[str, ...] = ()
    """Flags of the linker, such as `-X PACKAGE.VARIABLE=VALUE`."""
    links: tuple[str, ...] = ()
    """Further names of the program, which lie beside it."""


def built(program: GoProgram, say: Say) -> Path:
    """The program's binary in the user's cache, built when it is not there.

    `say` gets a line at least every 5 seconds while there is something to wait for, and none otherwise.
    Raises SandboxError with the end of the compiler's output when it can't be built.
    """
    sources = read_sources(program.folder, program.package)
    folder = cache_folder(os.environ) / f"{program.name}-{digest_of(program, sources, platform.machine())}"
    binary = folder / program.name
    if binary.exists():
        return binary
    folder.parent.mkdir(parents=True, exist_ok=True)
    with only_builder(folder.parent / "build.lock", say):
        if not binary.exists():
            _build(program, folder, say)
    return binary


def controlplane_binary(say: Say) -> Path:
    """The control plane's binary; `kubectl` lies beside it. See `built`."""
    return built(control_plane(), say)


def helm_binary(say: Say) -> Path:
    """Helm of the release that tests/sandbox/helm/go.mod names. See `built`."""
    return built(helm(), say)


def control_plane() -> GoProgram:
    """Etcd, the control plane's components and kubectl in one binary."""
    version = kubernetes_version(control_plane_modules())
    return GoProgram(
        name="controlplane",
        folder=SANDBOX / "controlplane",
        title=f"the control plane of Kubernetes {version}",
        cold_build="about 5 minutes on 2 cores, once",
        linker=release_flags(version),
        links=("kubectl",),
    )


def s3_binary(say: Say) -> Path:
    """Versity's S3 gateway, of the release that tests/sandbox/s3/go.mod names. See `built`."""
    return built(s3(), say)


def s3() -> GoProgram:
    """An S3 server over a plain folder."""
    version = module_version((SANDBOX / "s3" / "go.mod").read_text(encoding="utf-8"), VERSITY)
    return GoProgram(
        name="versitygw",
        folder=SANDBOX / "s3",
        title=f"the S3 server versitygw {version}",
        cold_build="about 2 minutes on 2 cores, once",
        package=f"{VERSITY}/cmd/versitygw",
        linker=set_variables({}),
    )


def helm() -> GoProgram:
    """Helm 3, which takes the control plane's release for that of `helm template` and `helm lint`.

    Without the flags it believes in Kubernetes 1.20.
    """
    version = module_version((SANDBOX / "helm" / "go.mod").read_text(encoding="utf-8"), HELM)
    major, minor = kubernetes_version(control_plane_modules()).removeprefix("v").split(".")[:2]
    values = {f"{HELM}/internal/version.version": version}
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        values |= {f"{HELM}/{package}.k8sVersionMajor": major, f"{HELM}/{package}.k8sVersionMinor": minor}
    return GoProgram(
        name="helm",
        folder=SANDBOX / "helm",
        title=f"helm {version}",
        cold_build="about 3 minutes on 2 cores, once",
        package=f"{HELM}/cmd/helm",
        linker=set_variables(values),
    )


def cache_folder(environment: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/domaintraining where that is an absolute path, else ~/.cache/domaintraining."""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "domaintraining"


def read_sources(folder: Path, package: str = ".") -> dict[str, bytes]:
    """The files a binary is made of, by name: *.go of its package, where that is ours, go.mod and go.sum."""
    files = [*(folder / package).glob("*.go"), folder / "go.mod", folder / "go.sum"]
    return {file.name: file.read_bytes() for file in files if not file.name.endswith("_test.go")}


def digest_of(program: GoProgram, sources: Mapping[str, bytes], machine: str) -> str:
    """Sixteen hex digits that change with each name and byte of the sources, machine type and flags."""
    digest = hashlib.sha256()
    for part in (machine, program.package, *program.linker, *program.links, *sorted(sources)):
        digest.update(part.encode() + b"\0")
        content = sources.get(part, b"")
        digest.update(str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def control_plane_modules() -> str:
    """The go.mod of the control plane."""
    return (SANDBOX / "controlplane" / "go.mod").read_text(encoding="utf-8")


def kubernetes_version(go_mod: str) -> str:
    """The release of k8s.io/kubernetes that a go.mod requires, such as v1.36.3."""
    return module_version(go_mod, "k8s.io/kubernetes")


def module_version(go_mod: str, module: str) -> str:
    """The release of a module that a go.mod requires. Raises SandboxError where there is none."""
    line = rf"^\s*(?:require )?{re.escape(module)} (v\d+\.\d+\.\d+)(?:\s*// indirect)?\s*$"
    found = re.search(line, go_mod, re.MULTILINE)
    if not found:
        raise SandboxError(f"go.mod requires no {module}")
    return found[1]


def release_flags(version: str) -> tuple[str, ...]:
    """The linker's flags that make Kubernetes' components report their release (else v0.0.0-master)."""
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return set_variables({f"k8s.io/component-base/version.{name}": value for name, value in values.items()})


def set_variables(values: Mapping[str, str]) -> tuple[str, ...]:
    """The linker's flags that set variables of packages, and that leave debugging tables out."""
    return ("-s", "-w", *(f"-X {name}={value}" for name, value in values.items()))


@contextlib.contextmanager
def only_builder(lock: Path, say: Say) -> Iterator[None]:
    """Holds the lock of the cache, so that one process at a time fills it; `say` hears of the wait."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(program: GoProgram, folder: Path, say: Say) -> None:
    go_mod = (program.folder / "go.mod").read_text(encoding="utf-8")
    go, environment = go_program(needed_version(go_mod), folder.parent, say)
    say(f"building {program.title} ({program.cold_build})")
    listing = [str(go), "list", "-deps", program.package]
    run_telling(listing, program.folder, environment, "modules downloaded", say)
    with tempfile.TemporaryDirectory(prefix=f"{program.name}-", dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        command = [str(go), "build", "-v", "-ldflags", " ".join(program.linker)]
        command += ["-o", str(made / program.name), program.package]
        run_telling(command, program.folder, environment, "packages compiled", say)
        for name in program.links:
            (made / name).symlink_to(program.name)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
