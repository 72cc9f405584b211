"""When looks and checks are due: no look too many, no time that can't be counted, not all at once."""

import json

from domaintraining.api.names import check_name
from domaintraining.controller.checks import RECORD_KEY
from domaintraining.controller.cluster import CONFIG_MAP, POD
from domaintraining.controller.lookout import LOOK_AGAIN
from tests.unit.controller.drifting import (
    check_jobs,
    drifting,
    end,
    fill,
    found,
    left,
    report,
    run_check_pod,
)
from tests.unit.controller.world import World

FAR = "9999-12-31T23:59:59Z"


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


def write(world: World, kept: object) -> None:
    """Somebody edits the record."""
    body = world.get(CONFIG_MAP, check_name("docs"))
    world._put(body | {"data": body["data"] | {RECORD_KEY: json.dumps(kept)}})
