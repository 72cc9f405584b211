"""Where the two served prompts are for two models, both are watched, and each is measured on its own."""

from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.names import check_name
from domaintraining.controller.checks import RECORD_KEY
from domaintraining.controller.cluster import CONFIG_MAP, JOB
from domaintraining.controller.models import ModelInfo
from tests.unit.controller.drifting import (
    DATA,
    NEW,
    answer,
    check_jobs,
    drift,
    fill,
    findings,
    found,
    later,
    record,
    renew,
    started,
)
from tests.unit.controller.releases import BOTH, numbers
from tests.unit.controller.world import World

OWN, RIVAL, SMALL = "qwen3:32b", "b:latest", "small:1b"
INTERVAL = {"confidenceInterval": {"low": 0.7, "high": 0.9}}


def outcome(entities: str, relations: str) -> dict[str, Any]:
    """What was measured of a run, with intervals."""
    return {"entities": numbers(entities) | INTERVAL, "relations": numbers(relations) | INTERVAL}


def measured(entities: float, relations: float) -> dict[str, Any]:
    """What a check's trainer reports of both prompts."""
    given = found(NEW, entities, changed=False)
    other = found(NEW, relations)["metrics"]["entities"]
    return given | {"metrics": given["metrics"] | {"relations": other}}


def serving_two(**spec: Any) -> World:
    """The prompt for entities is run 2's for the rival, that for relations run 1's for the spec's model."""
    world = World({"dataset": DATA, "tasks": BOTH, "compareWith": [{"name": RIVAL}]} | spec)
    world.models.models[RIVAL] = ModelInfo("sha256:1", frozenset({"completion"}))
    fill(world, "first")
    world.train(outcome("Improved", "Improved"))
    world.ask("2026-11-23T13:00:00Z")
    world.train(outcome("Improved", "Worse"), {"entities": RIVAL, "relations": RIVAL})
    world.settle()
    return world


@pytest.mark.parametrize("name", [OWN, RIVAL])
def test_a_new_digest_of_either_is_measured(name: str) -> None:
    """Once: the check's record knows both."""
    world = serving_two()
    renew(world, "sha256:2", name)
    world.settle()
    run = started(world)
    digests = {one.name: one.digest for one in (run.model, *(rival.model for rival in run.compare_with))}
    assert digests == {OWN: "sha256:1", RIVAL: "sha256:1"} | {name: "sha256:2"}
    assert run.check is not None
    assert run.check.model_changed
    answer(world, measured(0.8, 0.8))
    assert findings(world) == ("Unchanged", "NoLoss")
    later(world, 600)
    world.settle()
    world.controller = world.started()
    world.settle()
    assert check_jobs(world) == []
    assert world.made(JOB) == ["docs-r1-a1", "docs-r2-a1", "docs-check-1"]


def test_a_loss_of_the_second_models_prompt_starts_a_run() -> None:
    world = serving_two()
    renew(world, "sha256:2", OWN)
    answer(world, measured(0.8, 0.5))
    assert findings(world)[1] == "Loss"
    assert world.made(JOB)[-1] == "docs-r3-a1"


def test_always_starts_a_run_for_either() -> None:
    world = serving_two(retrain={"onModelChange": "Always"})
    renew(world, "sha256:2", OWN)
    world.settle()
    assert world.made(JOB)[-1] == "docs-r3-a1"


def test_status_shows_the_digests_of_both() -> None:
    """Shortened, that of the run's own choice first."""
    world = serving_two()
    renew(world, "2" * 64, OWN)
    world.settle()
    told = drift(world)["model"]
    assert (told["before"], told["now"]) == ("sha256:1, sha256:1", f"sha256:1, {'2' * 12}")


@pytest.mark.parametrize("name", [OWN, RIVAL])
def test_a_digest_that_the_server_does_not_tell_says_nothing(name: str) -> None:
    """Of that one; the other's change is seen, and what was known of the first stays known."""
    world = serving_two()
    renew(world, "", name)
    world.settle()
    assert check_jobs(world) == []
    assert "drift" not in world.resource["status"]
    other = OWN if name == RIVAL else RIVAL
    renew(world, "sha256:2", other)
    world.settle()
    current = record(world).current
    assert current is not None
    assert sorted((current.world.model, current.world.other_model)) == ["", "sha256:2"]


