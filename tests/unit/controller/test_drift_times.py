"""When looks and checks are due: no look too many, no time that can't be counted, not all at once."""

import json
from datetime import UTC, datetime

import pytest

from domaintraining.api.names import check_name
from domaintraining.controller.checks import RECORD_KEY, Checks
from domaintraining.controller.cluster import CONFIG_MAP, JOB, POD
from domaintraining.controller.drift import left_of
from domaintraining.controller.lookout import LOOK_AGAIN
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


def write(world: World, kept: Checks) -> None:
    """Somebody edits the record."""
    body = world.get(CONFIG_MAP, check_name("docs"))
    world._put(body | {"data": body["data"] | {RECORD_KEY: kept.model_dump_json(by_alias=True)}})
