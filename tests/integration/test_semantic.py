"""On a real control plane: with metric.matching semantic the embedding model is pulled and a number more
stands in status and manifest; advice is there with any metric.
"""

from __future__ import annotations

import json

from tests.integration.trainings import apply, config_map, ready
from tests.sandbox.environment import Sandbox

THRESHOLD = 0.6


def test_the_embedding_model_is_pulled_and_its_number_stands_beside_the_normalized_one(
    sandbox: Sandbox, space: str
) -> None:
    """In status and, the same, in the served manifest; it can only be higher."""
    apply(sandbox, space, metric={"matching": "semantic", "threshold": THRESHOLD})
    shown = ready(sandbox, space)
    assert shown["embeddingModel"]["name"] == "bge-m3"
    assert shown["embeddingModel"]["digest"]
    manifest = json.loads(config_map(sandbox, space, "docs-prompt")["manifest.json"])
    assert manifest["metric"] == {"matching": "semantic", "threshold": THRESHOLD, "embeddingModel": None}
    assert {task: findings["judged"] > 0 for task, findings in manifest["doctor"].items()} == {
        "entities": True,
        "relations": True,
    }
    assert 2 <= len(shown["advice"]) <= 5
    for measure in ("entities", "relations", "endToEnd"):
        numbers = shown["metrics"][measure]
        assert numbers["semantic"]["f1"] >= numbers["f1"]
        assert numbers["semantic"]["baseline"]["f1"] >= numbers["baseline"]["f1"]
        assert manifest["metrics"][measure]["semantic"] == numbers["semantic"]
