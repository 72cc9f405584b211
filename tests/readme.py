"""The code blocks of the README and of pages in docs/, for the tests that run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.sandbox.cluster import REPOSITORY

README = REPOSITORY / "README.md"
_FENCE = re.compile(
    r"^## (?P<heading>[^\n]*)$|^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A code block: the heading it stands under, its language, its text."""

    heading: str
    language: str
    text: str


def blocks(page: Path = README) -> list[Block]:
    """All code blocks of a page in their order."""
    heading, found = "", []
    for part in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if part["language"]:
            found.append(Block(heading, part["language"], part["text"]))
        else:
            heading = part["heading"]
    return found


def block(heading: str, language: str, number: int = 0, page: Path = README) -> str:
    """The text of one block; `number` counts those of the language under the heading, from 0."""
    return [one.text for one in blocks(page) if one[:2] == (heading, language)][number]
