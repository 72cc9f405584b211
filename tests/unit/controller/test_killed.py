"""A controller that is killed after any of its writes ends the same, with the same Jobs."""

import pytest

from domaintraining.controller.cluster import JOB
from tests.unit.controller.world import BETTER, SPEC, WORSE, Act, World

Story = tuple[Act, ...]

STORIES: dict[str, Story] = {
    "promoted": (World.run_pod, lambda world: world.result(BETTER)),
    "rejected": (World.run_pod, lambda world: world.result(WORSE)),
    "superseded": (
        World.run_pod,
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.result(BETTER),
    ),
    "gone back": (
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.change(),
    ),
    "weaker acceptance": (
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.result(WORSE),
        lambda world: world.change(optimizer={"seed": 10}, acceptance={"require": "Any"}),
    ),
    "stronger acceptance": (
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}, acceptance={"minF1": 0.9}),
    ),
    "pinned": (
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}, pinRevision=1, revisionHistoryLimit=1),
        lambda world: world.change(optimizer={"seed": 10}, revisionHistoryLimit=1),
    ),
    "composed": (
        lambda world: world.change(tasks=["entities", "relations"]),
        lambda world: world.result(BETTER | {"relations": BETTER["entities"]}),
        lambda world: world.change(tasks=["entities", "relations"], optimizer={"seed": 10}),
        lambda world: world.result(BETTER | {"relations": WORSE["entities"]}),
    ),
    "failed": (
        lambda world: world.report(failure={"reason": "DatasetInvalid", "message": "line 3"}),
        lambda world: world.end_job("Failed"),
        lambda world: world.change(job={"backoffLimit": 1}),
        lambda world: world.result(BETTER),
    ),
    "suspended": (
        World.run_pod,
        lambda world: world.change(suspend=True),
        lambda world: world.change(),
        lambda world: world.result(BETTER),
    ),
}


def lived(story: Story, dies_after: int | None = None, *, at_once: bool = False) -> World:
    """A world after a story; the controller dies after so many writes.

    Args:
        story: what happens, each after the controller has come to rest.
        dies_after: writes after which it is killed; None: never.
        at_once: whether the next thing happens before it is started again, if it can.
    """
    world = World(SPEC)
    world.cluster.dies_after = dies_after
    rest = list(story)
    while True:
        world.settle(rest if at_once else None)
        if not rest:
            return world
        rest.pop(0)(world)


@pytest.mark.parametrize("story", STORIES)
def test_killed_after_any_write_it_ends_the_same_with_the_same_jobs(story: str) -> None:
    """Every write is replayed from what the cluster holds: same objects, and no Job twice."""
    whole = lived(STORIES[story])
    total = len(whole.cluster.writes)
    assert total > 10
    for dies_after in range(1, total + 1):
        world = lived(STORIES[story], dies_after)
        assert world.cluster.dies_after is None, "it was killed"
        assert world.content() == whole.content(), f"killed after {whole.cluster.writes[dies_after - 1]}"
        assert world.made(JOB) == whole.made(JOB)


def test_a_trainer_that_ends_while_the_controller_is_down_is_taken_over() -> None:
    """Killed after any write, and the result is there before it is back."""
    story = STORIES["promoted"]
    whole = lived(story)
    for dies_after in range(1, len(whole.cluster.writes) + 1):
        world = lived(story, dies_after, at_once=True)
        assert world.conditions["Ready"] == ("True", "Promoted")
        assert world.made(JOB) == ["docs-r1-a1"]
        ended = {name: one for name, one in world.content().items() if "Job" not in name}
        assert ended.keys() == {name for name in whole.content() if "Job" not in name}
