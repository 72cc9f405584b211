"""A controller that is killed after any write starts one check and one run for one loss, and no more."""

import pytest

from domaintraining.controller.cluster import JOB
from tests.unit.controller.drifting import (
    NEW,
    OTHER,
    VOLUME,
    check_jobs,
    drifting,
    end,
    fill,
    found,
    later,
    report,
)
from tests.unit.controller.world import Act, World

Story = tuple[Act, ...]


def reported(world: World, f1: float, digest: str = NEW) -> None:
    """The trainer of the open check reports, and its Job ends."""
    report(world, check=found(digest, f1=f1))
    end(world)


def failed(world: World) -> None:
    """It gives up."""
    report(world, failure={"reason": "ModelServerUnavailable", "message": "down"})
    end(world, "Failed")


LOSS: Story = (lambda world: fill(world, "second"), lambda world: reported(world, 0.1))
STORIES: dict[str, Story] = {
    "loss": LOSS,
    "no loss": (lambda world: fill(world, "second"), lambda world: reported(world, 0.8)),
    "failed": (
        lambda world: fill(world, "second"),
        failed,
        lambda world: later(world, 31),
        lambda world: reported(world, 0.8),
    ),
    "changed again": (
        lambda world: fill(world, "second"),
        lambda world: reported(world, 0.8),
        lambda world: fill(world, "third"),
        lambda world: reported(world, 0.1, OTHER),
    ),
    "superseded": (
        lambda world: fill(world, "second"),
        lambda world: world.ask("2026-11-23T13:00:00Z"),
    ),
}


def lived(story: Story, dies_after: int | None = None) -> World:
    """A world at rest after a story; the controller dies after so many writes of it."""
    world = drifting()
    if dies_after is not None:
        world.cluster.dies_after = len(world.cluster.writes) + dies_after
    for act in story:
        act(world)
        world.settle()
    for _ in range(3):
        later(world, 3)
        world.settle()
    return world


@pytest.mark.parametrize("story", STORIES)
def test_killed_after_any_write_it_makes_the_same_jobs(story: str) -> None:
    """Same checks and same runs, each once; the record, and what status tells, are the same."""
    before = len(drifting().cluster.writes)
    whole = lived(STORIES[story])
    total = len(whole.cluster.writes) - before
    assert total > 10
    for dies_after in range(1, total + 1):
        world = lived(STORIES[story], dies_after)
        said = f"killed after {whole.cluster.writes[before + dies_after - 1]}"
        assert world.cluster.dies_after is None, said
        assert world.made(JOB) == whole.made(JOB), said
        assert world.content() == whole.content(), said


def test_a_loss_that_is_found_again_after_its_run_is_a_new_one() -> None:
    """Samples that change during the run are seen after it, and start one more run if they are worse."""
    world = lived(LOSS)
    assert world.made(JOB)[-1] == "docs-r2-a1"
    fill(world, "third")
    world.train({"entities": {"verdict": "Improved", "f1": 0.8, "precision": 0.8, "recall": 0.8}})
    world.end_job("Complete")
    for _ in range(3):
        later(world, 3)
        world.settle()
    assert world.made(JOB)[-1] == "docs-r2-a1", "run 2 began with the second samples; no numbers to compare"
    assert world.resource["status"]["drift"]["data"]["finding"] == "NotMeasured"


def test_a_lost_record_is_a_look_once_more() -> None:
    """Somebody deleted what the checks knew: the volume is read again, and nothing is measured."""
    world = drifting(VOLUME)
    later(world, 1.3 * world.settings.check_seconds)
    world.settle()
    assert check_jobs(world) == ["docs-check-1"]
    world.controller = world.started()
    world.settle()
    assert check_jobs(world) == ["docs-check-1"]
