"""When looks and checks are due: no look too many, no time that can't be counted, not all at once."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domaintraining.api.names import check_name
from domaintraining.controller.checks import RECORD_KEY, Checks
from domaintraining.controller.cluster import CONFIG_MAP, JOB, POD
from domaintraining.controller.drift import Seen, due, left_of, slot
from domaintraining.controller.lookout import LOOK_AGAIN
from domaintraining.controller.observe import observe, read_resource
from domaintraining.controller.observed import Observed
from tests.unit.controller.drifting import (
    VOLUME,
    answer,
    check_jobs,
    drifting,
    end,
    fill,
    found,
    later,
    left,
    record,
    report,
    run_check_pod,
)
from tests.unit.controller.world import World


def test_a_pod_that_stays_is_not_asked_for_without_end() -> None:
    """Its node is dead: the next look is when the pod is seen to go, or after half a minute."""
    world = drifting()
    fill(world, "second")
    world.settle()
    run_check_pod(world)
    pod = world.get(POD, check_jobs(world)[0])
    report(world, check=found(f1=0.75))
    end(world)
    world._put(pod)
    assert world.settle() == LOOK_AGAIN
    assert left(world)
    assert check_jobs(world) == []


NEAR, FAR = "2026-11-23T14:00:00Z", "9999-12-31T23:59:59Z"


def test_a_time_ahead_of_now_is_now() -> None:
    """Clocks differ; a time that is further ahead than the wait is none, so that nothing waits for ever."""
    now = datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert left_of(7200, "2026-11-23T12:00:00Z", now) == 3600
    assert left_of(7200, NEAR, now) == 7200
    assert left_of(60, NEAR, now) == 0
    assert left_of(7200, FAR, now) == 0
    assert left_of(7200, "0001-01-01T00:00:00Z", now) < 0


def test_a_far_time_of_the_last_check_is_no_time() -> None:
    """Somebody wrote it into the record: the volume is read, and the record has a time of today again."""
    world = drifting(VOLUME)
    later(world, 1.3 * world.settings.check_seconds)
    answer(world, found(changed=False))
    kept = record(world)
    assert kept.concluded is not None
    far = kept.concluded.model_copy(update={"time": FAR})
    write(world, kept.model_copy(update={"concluded": far}))
    answer(world, found(changed=False))
    kept = record(world)
    assert kept.concluded is not None
    assert kept.concluded.time != FAR
    assert check_jobs(world) == []


def test_a_far_time_of_a_run_is_no_time() -> None:
    """A restored manifest may say anything."""
    world = drifting(VOLUME)
    for name in ("docs-prompt", "docs-prompt-r1"):
        body = world.get(CONFIG_MAP, name)
        manifest = json.loads(body["data"]["manifest.json"]) | {"completionTime": FAR}
        world._put(body | {"data": body["data"] | {"manifest.json": json.dumps(manifest)}})
    answer(world, found(changed=False))
    assert world.made(JOB) == ["docs-r1-a1", "docs-check-1"]


@pytest.mark.parametrize("reason", ["ModelServerUnavailable", "DatasetInvalid"])
def test_a_far_time_of_a_failure_is_no_time(reason: str) -> None:
    """The check is tried again."""
    world = drifting()
    fill(world, "second")
    world.settle()
    report(world, failure={"reason": reason, "message": "no"})
    end(world, "Failed")
    world.settle()
    kept = record(world)
    assert kept.current is not None
    far = kept.current.model_copy(update={"failed_time": FAR})
    write(world, kept.model_copy(update={"current": far}))
    world.settle()
    assert check_jobs(world) == ["docs-check-2"]


def test_after_an_outage_not_all_are_looked_at_at_once() -> None:
    """Of 200 few begin together, and within an hour all did; each by itself, so a restart changes nothing."""
    world = drifting(VOLUME)
    period = float(world.settings.check_seconds)
    later(world, 10 * period)
    crowd = dict(enumerate(crowd_of(world, 200)))
    together = []
    for second in range(0, 3601, 10):
        now = world.now + timedelta(seconds=second)
        begun = [key for key, one in crowd.items() if due(replace(one, now=now), Seen(), period) == 0]
        for key in begun:
            del crowd[key]
        together.append(len(begun))
    assert crowd == {}
    assert max(together) <= 15
    assert sum(together[:30]) <= 40, "in the first five minutes"


def crowd_of(world: World, size: int) -> list[Observed]:
    """Resources that differ by their uid alone."""
    one = asyncio.run(observe(world.cluster, read_resource(world.resource), world.now))
    return [
        replace(one, resource=replace(one.resource, uid=f"uid-{number}", name=f"docs-{number}"))
        for number in range(size)
    ]


@pytest.mark.parametrize("period", [1.0, 60.0, 21_600.0, 604_800.0])
@pytest.mark.parametrize("uid", ["uid-1", "uid-2", "uid-3"])
def test_who_waits_for_a_slot_is_in_it_then(period: float, uid: str) -> None:
    """Also a little late; it is never more than an hour ahead."""
    now = datetime(2026, 11, 23, 13, 7, 11, tzinfo=UTC)
    wait = slot(uid, period, now)
    assert 0 <= wait <= 3600
    for late in (0.001, 30, 110):
        assert slot(uid, period, now + timedelta(seconds=wait + late)) == 0 or wait == 0


def test_a_volume_that_is_long_overdue_waits_for_its_slot() -> None:
    """Within an hour, and it needs to be looked at then alone."""
    world = drifting(VOLUME)
    later(world, 10 * world.settings.check_seconds + 1800)
    slots = 0
    for _ in range(3):
        again = world.settle()
        if check_jobs(world):
            break
        slots += 1
        assert again is not None
        assert again <= 3600
        later(world, again + 1)
    assert slots <= 1
    assert check_jobs(world) == ["docs-check-1"]


def write(world: World, kept: Checks) -> None:
    """Somebody edits the record."""
    body = world.get(CONFIG_MAP, check_name("docs"))
    world._put(body | {"data": body["data"] | {RECORD_KEY: kept.model_dump_json(by_alias=True)}})
