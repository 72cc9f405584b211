"""A budget on the real API server: spent, told, and gone on from."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.trainings import apply, condition, config_map, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.components import STORAGE_CLASS
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]
SPEC: Json = {
    "tasks": ["entities"],
    "job": {"journal": {"storageClassName": STORAGE_CLASS["metadata"]["name"], "storage": "10Mi"}},  # type: ignore[index]
}
ENOUGH = 300
"""Calls for some trials of entities, not for all of them."""
SLOTS = 4


def manifest(sandbox: Sandbox, space: str, run: int) -> Json:
    """The manifest of a run's revision."""
    return dict(json.loads(config_map(sandbox, space, f"docs-prompt-r{run}")["manifest.json"]))


def test_a_spent_budget_serves_the_best_so_far_and_a_larger_one_goes_on(sandbox: Sandbox, space: str) -> None:
    """The cut run's revision says what it cost; the next run pays only what was not answered yet."""
    apply(sandbox, space, **SPEC, budget={"maxModelCalls": ENOUGH})
    cut = ready(sandbox, space)
    said = manifest(sandbox, space, 1)
    assert said["budgetExhausted"] is True
    assert said["spent"]["calls"] > ENOUGH - SLOTS
    assert cut["progress"]["entities"]["trial"] < cut["progress"]["entities"]["totalTrials"]
    apply(sandbox, space, **SPEC, budget={"maxModelCalls": 100_000})
    wait_for("run 2", lambda: status(sandbox, space)["run"]["number"] == 2)
    wait_for(
        "its end",
        lambda: (
            condition(sandbox, space, "Reconciling") == ("", "", "")
            and "docs-prompt-r2" in names(sandbox, space)
        ),
        seconds=240,
    )
    whole = status(sandbox, space)
    assert whole["progress"]["entities"]["trial"] == whole["progress"]["entities"]["totalTrials"]
    assert manifest(sandbox, space, 2)["budgetExhausted"] is False
    new = whole["progress"]["modelCalls"] - said["spent"]["calls"]
    assert 0 < new < ENOUGH, "what the first run asked is not asked again"
    assert condition(sandbox, space, "Ready")[0] == "True"


def test_a_budget_too_small_for_one_score_ends_with_what_to_do(sandbox: Sandbox, space: str) -> None:
    """Nothing was scored, so nothing is served; the condition says which field to raise."""
    apply(sandbox, space, **SPEC, budget={"maxModelCalls": 20})
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "BudgetExhausted", seconds=120)
    assert "spec.budget" in condition(sandbox, space, "Stalled")[2]
    assert condition(sandbox, space, "Available")[0] == "False"


def names(sandbox: Sandbox, space: str) -> list[str]:
    """Names of the ConfigMaps."""
    path = f"/api/v1/namespaces/{space}/configmaps"
    return [one["metadata"]["name"] for one in sandbox.cluster.api.items(path)]
