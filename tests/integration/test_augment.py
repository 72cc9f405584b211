"""On a real control plane: dataset.augment makes rewordings with the same (simulated) model, and says what
came of them in status and manifest.
"""

from __future__ import annotations

import json

from tests.integration.trainings import apply, config_map, ready
from tests.sandbox.environment import Sandbox


def test_rewordings_are_made_of_the_train_part_and_told_in_status_and_manifest(
    sandbox: Sandbox, space: str
) -> None:
    """The parts keep their sizes, and for each task stands there whether rewordings helped, or why not."""
    dataset = {
        "configMap": {"name": "samples", "key": "samples.jsonl"},
        "augment": {"factor": 2, "method": "paraphrase"},
    }
    apply(sandbox, space, dataset=dataset)
    shown = ready(sandbox, space)
    manifest = json.loads(config_map(sandbox, space, "docs-prompt")["manifest.json"])
    augment = manifest["augment"]
    train = shown["dataset"]["train"]
    assert augment["asked"] + augment["leftOut"] == 2 * train
    assert 0 < augment["made"] == augment["asked"] - sum(augment["refused"].values())
    assert manifest["dataset"]["train"] == train
    (line,) = [one for one in shown["dataset"]["warnings"] if one.startswith("augment: ")]
    assert line.startswith(f"augment: {augment['made']} of {augment['asked']} rewordings are used")
    for task in ("entities", "relations"):
        gain = augment["tasks"][task]
        assert len(gain["demos"]) == gain["usedInDemos"] <= shown["promptConfig"][task]["demos"]
        assert (gain["validationF1Without"] is None) == (gain["usedInDemos"] == 0)
        assert f"{task}: " in line
