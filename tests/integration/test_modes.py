"""Modes and models of a search on the real API server."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.trainings import apply, condition, config_map, ready
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]


def test_adaptive_shows_what_runs_and_by_which_rule(sandbox: Sandbox, space: str) -> None:
    """The mode is chosen when the samples are read, and said in the manifest."""
    apply(sandbox, space, tasks=["entities"], auto="adaptive")
    shown = ready(sandbox, space)
    rule = (
        "fewer than 200 validation samples"
        if shown["auto"] == "medium"
        else "fewer than 50 validation samples"
    )
    assert shown["auto"] in ("light", "medium")
    message = condition(sandbox, space, "DatasetValid")[2]
    assert message.endswith(f"; adaptive chose {shown['auto']}: {rule}")
    assert json.loads(config_map(sandbox, space, "docs-prompt")["manifest.json"])["auto"] == shown["auto"]


def test_manual_tries_as_often_as_it_says_with_another_model_for_proposals(
    sandbox: Sandbox, space: str
) -> None:
    """The proposing model is pulled, too."""
    apply(
        sandbox,
        space,
        tasks=["entities"],
        auto="manual",
        optimizer={"numCandidates": 3, "numTrials": 4, "minibatchSize": 1000},
        model={"promptModel": {"name": "qwen3:8b"}},
    )
    shown = ready(sandbox, space)
    assert shown["auto"] == "manual"
    assert shown["model"]["name"] == "qwen3:32b"
    # the start is evaluated as well
    assert shown["progress"]["entities"] == shown["progress"]["entities"] | {"trial": 5, "totalTrials": 5}
    (warning,) = (one for one in shown["dataset"]["warnings"] if "minibatchSize" in one)
    assert warning.startswith("optimizer.minibatchSize 1000 has no effect for entities")
