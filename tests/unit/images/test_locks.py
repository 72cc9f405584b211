"""The lock files of the two images are parts of the whole one, complete for what each role imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.locks import PARTS, WHOLE, Part, needed, part_of, pins_of

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "operator" / "domaintraining"
ROLES = {"requirements-controller.lock": "controller", "requirements-trainer.lock": "trainer"}
DISTRIBUTIONS = {"yaml": "pyyaml"}
LOCK = """\
# how it is made
a==1 \\
    --hash=sha256:01
    # via domaintraining (pyproject.toml)
b==2 \\
    --hash=sha256:02 \\
    --hash=sha256:03
    # via
    #   a
    #   c
c==3 \\
    --hash=sha256:04
    # via a
d==4 \\
    --hash=sha256:05
    # via c
"""


@pytest.mark.parametrize("file", PARTS)
def test_a_part_is_what_the_whole_lock_says_now(file: str) -> None:
    whole = (ROOT / WHOLE).read_text(encoding="utf-8")
    assert (ROOT / file).read_text(encoding="utf-8") == part_of(whole, file), "run `python -m images.locks`"


@pytest.mark.parametrize("file", PARTS)
def test_the_roots_of_a_part_are_what_its_role_imports(file: str) -> None:
    imported = {DISTRIBUTIONS.get(name, name) for name in _imports(ROLES[file])}
    assert imported == PARTS[file].roots


def test_neither_part_names_a_place_to_load_from() -> None:
    for file in PARTS:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text


def test_what_is_left_out_takes_along_what_it_alone_needs() -> None:
    pins = pins_of(LOCK)
    assert needed(Part(frozenset({"a"})), pins) == {"a", "b", "c", "d"}
    assert needed(Part(frozenset({"a"}), frozenset({"c"})), pins) == {"a", "b"}


def test_a_pin_keeps_its_hashes_to_the_letter() -> None:
    assert "".join(pin.text for pin in pins_of(LOCK).values()) == LOCK.removeprefix("# how it is made\n")


def test_a_root_without_a_pin_is_named() -> None:
    with pytest.raises(ValueError, match=r"requirements\.lock does not pin numpy"):
        needed(Part(frozenset({"a", "numpy"})), pins_of(LOCK))


def test_a_line_without_a_version_is_named() -> None:
    with pytest.raises(ValueError, match="'e>=5' pins no version"):
        pins_of(LOCK + "e>=5\n")


def _imports(role: str) -> set[str]:
    files = [*PACKAGE.glob("*.py"), *(PACKAGE / "api").rglob("*.py"), *(PACKAGE / role).rglob("*.py")]
    names = {name for file in files for name in _imported_by(ast.parse(file.read_text(encoding="utf-8")))}
    return names - {"domaintraining"} - sys.stdlib_module_names


def _imported_by(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
