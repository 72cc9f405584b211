"""Each block of docs/releases.md is run by a test."""

from __future__ import annotations

import re

from tests.readme import DOCS, blocks

PAGE = DOCS / "releases.md"


def test_every_block_has_its_test() -> None:
    """A new block needs one: the story runs some, tests/integration/test_releases.py all others."""
    assert [one[:2] for one in blocks(PAGE)] == [
        ("What was released", "sh"),
        ("What was released", "sh"),
        ("Rejected", "sh"),
        ("Rejected", "sh"),
        ("Rolled back", "sh"),
        ("Rolled back", "sh"),
        ("Kept", "sh"),
        ("Backed up", "sh"),
        ("Restored", "sh"),
    ]


def test_its_links_lead_somewhere() -> None:
    """To pages of this repository, and to headings that are there."""
    for page in (PAGE, DOCS / "story.md"):
        for path, heading in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            target = page.parent / path
            assert target.exists(), path
            text = target.read_text(encoding="utf-8").lower()
            assert not heading or f"# {heading.replace('-', ' ')}\n" in text, heading
