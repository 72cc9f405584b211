"""What Neo4j is made of: a Java of the machine, and the jars that pom.xml beside this file names."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.sandbox.build import cache_folder, only_builder
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling

FOLDER: Final = Path(__file__).parent
POM: Final = FOLDER / "pom.xml"
SUMS: Final = FOLDER / "jars.sha256"
"""Name and SHA-256 of every jar, as `sha256sum` writes them."""
JAVA_RELEASE: Final = 17
"""The first that Neo4j 5.26 runs on."""
JAVA_PACKAGE: Final = "openjdk-17-jre-headless"
# A shell lets Maven's lines be counted: it writes all of them to stdout.
TO_STDERR: Final = ("/bin/sh", "-c", 'exec "$@" >&2', "sh")


def obstacle() -> str:
    """Why there can be no Neo4j here, in words; empty where there can."""
    release = java_release(_first_words("java", "-version"))
    if release < JAVA_RELEASE:
        found = f"PATH has Java {release}" if release else "PATH has no java"
        return f"Neo4j needs Java {JAVA_RELEASE} or newer and {found} (package {JAVA_PACKAGE})"
    if not _jars_folder().exists() and not shutil.which("mvn"):
        return "Neo4j's artifacts are fetched once by Maven and PATH has no mvn (package maven)"
    return ""


def jars(say: Say) -> Path:
    """The folder of the jars in the user's cache, fetched when it is not there.

    `say` gets a line at least every 5 seconds meanwhile. Raises SandboxError with Maven's last words, or with
    the names of jars that are not those of jars.sha256.
    """
    if reason := obstacle():
        raise SandboxError(reason)
    folder = _jars_folder()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with only_builder(folder.parents[1] / "build.lock", say):
            if not folder.exists():
                _fetch(folder, say)
    return folder


def version() -> str:
    """The release of Neo4j that the pom names, such as 5.26.12."""
    found = ET.parse(POM).findtext("dependencies/dependency/version")
    if not found:
        raise SandboxError(f"{POM.name} names no release of Neo4j")
    return found


def java_release(printed: str) -> int:
    """The release in what `java -version` prints: 17 of "17.0.15", 8 of "1.8.0_402", 0 of others."""
    found = re.search(r'version "(?:1\.)?(\d+)', printed)
    return int(found[1]) if found else 0


def java_build() -> str:
    """Sixteen hex digits that change with the machine's Java."""
    return hashlib.sha256(_first_words("java", "-version").encode()).hexdigest()[:16]


def unexpected(folder: Path, sums: str) -> list[str]:
    """Names of files that differ from `sums`, as jars.sha256 has them: other bytes, missing, or too many."""
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    wanted = {name: digest for digest, name in (line.split() for line in sums.splitlines())}
    return sorted(name for name in found | wanted if found.get(name) != wanted.get(name))


def _jars_folder() -> Path:
    digest = hashlib.sha256(POM.read_bytes() + SUMS.read_bytes()).hexdigest()[:16]
    return cache_folder(os.environ) / f"neo4j-{digest}" / "lib"


def _fetch(folder: Path, say: Say) -> None:
    say(f"fetching Neo4j {version()} from its Maven artifacts (116 MB, once)")
    with tempfile.TemporaryDirectory(prefix="neo4j-", dir=folder.parent) as temporary:
        made = Path(temporary) / "lib"
        command = ["mvn", "--batch-mode", "--strict-checksums", f"--file={POM}"]
        # Whoever has no Maven should not find a folder ~/.m2 afterwards.
        command += [f"-Dmaven.repo.local={Path(temporary) / 'repository'}", "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={made}"]
        run_telling([*TO_STDERR, *command], folder.parent, os.environ, "lines from Maven", say)
        if wrong := unexpected(made, SUMS.read_text(encoding="ascii")):
            raise SandboxError(
                f"not the artifacts of {SUMS.name}: {', '.join(wrong[:5])} ({len(wrong)} in all)"
            )
        made.rename(folder)


def _first_words(*command: str) -> str:
    """What a program prints, wherever; empty where there is no such program."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stderr + answer.stdout
