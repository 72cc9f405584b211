"""The story of docs/story.md is played, and is what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.readme import DOCS, block
from tests.sandbox.cluster import REPOSITORY
from tests.unit.test_docs_releases import PAGE as RELEASES

PAGE = DOCS / "story.md"
FREE = {"rollback", "the newest again", "backup", "restore into an empty cluster"}
"""Steps that ask no model."""
PATIENCE_SECONDS = 580


@pytest.fixture(scope="module")
def played() -> subprocess.CompletedProcess[str]:
    """What `make story OUTPUT=json` runs; a model server of the environment has no part in it."""
    return subprocess.run(
        [sys.executable, "-m", "tests.sandbox", "story", "--output=json"],
        cwd=REPOSITORY,
        env=os.environ | {"OLLAMA_BASE_URL": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture
def steps(played: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Each step as it ended."""
    assert played.returncode == 0, played.stderr
    said = json.loads(played.stdout)
    assert said["model"] == "simulated"
    return list(said["steps"])


def shape(text: str) -> str:
    """A text with its figures made alike."""
    return re.sub(r"[+-]?\d[\d.,]*", "N", text)


def test_it_is_what_the_page_says(steps: list[dict[str, Any]]) -> None:
    """The same steps with the same ends; only figures may differ."""
    _, *rows = block("", "text", 0, PAGE).splitlines()  # before the page's first heading of the second level
    shown = [re.split(r"  +", row.strip())[:2] for row in rows]
    assert [[shape(cell) for cell in row] for row in shown] == [
        [shape(one["step"]), shape(one["happened"])] for one in steps
    ]


def test_what_takes_no_call_took_none(steps: list[dict[str, Any]]) -> None:
    """As the model server counted them; a run takes some."""
    assert {one["step"] for one in steps if one["calls"] == 0} == FREE


def test_it_shows_the_commands_of_the_docs(
    played: subprocess.CompletedProcess[str], steps: list[dict[str, Any]]
) -> None:
    """As they stand there, with signs of life between, and says that the model is simulated."""
    assert steps
    for heading, number in (("Rolled back", 0), ("Rolled back", 1), ("Backed up", 0), ("Restored", 0)):
        for line in block(heading, "sh", number, RELEASES).splitlines():
            assert f"  $ {line}\n" in played.stderr
    assert re.search(r"^ +\d+ s  Training \d+%$", played.stderr, re.MULTILINE)
    assert "SIMULATED" in played.stderr
