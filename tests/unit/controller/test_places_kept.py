"""Never one too many: kills at every write, restarts, workers at once, Jobs of others."""

import asyncio
from collections.abc import Awaitable

import pytest

from domaintraining.api.names import LABEL_ATTEMPT, LABEL_MANAGED_BY, LABEL_NAME, LABEL_ROLE, LABEL_RUN
from domaintraining.controller.cluster import DOMAIN_TRAINING
from domaintraining.controller.observe import read_resource
from domaintraining.controller.observed import Resource
from tests.unit.controller.crowd import Crowd, Gathering


def test_killed_after_any_write_never_one_too_many_and_all_start(crowd_of: Gathering) -> None:
    """A new controller knows the queue from what stands in the cluster."""
    whole = crowd_of(5, namespaces="ab")
    total = len(whole.cluster.writes)
    for dies_after in range(1, total + 1):
        crowd = crowd_of()
        crowd.kill_after(dies_after)
        for place in range(5):
            crowd.add("ab"[place % 2], f"t{place:03}")
            crowd.pass_time(1)
        assert crowd.cluster.dies_after is None
        order: list[str] = []
        while active := crowd.cluster.active():
            order += [name for _, name in active if name not in order]
            crowd.end(*active[0])
            crowd.pass_time(1)
        assert crowd.cluster.most_active == 2
        assert len(order) == 5, f"killed after {whole.cluster.writes[dies_after - 1]}"


def test_after_a_restart_the_order_is_the_same(crowd_of: Gathering) -> None:
    """Who waits, and since when, stands in status."""
    crowd = crowd_of(6)
    crowd.pass_time(31)
    before = [crowd.position("a", f"t{number:03}") for number in range(2, 6)]
    writes = len(crowd.cluster.writes)
    crowd.start()
    crowd.settle()
    assert [crowd.position("a", f"t{number:03}") for number in range(2, 6)] == before
    assert len(crowd.cluster.writes) == writes, "a restart writes nothing"


async def _start(crowd: Crowd, name: str) -> None:
    """What starts an attempt, cut to its Job."""
    await asyncio.sleep(0)
    labels = {LABEL_NAME: name, LABEL_RUN: "1", LABEL_ATTEMPT: "1", LABEL_ROLE: "trainer"}
    metadata = {
        "namespace": "a",
        "name": f"{name}-r1-a1",
        "labels": labels | {LABEL_MANAGED_BY: "domaintraining"},
    }
    await crowd.cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}})


def _resource(crowd: Crowd, name: str, since: str) -> Resource:
    """A resource that is Queued since then."""
    crowd.add("a", name)
    body = crowd.get(DOMAIN_TRAINING, "a", name)
    said = {"type": "Reconciling", "status": "True", "reason": "Queued", "lastTransitionTime": since}
    crowd.put(body | {"status": {"observedGeneration": 1, "conditions": [said]}})
    return read_resource(crowd.get(DOMAIN_TRAINING, "a", name))


async def _take_at_once(crowd: Crowd, *resources: Resource) -> dict[str, bool]:
    """Several take their places at the same time; gives who started."""

    def take(one: Resource) -> Awaitable[bool]:
        return crowd.controller.places.take(one, lambda: _start(crowd, one.name))

    taken = await asyncio.gather(*(take(one) for one in resources))
    return {one.name: started for one, started in zip(resources, taken, strict=True)}


@pytest.mark.parametrize("first", ["late", "early"])
def test_two_workers_at_once_never_start_one_too_many(crowd_of: Gathering, first: str) -> None:
    """Each was told that it is its turn, the later one before the other was seen."""
    crowd = crowd_of(limit=1)
    places, run = crowd.controller.places, crowd.runner.run
    late = _resource(crowd, "late", "2026-11-23T11:59:00Z")
    assert run(places.stand(late)) is None
    early = _resource(crowd, "early", "2026-11-23T11:00:00Z")
    assert run(places.stand(early)) is None
    order = (late, early) if first == "late" else (early, late)
    assert run(_take_at_once(crowd, *order)) == {"early": True, "late": False}
    assert crowd.cluster.active() == [("a", "early-r1-a1")]


def test_a_place_is_taken_from_a_new_list(crowd_of: Gathering) -> None:
    """A Job that came meanwhile, from wherever, has it."""
    crowd = crowd_of(limit=1)
    places, run = crowd.controller.places, crowd.runner.run
    mine = _resource(crowd, "mine", "2026-11-23T11:00:00Z")
    assert run(places.stand(mine)) is None
    run(_start(crowd, "other"))
    assert run(places.take(mine, lambda: _start(crowd, "mine"))) is False
    assert crowd.cluster.active() == [("a", "other-r1-a1")]
