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
