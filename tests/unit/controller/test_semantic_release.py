"""Names compared by embeddings decide nothing: the acceptance reads the normalized number beside it."""

from typing import Any

import pytest

from domaintraining.controller.models import ModelInfo
from tests.unit.controller.releases import BOTH, edit, manifest, next_run, numbers, runs, status
from tests.unit.controller.world import World

SEMANTIC: dict[str, Any] = {"matching": "semantic", "threshold": 0.6}


def further(verdict: str, f1: float, semantic: float) -> dict[str, Any]:
    """What was measured of one prompt, with the further number."""
    own = numbers(verdict, f1)
    interval = {"low": semantic - 0.05, "high": semantic}
    shared = {name: own[name] for name in ("baseline", "improvement")}
    same = dict.fromkeys(("f1", "precision", "recall"), semantic)
    return own | {"semantic": same | {"confidenceInterval": interval} | shared}


def trained(entities: dict[str, Any], relations: dict[str, Any], **spec: Any) -> World:
    """A resource whose first run is measured so."""
    world = World()
    world.models.models["bge-m3"] = ModelInfo("sha256:5", frozenset({"embedding"}))
    edit(world, metric=SEMANTIC, **spec)
    world.train({"entities": entities, "relations": relations})
    return world


@pytest.mark.parametrize("least", [{"minF1": 0.9}, {"entities": {"minF1": 0.9}, "relations": {"minF1": 0.9}}])
def test_a_prompt_that_reaches_a_number_by_embeddings_alone_is_rejected(least: dict[str, Any]) -> None:
    """F1 is 0.8 by letters and 0.95 by embeddings; 0.9 is asked for."""
    nearly = further("Improved", 0.8, 0.95)
    world = trained(nearly, nearly, acceptance=least)
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert "F1 0.800 is 0.100 short of minF1 0.9" in world.says("Stalled")


def test_each_task_keeps_the_further_number_of_the_run_that_its_prompt_is_from() -> None:
    """In status and in the served manifest alike; a run by letters has none."""
    world = trained(further("Improved", 0.7, 0.75), further("Improved", 0.7, 0.75))
    next_run(world, 10, "Improved", "Worse")
    assert runs(world) == ("2", "1")
    shown, said = status(world)["metrics"], manifest(world)["metrics"]
    assert "semantic" not in shown["entities"]
    assert shown["relations"]["semantic"]["f1"] == 0.75
    assert {task: said[task] for task in BOTH} == {task: shown[task] for task in BOTH}


def test_a_baseline_that_is_kept_has_no_further_number() -> None:
    """The number is that of the prompt that failed, and its interval too."""
    world = trained(further("Improved", 0.8, 0.85), further("Worse", 0.4, 0.45))
    assert runs(world) == ("1", "0")
    shown = status(world)["metrics"]
    assert shown["entities"]["semantic"]["f1"] == 0.85
    assert "semantic" not in shown["relations"]


ASKED: dict[str, Any] = {"acceptance": {"matching": "semantic"}}


def by_meaning(low: float, f1: float = 0.8) -> dict[str, Any]:
    """What is clearly better by letters, and by embeddings has an interval that begins at `low`."""
    own = further("Improved", f1, f1 + 0.1)
    gain = {"value": low + 0.1, "low": low, "high": low + 0.2, "over": "Baseline"}
    return own | {"semantic": own["semantic"] | {"improvement": gain}}


@pytest.mark.parametrize(
    ("spec", "low", "ready"),
    [
        ({}, -0.5, "Promoted"),
        (ASKED, -0.5, "Rejected"),
        (ASKED, -0.1, "Promoted"),
        ({"acceptance": {"matching": "semantic", "require": "Improved"}}, -0.1, "Rejected"),
        ({"acceptance": {"matching": "semantic", "require": "Improved"}}, 0.01, "Promoted"),
    ],
)
def test_the_number_by_embeddings_decides_where_it_is_asked_to(
    spec: dict[str, Any], low: float, ready: str
) -> None:
    """By letters each of these is Improved; what is asked of the other number is asked of its interval."""
    world = trained(by_meaning(low), by_meaning(low), **spec)
    assert world.conditions["Ready"][1] == ready
    if ready == "Rejected" and spec == ASKED:
        assert "Worse, F1 0.900 is -0.400 to the baseline" in world.says("Stalled")


def test_a_least_f1_by_embeddings_is_that_number() -> None:
    """F1 is 0.8 by letters and 0.9 by embeddings; 0.85 is asked for, first of the one, then of the other."""
    world = trained(by_meaning(0.1), by_meaning(0.1), acceptance={"minF1": 0.85})
    assert world.conditions["Ready"][1] == "Rejected"
    edit(world, metric=SEMANTIC, acceptance={"minF1": 0.85, "matching": "semantic"})
    world.settle()
    assert world.conditions["Ready"][1] == "Promoted"
    assert status(world)["run"]["number"] == 1


@pytest.mark.parametrize(("require", "ready"), [("NotWorse", "Rejected"), ("Any", "Promoted")])
def test_without_the_number_nothing_passes_that_it_is_to_decide(require: str, ready: str) -> None:
    """A run whose names were too many has none."""
    own = numbers("Improved", 0.8)
    world = trained(own, own, acceptance={"matching": "semantic", "require": require})
    assert world.conditions["Ready"][1] == ready
    if ready == "Rejected":
        assert "no number by embeddings" in world.says("Stalled")
