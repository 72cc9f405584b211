"""A later run of the same spec: Ready is about the prompt that is served, not about what runs."""

from typing import Any

import pytest

from domaintraining.api.names import LABEL_HASH
from domaintraining.controller.cluster import CONFIG_MAP, JOB
from tests.unit.controller.world import BETTER, WORSE, World

ASKED = "2026-11-23T12:00:00Z"


def again() -> World:
    """A prompt of this spec is served, and one more run of it was asked for; its Job waits for its pod."""
    world = World()
    world.train(BETTER)
    world.cluster.events.clear()
    world.ask(ASKED)
    world.settle()
    return world


def columns(world: World) -> tuple[str, str, str]:
    """READY, REASON and PROGRESS of kubectl."""
    return (*world.conditions["Ready"], world.resource["status"]["summary"]["progress"])


def since(world: World) -> str:
    """When Ready last changed."""
    listed: list[dict[str, Any]] = world.resource["status"]["conditions"]
    return str(next(one["lastTransitionTime"] for one in listed if one["type"] == "Ready"))


def test_ready_stays_true_while_a_later_run_goes() -> None:
    """Reconciling and Trained say what runs, the columns how far it is; then the new prompt is served."""
    world = again()
    ready = since(world)
    assert world.conditions["Reconciling"] == ("True", "Queued")
    assert columns(world) == ("True", "Promoted", "0%")
    world.run_pod()
    world.report(progress={"percent": 36})
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "Training")
    assert world.conditions["Trained"] == ("False", "Training")
    assert world.conditions["Promoted"] == world.conditions["Available"] == ("True", "Promoted")
    assert columns(world) == ("True", "Promoted", "36%")
    world.result(BETTER)
    world.settle()
    assert "Reconciling" not in world.conditions
    assert world.conditions["Trained"] == ("True", "Trained")
    assert (*columns(world), since(world)) == ("True", "Promoted", "100%", ready)
    assert world.says("Ready") == "revision 2 is served"
    assert world.told == ["Queued", "Training", "Trained"]


def test_a_later_run_can_be_waited_for() -> None:
    """The annotation is in status as soon as Trained is about its run."""
    world = again()
    status = world.resource["status"]
    assert (status["lastHandledRetrainTime"], world.conditions["Trained"][0]) == (ASKED, "False")


def test_a_restored_resource_does_not_run_again_for_what_was_asked_before() -> None:
    """Its status is gone with it, its annotation is not; a later one asks for a run."""
    world = again()
    world.run_pod()
    world.result(BETTER)
    world.settle()
    made = world.made(JOB)
    world.restore()
    world.ask(ASKED)
    world.settle()
    assert world.made(JOB) == made
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.resource["status"]["lastHandledRetrainTime"] == ASKED
    world.ask("2026-11-23T12:00:01Z")
    world.settle()
    assert world.made(JOB) == [*made, "docs-r3-a1"]


def test_a_rejected_later_run_leaves_ready_as_it_was() -> None:
    """Nothing is stalled; Trained and the history name the run."""
    world = again()
    world.result(WORSE)
    world.settle()
    assert columns(world) == ("True", "Promoted", "100%")
    assert "Stalled" not in world.conditions
    assert world.conditions["Trained"] == ("True", "Trained")
    assert world.says("Trained") == (
        "run 2 ended with a result that was not accepted (entities: Worse, F1 0.100); revision 1 stays served"
    )
    assert [one["reason"] for one in world.resource["status"]["history"]] == ["Rejected", "Promoted"]
    assert world.told == ["Queued", "Trained"]


def test_a_later_run_that_fails_is_stalled_and_ready() -> None:
    """A person has to act, and the prompt of this spec is served."""
    world = again()
    world.report(failure={"reason": "DatasetInvalid", "message": "line 3"})
    world.end_job("Failed", reason="PodFailurePolicy")
    world.settle()
    assert world.conditions["Stalled"] == ("True", "DatasetInvalid")
    assert world.conditions["Trained"] == world.conditions["DatasetValid"] == ("False", "DatasetInvalid")
    assert "Reconciling" not in world.conditions
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.names(JOB) == ["docs-r1-a1", "docs-r2-a1"]


