"""What images are built from: no source is forgotten, and nothing of the machine is taken along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from domaintraining import __version__
from tests.e2e.images.debian import missing
from tests.e2e.images.packageindex import carried_settings
from tests.e2e.images.recipe import (
    CONTROLLER,
    RECIPES,
    ROOT,
    SIMULATED_OLLAMA,
    TRAINER,
    Recipe,
    copy_sources,
    keys,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources of all images, to be changed."""
    copy_sources(tmp_path)
    return tmp_path


def test_a_copy_has_the_same_keys_and_bytecode_does_not_count(copy: Path) -> None:
    cache = copy / "operator/domaintraining/api/__pycache__"
    cache.mkdir()
    (cache / "spec.cpython-311.pyc").write_bytes(b"x")
    assert keys(copy) == keys(ROOT)


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("Dockerfile", {CONTROLLER, TRAINER, SIMULATED_OLLAMA}),
        ("operator/domaintraining/errors.py", {CONTROLLER, TRAINER, SIMULATED_OLLAMA}),
        ("operator/domaintraining/trainer/main.py", {TRAINER}),
        ("requirements-trainer.lock", {TRAINER}),
        ("operator/domaintraining/controller/main.py", {CONTROLLER, SIMULATED_OLLAMA}),
        ("tests/sandbox/simulated_ollama/chat.py", {SIMULATED_OLLAMA}),
    ],
)
def test_a_changed_source_changes_the_images_that_hold_it(copy: Path, file: str, changed: set[str]) -> None:
    before = keys(copy)
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write("\n")
    after = keys(copy)
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize("recipe", RECIPES[:2], ids=lambda recipe: recipe.title)
def test_everything_that_the_dockerfile_copies_is_a_source(recipe: Recipe) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    named = {source for line in copied for source in line.split()}
    other = "trainer" if recipe.target == "controller" else "controller"
    assert {source for source in named if other not in source} <= set(recipe.sources)


def test_the_build_sees_what_the_dockerfile_copies() -> None:
    seen = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = tuple(line.removeprefix("!") for line in seen if line.startswith("!"))
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all(source.startswith(allowed) for source in line.split()), line


def test_images_have_the_version_of_the_package() -> None:
    versions = set(re.findall(r"^ARG VERSION=(.+)$", DOCKERFILE, re.MULTILINE))
    assert versions == {__version__}


def test_the_dockerfile_asks_no_registry_for_its_syntax() -> None:
    assert "# syntax" not in DOCKERFILE


def test_pips_settings_are_carried_into_builds_without_paths_of_this_machine() -> None:
    listed = """\
:env:.find-links='/some/wheels'
:env:.default-timeout='180'
global.cert='/some/bundle.crt'
global.index-url='https://user:secret@packages.example.com/simple'
global.timeout='15'
list.format='columns'
"""
    assert carried_settings(listed) == {
        "index-url": "https://user:secret@packages.example.com/simple",
        "timeout": "180",
    }


def test_no_setting_of_pip_means_none_in_the_build() -> None:
    assert carried_settings("") == {}


def test_a_missing_program_is_told_by_its_package(tmp_path: Path) -> None:
    there = tmp_path / "keyring"
    there.touch()
    needed = {"sh": "dash", "no-such-program": "some-package", str(there): "keyring"}
    assert missing(needed) == ["some-package"]
