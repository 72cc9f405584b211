"""What status tells of a loss: a run that follows, then that it was started."""

from typing import Any

import pytest

from domaintraining.controller.cluster import JOB
from tests.unit.controller.drifting import (
    DATA,
    UNMEASURED,
    answer,
    drift,
    drifting,
    end,
    fill,
    findings,
    found,
    later,
    renew,
    report,
)
from tests.unit.controller.world import World

STARTED = "run 2 was started for it"


def message(world: World) -> str:
    """What status.drift says to people."""
    return str(drift(world)["message"])


def lost() -> World:
    """A loss was found, and the run for it can't start: its model server is down."""
    world = drifting()
    fill(world, "second")
    world.settle()
    report(world, check=found(f1=0.69))
    end(world)
    world.models.down.add(world.settings.ollama_base_url)
    later(world, 600)
    world.settle()
    assert findings(world)[0] == "Loss"
    assert "docs-r2-a1" not in world.made(JOB)
    return world


def test_a_run_follows_until_it_was_started() -> None:
    """With the number that it will have."""
    world = lost()
    assert "run 2 follows" in message(world)
    assert drift(world)["run"] == 2
    world.models.down.clear()
    later(world, 3600)
    world.settle()
    assert "docs-r2-a1" in world.made(JOB)
    assert message(world).endswith(STARTED)


def test_a_run_that_ended_does_not_follow() -> None:
    """Status says which run it was, beside the numbers of the loss."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.69))
    world.train(UNMEASURED)
    world.end_job("Complete")
    world.settle()
    assert message(world).endswith(STARTED)
    assert "below 0.700" in message(world)
    assert drift(world)["run"] == 2


@pytest.mark.parametrize("change", [{"retrain": {"onDatasetChange": "Never"}}, {"suspend": True}])
def test_a_loss_that_no_run_is_wanted_for_announces_none(change: dict[str, Any]) -> None:
    """Somebody changed what is asked for before the run was made."""
    world = lost()
    world.change(dataset=DATA, tasks=["entities"], **change)
    world.settle()
    assert "run" not in drift(world)
    assert "follows" not in message(world)


@pytest.mark.parametrize("policy", ["Never", "OnLoss"])
def test_a_run_of_another_spec_was_not_started_for_a_loss(policy: str) -> None:
    """The loss had asked for one that never was; then a person changed the seed."""
    world = lost()
    never = {"retrain": {"onDatasetChange": "Never"}}
    world.change(dataset=DATA, tasks=["entities"], **never)
    world.settle()
    world.models.down.clear()
    retrain = {"retrain": {"onDatasetChange": policy}}
    world.change(dataset=DATA, tasks=["entities"], optimizer={"seed": 77}, **retrain)
    later(world, 3600)
    world.settle()
    assert world.made(JOB)[-1] == "docs-r2-a1"
    for _ in range(2):
        assert "run" not in drift(world)
        assert "started" not in message(world)
        world.train(UNMEASURED)
        world.end_job("Complete")
        world.settle()


def test_a_run_by_hand_was_not_started_for_a_loss_that_nobody_asks_about() -> None:
    world = lost()
    world.change(dataset=DATA, tasks=["entities"], retrain={"onDatasetChange": "Never"})
    world.settle()
    world.models.down.clear()
    world.ask("2026-11-24T13:00:00Z")
    later(world, 3600)
    world.settle()
    assert world.made(JOB)[-1] == "docs-r2-a1"
    assert "run" not in drift(world)


def test_what_was_started_for_a_loss_is_told_while_suspended_and_after_a_later_run() -> None:
    """A run of another spec comes after it."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.69))
    world.change(dataset=DATA, tasks=["entities"], suspend=True)
    world.settle()
    assert drift(world)["run"] == 2
    world.change(dataset=DATA, tasks=["entities"])
    world.train(UNMEASURED)
    world.change(dataset=DATA, tasks=["entities"], optimizer={"seed": 77})
    world.train(UNMEASURED)
    assert "docs-r3-a1" in world.made(JOB)
    assert drift(world)["run"] == 2


def test_while_a_check_goes_on_status_tells_what_was_known() -> None:
    """Of the first check after a run, what the run was made with."""
    world = drifting()
    renew(world, "sha256:2")
    world.settle()
    side = drift(world)["model"]
    assert (side["finding"], side["before"], side["now"]) == ("Checking", "sha256:1", "sha256:2")
    answer(world, found(f1=0.8, changed=False))
    renew(world, "sha256:3")
    world.settle()
    assert (drift(world)["model"]["before"], drift(world)["model"]["now"]) == ("sha256:2", "sha256:3")
