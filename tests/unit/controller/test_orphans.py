"""What belongs to resources that no longer exist, where the garbage collector left it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from domaintraining.api.names import LABEL_HASH
from domaintraining.controller.cluster import (
    CONFIG_MAP,
    DOMAIN_TRAINING,
    JOB,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    ClusterError,
    JsonObject,
)
from domaintraining.controller.objects import Kind
from domaintraining.controller.orphans import remove_orphans
from tests.unit.controller.drifting import drifting, fill, run_check_pod
from tests.unit.controller.world import BETTER, NOW, World

RIGHTS = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING)
LATER = NOW + timedelta(minutes=10)


def left(*, owners: list[dict[str, Any]] | None = None) -> World:
    """A resource with a served prompt and a second run that goes, deleted; nothing collected what it owned.

    Args:
        owners: owner references that its objects have; None: those that they were made with.
    """
    world = World()
    world.train(BETTER)
    world.change(optimizer={"seed": 10})
    world.settle()
    for obj in list(world.cluster.objects.values()):
        obj["metadata"]["creationTimestamp"] = "2026-11-23T12:00:00Z"
        if owners is not None and obj["kind"] != "DomainTraining":
            obj["metadata"]["ownerReferences"] = owners
    del world.cluster.objects[DOMAIN_TRAINING, "team", "docs"]
    world.cluster.writes.clear()
    return world


def sweep(world: World, now: datetime = LATER) -> None:
    """One look for what is left, as the resync does it."""

    async def work() -> None:
        found = await world.cluster.find(DOMAIN_TRAINING, None, {})
        known = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}
        await remove_orphans(world.cluster, None, known, now - timedelta(minutes=5))

    asyncio.run(work())


@pytest.mark.parametrize("owners", [None, []])
def test_jobs_rights_and_records_go_and_prompts_stay(owners: list[dict[str, Any]] | None) -> None:
    """Also where nothing owns them, as after --cascade=orphan: no trainer goes on, no prompt is lost."""
    world = left(owners=owners)
    assert world.names(JOB) == ["docs-r1-a1", "docs-r2-a1"]
    sweep(world)
    assert world.names(JOB) == []
    assert [world.names(kind) for kind in RIGHTS] == [[], [], []]
    assert world.names(CONFIG_MAP) == ["docs-prompt", "docs-prompt-r0", "docs-prompt-r1"]
    sweep(world)
    assert len(world.cluster.writes) == len(set(world.cluster.writes)), "nothing is removed twice"


def test_a_resource_that_exists_keeps_all() -> None:
    """Also while it is being deleted: the rest is the garbage collector's."""
    world = World()
    world.train(BETTER)
    leaving = world.resource
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    world._put(leaving)
    before = list(world.cluster.writes)
    sweep(world)
    assert world.cluster.writes == before


def test_what_is_new_is_left_alone() -> None:
    """A backup is restored object by object; its resource may come last."""
    world = left()
    sweep(world, NOW + timedelta(minutes=1))
    assert world.cluster.writes == []


def test_a_resource_that_came_back_meanwhile_keeps_all() -> None:
    """It is asked for once more before anything of it is removed."""
    world = left()
    world._put(World().resource)
    asyncio.run(remove_orphans(world.cluster, None, (), LATER))
    assert world.cluster.writes == []


@pytest.mark.parametrize(
    "owner",
    [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "keeper", "uid": "uid-keeper"},
        {"apiVersion": "other.io/v1", "kind": "DomainTraining", "name": "docs", "uid": "uid-other"},
    ],
)
def test_what_has_another_owner_is_left_to_it(owner: dict[str, Any]) -> None:
    """Whether that one lives is for the garbage collector to know."""
    world = left(owners=[owner])
    sweep(world)
    assert world.cluster.writes == []


@pytest.mark.parametrize(
    ("kind", "name"), [(JOB, "docs-r2-a1"), (CONFIG_MAP, "docs-r2")], ids=["Job", "ConfigMap"]
)
def test_a_copy_under_another_name_is_not_ours(kind: Kind, name: str) -> None:
    """Somebody kept it with its labels."""
    world = left()
    copy = world.get(kind, name)
    copy["metadata"]["name"] = "my-copy"
    world._put(copy)
    sweep(world)
    assert world.get(kind, "my-copy")["metadata"]["labels"][LABEL_HASH]
    assert name not in world.names(kind)


@pytest.mark.parametrize("broken", [JOB, CONFIG_MAP])
def test_nothing_is_removed_after_an_incomplete_list(broken: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of any list ends the look before the first write."""
    world = left()
    whole = world.cluster.find

    async def find(kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        if kind == broken:
            raise ClusterError(503, "ServiceUnavailable", "etcd leader changed")
        return await whole(kind, namespace, labels)

    monkeypatch.setattr(world.cluster, "find", find)
    with pytest.raises(ClusterError):
        sweep(world)
    assert world.cluster.writes == []


def test_a_check_of_a_resource_that_is_gone_goes_with_its_rights_and_record() -> None:
    """Its pod first: while that runs, its policy and its record stay."""
    world = drifting()
    fill(world, "second")
    world.settle()
    run_check_pod(world)
    for obj in world.cluster.objects.values():
        obj["metadata"]["creationTimestamp"] = "2026-11-23T12:00:00Z"
    del world.cluster.objects[DOMAIN_TRAINING, "team", "docs"]
    sweep(world)
    assert world.names(JOB) == []
    assert world.names(ROLE) == ["docs-check"]
    world.cluster.objects.pop((POD, "team", "docs-check-1"))
    sweep(world)
    assert [world.names(kind) for kind in RIGHTS] == [[], [], []]
    assert [name for name in world.names(CONFIG_MAP) if "check" in name] == []
