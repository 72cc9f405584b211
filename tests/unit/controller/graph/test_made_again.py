"""Logs of a resource that is deleted and created anew, from a backup or from nothing."""

import copy
from datetime import timedelta

from domaintraining.api.scalars import rfc3339
from domaintraining.controller.cluster import DOMAIN_TRAINING
from tests.unit.controller.graph.test_story import NAMED
from tests.unit.controller.graph.world import GraphWorld
from tests.unit.controller.world import BETTER


def made_again(world: GraphWorld, *, restored: bool) -> None:
    """Delete the resource and create it a day later, with its objects or without."""
    world.now += timedelta(days=1)
    body = copy.deepcopy(world.cluster.objects[DOMAIN_TRAINING, "team", "docs"])
    body.pop("status", None)
    body["metadata"] |= {"uid": "uid-again", "creationTimestamp": rfc3339(world.now)}
    if not restored:
        world.cluster.objects.clear()
    world.cluster.objects[DOMAIN_TRAINING, "team", "docs"] = body
    world.controller = world.started()
    world.settle()


def test_a_resource_that_is_made_again_leaves_the_logs_of_the_earlier_one() -> None:
    """Its runs count from 1 anew: no log tells of both."""
    world = GraphWorld(NAMED)
    world.train(BETTER)
    (earlier,) = copy.deepcopy(list(world.graph.logs.items()))
    made_again(world, restored=False)
    world.run_pod()
    world.report(progress={"percent": 20, "step": "entity_optimization"})
    world.settle()
    assert (world.domain["owner_uid"], len(world.graph.logs)) == ("uid-again", 2)
    assert world.graph.logs.pop(earlier[0]) == earlier[1]
    assert world.log(1)["status"] == "training"
    assert world.log(1)["completed_at"] is None
    assert world.log(1)["log_messages"] == [f"run 1 started at {rfc3339(world.now)}"]
    (going,) = world.graph.logs
    world.result(BETTER)
    world.settle()
    world.controller = world.started()
    world.settle()
    assert set(world.graph.logs) == {going}, "its log stays its log"


def test_a_resource_that_is_restored_finds_its_logs_again() -> None:
    """By the revisions that it takes over."""
    world = GraphWorld(NAMED)
    world.train(BETTER)
    before = set(world.graph.logs)
    made_again(world, restored=True)
    assert world.domain["owner_uid"] == "uid-again"
    assert set(world.graph.logs) == before
    world.change(optimizer={"seed": 10})
    world.train(BETTER)
    assert len(world.graph.logs) == 2
    made_again(world, restored=True)
    assert len(world.graph.logs) == 2


def test_a_lost_log_is_written_again_beside_one_of_the_same_number() -> None:
    """That of the earlier resource does not stand for it."""
    world = GraphWorld(NAMED)
    world.train(BETTER)
    (earlier,) = world.graph.logs
    made_again(world, restored=False)
    world.train(BETTER)
    (later,) = set(world.graph.logs) - {earlier}
    del world.graph.logs[later]
    world.now += timedelta(minutes=6)
    world.settle()
    assert set(world.graph.logs) == {earlier, later}
