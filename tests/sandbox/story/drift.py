"""The middle of the story: the world under a served prompt changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.request import Request, urlopen

from tests.sandbox.environment import MODEL
from tests.sandbox.story.releases import TASKS, differences, served
from tests.sandbox.story.stage import Json, Stage

NEW_GUIDELINE = {"SERVICE": "TECHNOLOGY"}
"""The team makes no difference between its own programs and those of others any more."""
BUILD = "2"


def more_data(stage: Stage, lines: Sequence[str]) -> str:
    """More samples of the same kind: what is served is measured with them, and stays."""
    before, runs = stage.prompt(), _runs(stage)
    stage.put_samples(list(lines))
    told = _found(stage, "data")
    stage.expect("nothing was lost", holds=told["data"]["finding"] == "NoLoss")
    stage.expect(
        "no run was made, and the same is served", holds=(stage.prompt(), _runs(stage)) == (before, runs)
    )
    return f"{_measured(told)}: no loss, no run"


def other_labels(stage: Stage, lines: Sequence[str]) -> str:
    """Labels by another guideline: what is served lost by them, and one run answers it."""
    before = _drift(stage)
    stage.put_samples([_relabelled(line) for line in lines])
    told = _found(stage, "data", before)
    entities = told["entities"]
    stage.expect("it is a loss", holds=told["data"]["finding"] == "Loss" and entities["f1"] < entities["low"])
    stage.say(f"  {told['message']}")
    stage.wait("a run for it", lambda: _drift(stage).get("run") == 4)
    stage.wait("its end", lambda: stage.status["run"].get("completionTime") and stage.ended())
    status = stage.status
    stage.expect("one run was made", holds=_runs(stage)[-1:] == ["tech-docs-r4-a1"])
    stage.expect("its prompt is served", holds=served(status) == 4)
    gain = status["metrics"]["entities"]["improvement"]
    stage.expect("entities are clearly better", holds=gain["over"] == "Served" and gain["low"] > 0)
    return f"{_measured(told)}: a loss; run 4 promoted, {differences(stage.manifest(4)['metrics'])}"


def other_model(stage: Stage) -> str:
    """Another build of the model under the same name: measured, as good, and nothing else happens."""
    before, runs = stage.prompt(), _runs(stage)
    body = json.dumps({"model": MODEL, "build": BUILD, "lapses": 0.0}).encode()
    with urlopen(Request(f"{stage.sandbox.model_server}/simulated/build", body), timeout=10):
        stage.say(f"  the model server has another build of {MODEL}")
    told = _found(stage, "model")
    changed = told["model"]["before"] != told["model"]["now"]
    stage.expect("another digest was seen", holds=changed and told["model"]["finding"] == "NoLoss")
    stage.expect(
        "no run was made, and the same is served", holds=(stage.prompt(), _runs(stage)) == (before, runs)
    )
    return f"{_measured(told)}: no loss, no run"


def _relabelled(line: str) -> str:
    sample = json.loads(line)
    for entity in sample.get("entities", []):
        entity["type"] = NEW_GUIDELINE.get(entity["type"], entity["type"])
    return json.dumps(sample, ensure_ascii=False)


def _drift(stage: Stage) -> Json:
    return dict(stage.status.get("drift") or {})


def _found(stage: Stage, side: str, before: Json | None = None) -> Json:
    """status.drift once a check is through that came after the one of before."""

    def look() -> Json | None:
        told = _drift(stage)
        found, last = told.get(side) or {}, (before or {}).get(side)
        return told if found.get("finding", "Checking") != "Checking" and found != last else None

    return stage.wait("what a check finds", look)


def _runs(stage: Stage) -> list[str]:
    """Jobs of runs, without those of checks."""
    return sorted(name for name in stage.jobs() if "-check-" not in name)


def _measured(told: Json) -> str:
    """F1 of each task that was measured again, after the one that was published."""
    return ", ".join(
        f"{task} {told[task]['published']:.3f}→{told[task]['f1']:.3f}" for task in TASKS if told.get(task)
    )
