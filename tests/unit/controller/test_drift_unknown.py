"""A check that did not know one digest: what is seen later is compared with what was known before it."""

import pytest

from domaintraining.controller.cluster import JOB
from tests.unit.controller.drifting import (
    DATA,
    NEW,
    VOLUME,
    answer,
    check_jobs,
    drifting,
    fill,
    findings,
    found,
    later,
    record,
    renew,
    started,
)
from tests.unit.controller.world import World


def asks_for_the_model(world: World) -> None:
    """A check goes on that is about the model."""
    assert check_jobs(world) == ["docs-check-2"]
    check = started(world).check
    assert check is not None
    assert check.model_changed
    assert check.measure


def test_a_model_that_changed_while_its_server_was_down_is_measured() -> None:
    """A volume was read meanwhile, by a check that could not know the model."""
    world = drifting(VOLUME)
    world.models.down.add(world.settings.ollama_base_url)
    later(world, 1.3 * world.settings.check_seconds)
    answer(world, found(changed=False))
    assert findings(world) == ("Unchanged", None)
    world.models.down.clear()
    renew(world, "sha256:2")
    world.settle()
    asks_for_the_model(world)


def test_a_model_is_looked_at_once_that_is_asked_for() -> None:
    """The samples were measured while nobody was to look at the model."""
    world = drifting(retrain={"onModelChange": "Never"})
    fill(world, "second")
    answer(world, found(f1=0.8))
    renew(world, "sha256:2")
    world.settle()
    assert check_jobs(world) == []
    world.change(dataset=DATA, retrain={"onModelChange": "OnLoss"})
    world.settle()
    asks_for_the_model(world)


@pytest.mark.parametrize("policy", ["OnLoss", "Always"])
def test_samples_are_looked_at_once_that_is_asked_for(policy: str) -> None:
    """The model was measured while nobody was to look at the samples."""
    world = drifting(retrain={"onDatasetChange": "Never"})
    renew(world, "sha256:2")
    fill(world, "second")
    answer(world, found(f1=0.8))
    assert findings(world) == (None, "NoLoss")
    world.change(dataset=DATA, retrain={"onDatasetChange": policy})
    world.settle()
    if policy == "Always":
        assert findings(world)[0] == "Changed"
    else:
        assert check_jobs(world) == ["docs-check-2"]


def test_a_volume_that_changed_while_nobody_was_to_look_is_a_change() -> None:
    """A check of the model read it; that is not what the next look compares with."""
    world = drifting(VOLUME, retrain={"onDatasetChange": "Never"})
    renew(world, "sha256:2")
    answer(world, found(NEW, f1=0.8))
    known = record(world).concluded
    assert known is not None
    assert known.world.dataset == known.before.dataset != NEW
    assert known.world.model == "sha256:2"


def test_what_a_check_did_not_know_stays_as_it_was_known() -> None:
    """The model that was measured before it, not the run's."""
    world = drifting(VOLUME)
    renew(world, "sha256:2")
    answer(world, found(f1=0.8, changed=False))
    world.models.down.add(world.settings.ollama_base_url)
    later(world, 1.3 * world.settings.check_seconds)
    answer(world, found(changed=False))
    world.models.down.clear()
    renew(world, "sha256:2")
    world.settle()
    assert check_jobs(world) == []
    assert world.made(JOB)[-1] == "docs-check-2"
