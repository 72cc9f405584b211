"""A resource that is called as what another one makes, in the same namespace: `docs` and `docs-prompt`."""

import asyncio
from datetime import timedelta

import pytest

from domaintraining.api.names import LABEL_ROLE, LABEL_RUN
from domaintraining.controller.cluster import CONFIG_MAP, DOMAIN_TRAINING, JOB
from domaintraining.controller.orphans import remove_orphans
from tests.unit.controller.world import BETTER, NOW, SPEC, World

PROMPT = "docs-prompt"


def beside(world: World, name: str) -> World:
    """A second resource in the cluster of the first, with another spec."""
    other = World(SPEC | {"optimizer": {"seed": 5}}, name)
    made = other.resource
    other.cluster = world.cluster
    other._put(made)
    other.controller = other.started()
    return other


def records(world: World) -> list[str]:
    """Names of the run ConfigMaps of all resources."""
    found = [(name, world.get(CONFIG_MAP, name)) for name in world.names(CONFIG_MAP)]
    return [name for name, one in found if one["metadata"]["labels"].get(LABEL_ROLE) == "run"]


@pytest.mark.parametrize("first", ["docs", PROMPT])
def test_both_train_and_keep_their_results(first: str) -> None:
    """Whichever was there first."""
    world = World(name=first)
    other = beside(world, PROMPT if first == "docs" else "docs")
    for one in (world, other):
        one.settle()
    for one in (world, other):
        one.train(BETTER)
        assert one.conditions["Ready"] == ("True", "Promoted")
    assert records(world) == [f"{PROMPT}-r1-run", "docs-r1"]
    assert {f"{PROMPT}-r1", f"{PROMPT}-{PROMPT[5:]}-r1"} <= set(world.names(CONFIG_MAP))


def under_way() -> World:
    """A run of `docs-prompt` that an earlier version started: its record is called as its rights."""
    world = World(name=PROMPT)
    world.settle()
    record, job = world.record(1), world.job()
    del world.cluster.objects[CONFIG_MAP, "team", record["metadata"]["name"]]
    record["metadata"]["name"] = f"{PROMPT}-r1"
    (run,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "run")
    run["configMap"]["name"] = f"{PROMPT}-r1"
    world._put(record)
    world._put(job)
    world.cluster.writes.clear()
    return world


def mounted(world: World) -> str:
    """The ConfigMap that the newest Job's trainer starts from."""
    volumes = world.job()["spec"]["template"]["spec"]["volumes"]
    return str(next(one["configMap"]["name"] for one in volumes if one["name"] == "run"))


def test_a_run_of_an_earlier_version_goes_on_under_its_name() -> None:
    """No second run, and never two records of one: not after a failure, and not at the next attempt."""
    world = under_way()
    world.settle()
    assert (world.names(JOB), world.made(JOB)) == ([f"{PROMPT}-r1-a1"], [])
    world.report(failure={"reason": "DatasetInvalid", "message": "line 3"})
    world.end_job("Failed")
    world.settle()
    assert world.conditions["Stalled"] == ("True", "DatasetInvalid")
    assert records(world) == [f"{PROMPT}-r1"]
    world.change(job={"backoffLimit": 1})
    world.settle()
    assert world.made(JOB) == [f"{PROMPT}-r1-a2"]
    assert (mounted(world), records(world)) == (f"{PROMPT}-r1", [f"{PROMPT}-r1"])
    world.train(BETTER)
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert records(world) == [f"{PROMPT}-r1"]


def test_a_later_run_has_todays_name_and_the_earlier_record_goes() -> None:
    """So the name is free for `docs`."""
    world = under_way()
    world.train(BETTER)
    world.change(optimizer={"seed": 10})
    world.train(BETTER)
    assert mounted(world) == f"{PROMPT}-r2-run"
    assert records(world) == [f"{PROMPT}-r2-run"]


def test_of_a_resource_that_is_gone_the_earlier_record_goes_as_well() -> None:
    """It is known under both names."""
    world = under_way()
    for one in world.cluster.objects.values():
        one["metadata"]["creationTimestamp"] = "2026-11-23T12:00:00Z"
    del world.cluster.objects[DOMAIN_TRAINING, "team", PROMPT]
    asyncio.run(remove_orphans(world.cluster, None, (), NOW + timedelta(minutes=5)))
    assert (world.names(CONFIG_MAP), world.names(JOB)) == ([], [])


def test_of_two_records_of_one_run_todays_is_believed() -> None:
    """Somebody copied it, or went back to an earlier version for a while."""
    world = World(name=PROMPT)
    world.settle()
    copy = world.record(1)
    copy["metadata"]["name"] = f"{PROMPT}-r1"
    copy["data"]["attempt.json"] = copy["data"]["attempt.json"].replace('"number": 1', '"number": 7')
    world._put(copy)
    world.train(BETTER)
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.made(JOB) == [f"{PROMPT}-r1-a1"]
    assert copy["metadata"]["labels"][LABEL_RUN] == "1"
