"""A check is about what was served when it began: another revision, put back meanwhile, is looked at anew."""

import json
from typing import Any

from domaintraining.controller.cluster import CONFIG_MAP, JOB
from tests.unit.controller.drifting import (
    DATA,
    SERVED,
    answer,
    check_jobs,
    drifting,
    end,
    fill,
    findings,
    found,
    record,
    report,
    run_check_pod,
)
from tests.unit.controller.world import World

STRICT = {"minF1": 0.7}


def second() -> World:
    """A world where run 2 is served, with a lower F1 than run 1 had."""
    world = drifting()
    world.ask("2026-11-23T13:00:00Z")
    world.settle()
    lower: dict[str, Any] = {"f1": 0.6, "confidenceInterval": {"low": 0.5, "high": 0.7}}
    world.train({"entities": SERVED["entities"] | lower})
    world.end_job("Complete")
    world.settle()
    assert served(world) == 2
    return world


def served(world: World) -> int:
    """The run that is served."""
    system = json.loads(world.get(CONFIG_MAP, "docs-prompt")["data"]["entities.messages.json"])[0]["content"]
    return int(str(system).rpartition("run ")[2].partition(" ")[0])


def test_a_check_ends_where_another_revision_is_put_back() -> None:
    """Its numbers are no loss of that revision: no run; the one served now gets a check of its own."""
    world = second()
    fill(world, "second")
    world.settle()
    run_check_pod(world)
    world.settle()
    report(world, check=found(f1=0.55))
    world.change(dataset=DATA, acceptance=STRICT)
    end(world)
    world.settle()
    assert served(world) == 1
    assert "docs-r3-a1" not in world.made(JOB)
    assert check_jobs(world) == ["docs-check-2"]
    assert record(world).concluded is None


def test_what_was_found_of_one_revision_says_nothing_of_another() -> None:
    """No loss for run 2; run 1, put back, is measured with the same samples."""
    world = second()
    fill(world, "second")
    answer(world, found(f1=0.55))
    assert findings(world) == ("NoLoss", None)
    world.change(dataset=DATA, acceptance=STRICT)
    world.settle()
    assert served(world) == 1
    assert check_jobs(world) == ["docs-check-2"]
    answer(world, found(f1=0.75))
    assert findings(world) == ("NoLoss", None)
    assert world.made(JOB)[-1] == "docs-check-2"
