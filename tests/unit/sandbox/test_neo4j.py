"""What Neo4j is made of is looked at before anything runs: the Java, and the bytes of its jars."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.sandbox.neo4j.artifacts import SUMS, java_release, obstacle, unexpected, version


@pytest.mark.parametrize(
    ("printed", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_402"', 8),
        ("", 0),
        ("bash: java: command not found", 0),
    ],
)
def test_the_release_of_java_is_read_from_what_it_prints(printed: str, release: int) -> None:
    """Of today's form, the one before Java 9, and of what is none."""
    assert java_release(printed) == release


def test_without_java_there_is_a_reason_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what skipped tests say."""
    monkeypatch.setenv("PATH", "")
    assert obstacle() == "Neo4j needs Java 17 or newer and PATH has no java (package openjdk-17-jre-headless)"


def test_jars_of_other_bytes_are_named(tmp_path: Path) -> None:
    """Changed, missing, and one too many."""
    for name in ("same", "changed", "more"):
        (tmp_path / name).write_text(name, encoding="ascii")
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("same", "missing")}
    digests["changed"] = "0" * 64
    sums = "".join(f"{digest}  {name}.jar\n" for name, digest in digests.items()).replace(".jar", "")
    assert unexpected(tmp_path, sums) == ["changed", "missing", "more"]


def test_the_sums_are_those_of_the_release() -> None:
    """The pom and the list beside it were written together."""
    lines = SUMS.read_text(encoding="ascii").splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in lines)
    assert any(line.endswith(f"  neo4j-{version()}.jar") for line in lines)
