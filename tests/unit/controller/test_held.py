"""A trainer that finds no node holds up nobody else for long, and goes on when what keeps it is changed."""

from datetime import timedelta
from typing import Any

import pytest

from domaintraining.controller.cluster import JOB, POD
from domaintraining.controller.held import HELD_FOR
from tests.unit.controller.world import BETTER, NOW, World

UNSCHEDULABLE: dict[str, Any] = {
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes match"}
    ]
}
NO_IMAGE: dict[str, Any] = {
    "containerStatuses": [{"name": "trainer", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
}
CREATING: dict[str, Any] = {
    "containerStatuses": [{"name": "trainer", "state": {"waiting": {"reason": "ContainerCreating"}}}]
}


def pending(world: World, status: dict[str, Any]) -> None:
    """The Job's pod is there and does not run."""
    world.run_pod()
    job = world.job()
    job["status"] = {"active": 1, "startTime": NOW.isoformat()}
    world._put(job)
    for (kind, *_), pod in list(world.cluster.objects.items()):
        if kind.kind == "Pod":
            about = pod["metadata"] | {"creationTimestamp": world.now.isoformat()}
            world._put(pod | {"metadata": about, "status": {"phase": "Pending"} | status})
    world.settle()


def lose_pod(world: World, *, counted: bool = True) -> None:
    """The Job's pod is gone; the Job controller has counted it, and no other is made."""
    world.cluster.objects = {key: one for key, one in world.cluster.objects.items() if key[0] != POD}
    if counted:
        count_lost(world)
    world.settle()


def count_lost(world: World) -> None:
    """The Job's status changes as its pod ends."""
    job = world.job()
    job["status"]["active"] = 0
    job["metadata"]["managedFields"] = [
        {"manager": "somebody", "time": (world.now + HELD_FOR).isoformat()},
        {"manager": "kube-controller-manager", "subresource": "status", "time": world.now.isoformat()},
    ]
    world._put(job)


def held(status: dict[str, Any]) -> World:
    """A run whose first pod does not run."""
    world = World()
    world.settle()
    pending(world, status)
    return world


@pytest.mark.parametrize(
    ("status", "reason"),
    [(UNSCHEDULABLE, "Unschedulable"), (NO_IMAGE, "ImagePullFailed"), (CREATING, "Unschedulable")],
)
def test_it_gives_its_place_back_and_tries_again(status: dict[str, Any], reason: str) -> None:
    """After a quarter of an hour: its Job goes, and the next attempt follows with a pause."""
    world = held(status)
    world.now = NOW + HELD_FOR - timedelta(seconds=1)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    world.now = NOW + HELD_FOR
    world.settle()
    assert world.names(JOB) == []
    assert world.conditions["Trained"] == ("False", reason)
    assert "Stalled" not in world.conditions
    world.now += timedelta(minutes=1)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a2"]
    world.run_pod()
    world.settle()
    world.result(BETTER)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_a_job_without_any_pod_gives_its_place_back() -> None:
    """As where a quota refuses the pod and not the Job."""
    world = World()
    world.settle()
    job = world.job()
    job["status"] = {"startTime": NOW.isoformat()}
    world._put(job)
    world.now = NOW + HELD_FOR
    world.settle()
    assert world.names(JOB) == []
    assert "docs-r1-a1 had no pod that runs" in world.says("Trained")


@pytest.mark.parametrize("status", [UNSCHEDULABLE, NO_IMAGE])
def test_it_goes_on_at_once_when_what_keeps_it_is_changed(status: dict[str, Any]) -> None:
    """A Job keeps the pod that it was made with: the remedy is taken up by the next attempt."""
    world = held(status)
    world.change(job={"nodeSelector": {"pool": "training"}})
    world.settle()
    assert world.names(JOB) == ["docs-r1-a2"]
    assert world.job()["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "training"}


def test_what_runs_is_left_alone_for_as_long_as_it_takes() -> None:
    """Whatever is changed about the Job meanwhile; also a pod that took the place of a lost one."""
    world = World()
    world.settle()
    world.run_pod()
    world.now = NOW + 10 * HELD_FOR
    world.change(job={"nodeSelector": {"pool": "training"}})
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    pending(world, UNSCHEDULABLE | {"phase": "Pending"})
    world.settle()
    assert world.names(JOB) == ["docs-r1-a2"], "what keeps it was changed before"


def test_the_moment_between_two_pods_is_no_reason_to_give_up() -> None:
    """A node is drained after an hour: the Job makes another pod, which is looked at as the first was."""
    world = World()
    world.settle()
    pending(world, {"phase": "Running"})
    world.report(progress={"percent": 40})
    world.cluster.objects = {key: one for key, one in world.cluster.objects.items() if key[0].kind != "Pod"}
    world.now = NOW + 4 * HELD_FOR
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    pending(world, UNSCHEDULABLE)
    world.now += HELD_FOR
    world.settle()
    assert world.names(JOB) == []


def running() -> World:
    """A run whose trainer has reported, an hour after its start."""
    world = World()
    world.settle()
    pending(world, {"phase": "Running"})
    world.report(progress={"percent": 40})
    world.now = NOW + timedelta(hours=1)
    world.settle()
    return world


@pytest.mark.parametrize("counted", [True, False])
def test_a_lost_pod_without_another_gives_its_place_back(counted: bool) -> None:  # noqa: FBT001
    """As where a quota refuses the next one: a quarter of an hour from the loss, not from the Job's start.

    What the Job controller has not counted yet is no loss: its status is older than the pod's end.
    """
    world = running()
    lose_pod(world, counted=counted)
    world.now += HELD_FOR - timedelta(seconds=1)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    world.now += timedelta(seconds=1)
    world.settle()
    assert world.names(JOB) == ([] if counted else ["docs-r1-a1"])


def test_what_an_evicted_pod_leaves_does_not_count_as_one_that_runs() -> None:
    """The kubelet keeps it as Failed; the one that takes its place finds no node, or is not made."""
    world = running()
    left = world.get(POD, "docs-r1-a1") | {
        "status": {"phase": "Failed", "reason": "Evicted", "message": "low"}
    }
    left["metadata"]["name"] = "left"
    world._put(left)
    lose = world.cluster.objects.pop((POD, "team", "docs-r1-a1"))
    assert lose
    count_lost(world)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    world.run_pod()
    pod = world.get(POD, "docs-r1-a1")
    pod["metadata"]["creationTimestamp"] = world.now.isoformat()
    world._put(pod | {"status": {"phase": "Pending"} | UNSCHEDULABLE})
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "Unschedulable")
    world.now += HELD_FOR
    world.settle()
    assert world.names(JOB) == []
