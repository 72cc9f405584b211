"""What a run trains with, as status shows it."""

import json
from pathlib import Path
from typing import Any

from domaintraining.trainer.data.material import MAX_WARNINGS, Material, read_material
from tests.unit.trainer.scripted import make_run, samples


def material(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Material:
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_material(make_run(**changes), folder)


def test_warnings_are_those_of_the_split_and_those_of_the_file(tmp_path: Path) -> None:
    """No test part, unknown keys, other labels on an equal text: each stands in status.dataset once."""
    rows = samples(20)
    again = {**rows[0], "relations": []}
    read = material(tmp_path, [*rows[:-1], {**rows[-1], "id": 1}, again])
    warnings = read.status().warnings
    assert warnings == [*read.parts.warnings, *read.samples.warnings]
    assert [len(read.parts.warnings), len(read.samples.warnings)] == [1, 2]
    assert "held-out" in warnings[0]
    assert warnings[1] == "unknown keys are ignored: 1 (line 20)"
    assert warnings[2].endswith("1 (lines 1 and 21)")
    assert len(warnings) <= MAX_WARNINGS


def test_a_file_without_faults_has_no_warnings(tmp_path: Path) -> None:
    """Enough samples for all parts, each text once."""
    shown = material(tmp_path, samples(40)).status()
    assert shown.warnings == []
    assert (shown.samples, shown.train + shown.validation + shown.test, shown.skipped) == (40, 40, 0)


def test_a_task_that_is_not_trained_has_its_baselines_prompt_in_the_manifest(tmp_path: Path) -> None:
    """Programs that want both find it in the graph; its types are the samples', else a general one."""
    rows = samples(40)
    told = material(tmp_path, rows, tasks=["entities"]).described()["untrained"]
    assert list(told) == ["relations"]
    assert told["relations"].count("{text}") == told["relations"].count("{entities}") == 1
    unlabelled = [{key: value for key, value in row.items() if key != "relations"} for row in rows]
    told = material(tmp_path, unlabelled, tasks=["entities"]).described()["untrained"]
    assert "- RELATED_TO" in told["relations"]
    assert material(tmp_path, rows, tasks=["entities", "relations"]).described()["untrained"] == {}


def test_the_calls_behind_a_turn_are_what_the_later_models_need_and_what_ends_the_turns(
    tmp_path: Path,
) -> None:
    """Behind the last searches nothing has to be kept; what ends a turn may differ from model to model."""
    rivals: list[dict[str, Any]] = [
        {"model": {"name": name, "digest": "sha256:1", "endpoint": "http://ollama", "source": "spec"}}
        for name in ("b:1b", "c:1b")
    ]
    rivals[1]["maxConcurrentRequests"] = 4
    read = material(tmp_path, samples(40), compareWith=rivals)
    closing = {"tiny:1b": 30, "b:1b": 70, "c:1b": 1000}
    scores, looks = 40 + 16, 33
    behind = [read.calls_behind(place, closing.__getitem__) for place in range(3)]
    assert behind == [30 + scores + looks + 70 + scores, 70 + scores, 0]
