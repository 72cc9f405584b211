"""Of several compared models the one that the served prompt is for is watched."""

import pytest

from domaintraining.controller.cluster import JOB
from tests.unit.controller.drifting import SERVED, check_jobs, drifting, renew, started
from tests.unit.controller.world import World

OWN, RIVAL = "qwen3:32b", "b:1b"
WORSE = {
    "entities": SERVED["entities"]
    | {"verdict": "Worse", "improvement": {"value": -0.6, "low": -0.7, "high": -0.5, "over": "Served"}}
}
BETTER = {
    "entities": SERVED["entities"]
    | {"improvement": {"value": 0.1, "low": 0.05, "high": 0.2, "over": "Served"}}
}


def comparing() -> World:
    """A world where run 1, which chose the spec's own model, is served, and run 2 is under way."""
    world = drifting(compareWith=[{"name": RIVAL}])
    world.ask("2026-11-23T13:00:00Z")
    return world


def ended(world: World, metrics: object, chosen: str) -> World:
    """The same, when the run has chosen a model and ended."""
    assert isinstance(metrics, dict)
    world.train(metrics, {"entities": chosen})
    world.settle()
    assert world.made(JOB) == ["docs-r1-a1", "docs-r2-a1"]
    return world


def test_the_served_prompts_model_is_watched_where_a_rejected_run_chose_another() -> None:
    """Its digest as the rejected run knew it, which had measured what is served."""
    world = ended(comparing(), WORSE, RIVAL)
    renew(world, "sha256:2")
    world.settle()
    check = started(world)
    assert (check.model.name, check.model.digest) == (OWN, "sha256:2")
    assert check.check is not None
    assert check.check.model_changed


def test_a_digest_that_the_rejected_run_knew_is_no_change() -> None:
    world = comparing()
    renew(world, "sha256:2")
    ended(world, WORSE, RIVAL)
    later_looks(world)
    assert check_jobs(world) == []


@pytest.mark.parametrize(("metrics", "watched", "other"), [(WORSE, OWN, RIVAL), (BETTER, RIVAL, OWN)])
def test_a_model_that_nothing_served_is_for_is_not_watched(metrics: object, watched: str, other: str) -> None:
    world = ended(comparing(), metrics, RIVAL)
    renew(world, "sha256:2", other)
    later_looks(world)
    assert check_jobs(world) == []
    renew(world, "sha256:2", watched)
    world.settle()
    assert started(world).model.name == watched


def later_looks(world: World) -> None:
    """The controller looks again, also a new one."""
    world.settle()
    world.controller = world.started()
    world.settle()
