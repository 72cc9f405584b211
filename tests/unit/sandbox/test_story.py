"""What the story says while it goes on, and shows at its end."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.sandbox.environment import Sandbox
from tests.sandbox.errors import SandboxError
from tests.sandbox.story import telling
from tests.sandbox.story.stage import Stage
from tests.sandbox.story.telling import Scene, alive, as_json, table

SCENES = [
    Scene("a good prompt", "run 1 promoted", 750, 18.84),
    Scene("rollback", "revision 1 pinned and served", 0, 0.41),
]


def test_each_step_has_its_calls_and_seconds_in_columns() -> None:
    """Numbers stand at the right, under their headings."""
    heading, *rows = table(SCENES)
    assert heading.split() == ["step", "what", "happened", "calls", "seconds"]
    assert [row.split()[-2:] for row in rows] == [["750", "18.8"], ["0", "0.4"]]
    assert {len(line) for line in (heading, *rows)} == {len(heading)}
    assert {row.index(one.happened) for row, one in zip(rows, SCENES, strict=True)} == {heading.index("what")}


def test_programs_get_the_same() -> None:
    """One JSON object, which says that the model is simulated."""
    said = json.loads(as_json(SCENES, 73.04))
    assert (said["model"], said["seconds"]) == ("simulated", 73.0)
    assert said["steps"][1] == {
        "step": "rollback",
        "happened": "revision 1 pinned and served",
        "calls": 0,
        "seconds": 0.4,
    }


def test_what_takes_long_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, also while there is nobody to ask; none after its end."""
    monkeypatch.setattr(telling, "LIFE_SECONDS", 0.001)
    said: list[str] = []
    enough = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 4:
            enough.set()

    def seen() -> str:
        if len(said) < 2:
            raise ConnectionRefusedError
        return "Training 5%"

    with alive(say, seen):
        assert enough.wait(10)
    told = len(said)
    assert [line.split(" s")[1] for line in said[:4]] == ["", "", "  Training 5%", "  Training 5%"]
    assert len(said) == told


def test_a_claim_that_does_not_hold_ends_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its words and the status, which main prints before it gives 1."""
    stage = Stage(Sandbox(tmp_path), tmp_path, print)
    monkeypatch.setattr(Stage, "status", {"run": {"number": 2}})
    stage.expect("it is so", holds=True)
    with pytest.raises(
        SandboxError, match=r'does not hold: run 1 is served. The status is\s.*\s.*\s.*"number": 2'
    ):
        stage.expect("run 1 is served", holds=False)