def test_a_record_of_an_earlier_release_knows_one_model() -> None:
    """The first; of the second one the last run tells."""
    world = serving_two()
    renew(world, "sha256:2", RIVAL)
    answer(world, measured(0.8, 0.8))
    concluded = record(world).concluded
    assert concluded is not None
    assert (concluded.world.model, concluded.world.other_model) == ("sha256:2", "sha256:1")
    config_map = world.get(CONFIG_MAP, check_name("docs"))
    config_map["data"][RECORD_KEY] = config_map["data"][RECORD_KEY].replace("otherModel", "unknown")
    world._put(config_map)
    later(world, 600)
    world.settle()
    assert check_jobs(world) == []
    renew(world, "sha256:2", OWN)
    world.settle()
    assert len(check_jobs(world)) == 1


@pytest.mark.parametrize(("named", "spelled"), [("b", "b:latest"), ("b:latest", "b")])
def test_a_prompt_of_an_earlier_run_names_its_model_in_another_spelling(named: str, spelled: str) -> None:
    """Run 2 trains a new spec, and its prompt for entities alone passes."""
    world = World({"dataset": DATA, "tasks": BOTH, "compareWith": [{"name": named}]})
    world.models.models[RIVAL] = ModelInfo("sha256:1", frozenset({"completion"}))
    fill(world, "first")
    world.train(outcome("Improved", "Improved"), {"entities": named, "relations": named})
    world.change(dataset=DATA, tasks=BOTH, compareWith=[{"name": spelled}])
    world.train(outcome("Improved", "Worse"))
    world.settle()
    renew(world, "sha256:2", RIVAL)
    world.settle()
    assert started(world).compare_with[0].model.digest == "sha256:2"


def served_for_a_model_of_before(**entities: Any) -> World:
    """spec.model changed, and the new prompt for entities passed; that for relations is for the old model."""
    world = World({"dataset": DATA, "tasks": BOTH})
    world.models.models[SMALL] = ModelInfo("sha256:1", frozenset({"completion"}))
    fill(world, "first")
    world.train(outcome("Improved", "Improved"))
    world.change(dataset=DATA, tasks=BOTH, model={"name": SMALL})
    world.train(outcome("Improved", "Worse") | entities)
    world.settle()
    return world


def test_a_prompt_for_a_model_of_before_takes_no_part() -> None:
    """Its F1 on the new model is not held against what was published for the old one."""
    world = served_for_a_model_of_before()
    fill(world, "second")
    answer(world, measured(0.8, 0.5) | {"changed": True})
    assert findings(world)[0] == "NoLoss"
    assert "relations" not in drift(world)
    assert f"the prompt for relations is not measured: it is for {OWN}" in drift(world)["message"]
    assert world.made(JOB)[-1] == "docs-check-1"


def test_where_only_prompts_for_a_model_of_before_have_numbers_nothing_is_measured() -> None:
    world = served_for_a_model_of_before(entities=numbers("Improved"))
    fill(world, "second")
    world.settle()
    assert findings(world)[0] == "NotMeasured"
    assert f"the prompt for relations is not measured: it is for {OWN}" in drift(world)["message"]
    assert check_jobs(world) == []


def test_without_the_second_models_digest_nothing_is_measured() -> None:
    """Its prompt would be measured on the first: the check waits for its server instead."""
    world = serving_two()
    renew(world, "", OWN)
    fill(world, "second")
    world.settle()
    assert check_jobs(world) == []
    assert findings(world)[0] == "CheckFailed"
    assert f"does not tell the digest of {OWN}" in drift(world)["message"]
    renew(world, "sha256:1", OWN)
    world.settle()
    assert len(check_jobs(world)) == 1


def test_another_default_of_the_operators_leaves_both_prompts_with_their_models() -> None:
    """The name of the last run counts, and what is served goes on to ask it."""
    world = serving_two()
    world.settings = replace(world.settings, model="other:1b")
    world.controller = world.started()
    fill(world, "second")
    world.settle()
    run = started(world)
    assert (run.model.name, [one.model.name for one in run.compare_with]) == (RIVAL, [OWN])
    answer(world, measured(0.8, 0.5) | {"changed": True})
    assert findings(world)[0] == "Loss"
