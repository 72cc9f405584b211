"""What the demo shows of a training's end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.demo import condition, table

MEASURED: dict[str, Any] = {
    "f1": 0.733,
    "confidenceInterval": {"low": 0.611, "high": 0.842},
    "baseline": {"f1": 0.197},
    "improvement": {"value": 0.536, "low": 0.402, "high": 0.667, "over": "Baseline"},
    "verdict": "Improved",
    "documents": 30,
}


def resource(generation: int, *conditions: dict[str, Any]) -> dict[str, Any]:
    """A resource with these conditions."""
    return {"metadata": {"generation": generation}, "status": {"conditions": list(conditions)}}


def test_each_task_has_its_figures_in_columns() -> None:
    """F1 and improvement with their intervals, beside the baseline's."""
    lines = table({"entities": MEASURED, "endToEnd": MEASURED | {"verdict": "Unclear"}})
    assert [line.split("  ")[0] for line in lines] == ["task", "entities", "end to end"]
    assert "0.197" in lines[1]
    assert "0.733 [0.611, 0.842]" in lines[1]
    assert "+0.536 [+0.402, +0.667]" in lines[1]
    assert lines[1].endswith("Improved  30")
    for heading in ("baseline F1", "F1 [95 %]", "improvement [95 %]", "verdict", "documents"):
        column = lines[0].index(heading)
        assert all(line[column - 1] == " " != line[column] for line in lines), heading


def test_what_was_not_measured_is_said_and_has_no_number() -> None:
    """Without held-out documents there is a verdict and nothing else."""
    (_, line) = table({"relations": {"verdict": "NotMeasured", "validationF1": 0.9}})
    assert line.split("  ")[0] == "relations"
    assert line.count("not measured") == 3
    assert "0.9" not in line
    assert line.endswith("0")


def test_a_training_without_metrics_has_headings_only() -> None:
    """No task, no line."""
    assert len(table({})) == 1


@pytest.mark.parametrize(
    ("found", "truth"),
    [
        ({"type": "Ready", "status": "True", "observedGeneration": 2}, "True"),
        ({"type": "Ready", "status": "True"}, "True"),
        ({"type": "Ready", "status": "True", "observedGeneration": 1}, "Unknown"),
        ({"type": "Stalled", "status": "True", "observedGeneration": 2}, "Unknown"),
    ],
)
def test_a_condition_counts_for_its_own_generation(found: dict[str, Any], truth: str) -> None:
    """Ready of an earlier spec doesn't end the demo."""
    assert condition(resource(2, found), "Ready") == truth
    assert condition({"metadata": {"generation": 2}}, "Ready") == "Unknown"