def test_a_later_run_that_waits_for_the_model_server_is_reconciling_and_ready() -> None:
    """Its checks come before its Job; GitOps tools go on waiting."""
    world = World()
    world.train(BETTER)
    world.models.down = {"http://ollama.ollama:11434"}
    world.ask(ASKED)
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "ModelServerUnavailable")
    assert world.conditions["ModelReady"] == ("False", "ModelServerUnavailable")
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_a_suspended_later_run_rests() -> None:
    """Neither reconciling nor stalled; Trained says why, and false goes on with it."""
    world = again()
    world.change(suspend=True)
    world.settle()
    assert world.conditions["Trained"] == ("False", "Suspended")
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert {"Reconciling", "Stalled"} & world.conditions.keys() == set()
    assert world.resource["status"]["progress"]["message"] == "suspended"
    world.change()
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "Queued")
    assert world.names(JOB)[-1] == "docs-r2-a2"


@pytest.mark.parametrize("spec", [{"optimizer": {"seed": 10}}, {"instructions": {"entities": "Name all."}}])
def test_an_edit_that_starts_a_run_is_never_ready_before_its_prompt_is_served(spec: dict[str, Any]) -> None:
    """No status of the new generation says Ready, so `kubectl wait` right after the edit waits for it."""
    world = World()
    world.train(BETTER)
    world.change(**spec)
    seen = []
    while not world.names(JOB)[1:]:
        world.look()
        status = world.resource["status"]
        seen.append((status["observedGeneration"], world.conditions["Ready"][0]))
    assert seen
    assert set(seen) == {(2, "False")}
    world.train(BETTER)
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_an_edit_that_starts_nothing_keeps_ready() -> None:
    """It is the same hash; the conditions are those of the new generation."""
    world = World()
    world.train(BETTER)
    world.change(description="another")
    world.settle()
    listed = world.resource["status"]["conditions"]
    assert {one["observedGeneration"] for one in listed} == {2}
    assert columns(world) == ("True", "Promoted", "100%")


def test_what_was_superseded_is_not_shown_as_progress() -> None:
    """Back at a spec whose prompt is kept: the columns are those of what is served."""
    world = World()
    world.train(BETTER)
    world.change(optimizer={"seed": 10})
    world.settle()
    world.run_pod()
    world.report(progress={"percent": 36, "estimatedCompletionTime": ASKED})
    world.settle()
    assert columns(world) == ("False", "Training", "36%")
    world.change()
    world.settle()
    assert columns(world) == ("True", "Promoted", "100%")
    progress = world.resource["status"]["progress"]
    assert (progress["percent"], progress["message"]) == (36, "superseded")
    assert "estimatedCompletionTime" not in progress


def test_a_prompt_that_can_not_be_served_is_not_ready() -> None:
    """Somebody else's ConfigMap has its name."""
    world = again()
    taken = world.get(CONFIG_MAP, "docs-prompt")
    taken["metadata"] |= {"labels": {}, "ownerReferences": []}
    world._put(taken)
    world.settle()
    assert world.conditions["Ready"] == ("False", "Failed")
    assert world.conditions["Stalled"] == ("True", "NameConflict")


def test_labels_of_the_served_prompt_are_restored() -> None:
    """They say which revision of which spec it is; an edit does not make it another one."""
    world = World()
    world.train(BETTER)
    labels = world.get(CONFIG_MAP, "docs-prompt")["metadata"]["labels"]
    edited = world.get(CONFIG_MAP, "docs-prompt")
    edited["metadata"]["labels"][LABEL_HASH] = "another"
    world._put(edited)
    world.settle()
    assert world.get(CONFIG_MAP, "docs-prompt")["metadata"]["labels"] == labels
    assert world.conditions["Ready"] == ("True", "Promoted")


@pytest.mark.parametrize("text", ["soon", "2026-11-23", "20261123T120000Z", "2026-11-23T25:00:00Z"])
def test_a_retrain_annotation_that_is_no_time_is_not_taken_over(text: str) -> None:
    """It asks for nothing, and the status stays one that the API server takes."""
    world = World()
    world.ask(text)
    world.train(BETTER)
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert "lastHandledRetrainTime" not in world.resource["status"]
