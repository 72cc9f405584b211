"""spec.pinRevision: an earlier revision is served at once; and how many of them are kept."""

import asyncio
from dataclasses import replace

import pytest

from domaintraining.api.names import LABEL_KEEP
from domaintraining.controller import edits
from domaintraining.controller.cluster import CONFIG_MAP, JOB
from domaintraining.controller.decide import decide
from domaintraining.controller.models import ScriptedModels
from domaintraining.controller.observed import Observed
from tests.unit.controller.releases import (
    edit,
    manifest,
    next_run,
    outcome,
    runs,
    served,
    status,
    world_of_two_tasks,
)
from tests.unit.controller.test_decide import NOW, SPEC, resource, revision
from tests.unit.controller.world import KEY, World


def two_runs(entities: str = "Improved", relations: str = "Improved") -> World:
    """Run 1 passed; run 2 is of the spec of today."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, entities, relations)
    return world


def pin(world: World, number: int | None, seed: int = 10) -> None:
    """A person pins a revision, or unpins."""
    edit(world, optimizer={"seed": seed}, **({} if number is None else {"pinRevision": number}))
    world.settle()


def test_a_pinned_revision_is_served_without_a_run_and_given_back() -> None:
    """One write, no Job; unpinned, the newest accepted one is served again."""
    world = two_runs()
    newest, jobs = served(world), world.names(JOB)
    world.cluster.writes.clear()
    pin(world, 1)
    assert served(world) == world.get(CONFIG_MAP, "docs-prompt-r1")["data"]
    assert [one for one in world.cluster.writes if "ConfigMap" in one] == ["apply ConfigMap team/docs-prompt"]
    assert world.conditions["Ready"] == world.conditions["Promoted"] == ("True", "Pinned")
    assert world.says("Ready") == "revision 1 is pinned and served"
    assert {"Reconciling", "Stalled"} & world.conditions.keys() == set()
    assert status(world)["promptConfig"]["revision"] == 1
    pin(world, None)
    assert (served(world), world.conditions["Ready"]) == (newest, ("True", "Promoted"))
    assert world.names(JOB) == jobs


class Hanging(ScriptedModels):
    """A model server that accepts each request and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def _ask(self, endpoint: str, question: str) -> None:
        self.asked.append(f"{question} of {endpoint}")
        self.reached.set()
        await asyncio.sleep(60)


def hanging(world: World) -> Hanging:
    """The model server hangs, and one more run is asked for, which is checked there first."""
    server = world.models = Hanging()
    world.controller = world.started()
    world.ask("2026-11-23T13:00:00Z")
    return server


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_pinned_is_served_before_a_model_server_is_asked(*, lost: bool) -> None:
    """A run that waits is checked on a server that hangs; a rollback does not wait with it.

    Args:
        lost: whether its owner was lost too, so that it is adopted first.
    """
    world = two_runs()
    server = hanging(world)
    body = world.resource
    body["spec"]["pinRevision"] = 1
    world._put(body)
    if lost:
        kept = world.get(CONFIG_MAP, "docs-prompt-r1")
        del kept["metadata"]["ownerReferences"]
        world._put(kept)

    async def look() -> None:
        looking = asyncio.create_task(world.controller.reconcile(KEY))
        await asyncio.wait_for(server.reached.wait(), timeout=10)
        looking.cancel()

    asyncio.run(look())
    assert runs(world) == ("1", "1")


def test_an_edit_ends_a_look_that_waits_for_a_model_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look that follows at once serves what is pinned; the one before writes no status."""
    monkeypatch.setattr(edits, "LOOK_EVERY", 0.01)
    world = two_runs()
    server = hanging(world)

    async def edited() -> float | None:
        looking = asyncio.create_task(world.controller.reconcile(KEY))
        await asyncio.wait_for(server.reached.wait(), timeout=10)
        await asyncio.sleep(0.05)
        assert not looking.done(), "nothing was edited yet"
        body = world.resource
        body["spec"]["pinRevision"] = 1
        world._put(body)
        async with asyncio.timeout(10):
            return await looking

    before = world.resource["status"]
    assert asyncio.run(edited()) == 0
    assert world.resource["status"] == before
    world.models = ScriptedModels(two_runs().models.models)
    world.controller = world.started()
    world.settle()
    assert runs(world) == ("1", "1")


def test_a_composed_revision_is_pinned_as_it_was_served() -> None:
    """With the other task's prompt of then."""
    world = two_runs("Improved", "Worse")
    before = served(world)
    next_run(world, 11, "Improved", "Improved")
    pin(world, 2, seed=11)
    assert (served(world), runs(world)) == (before, ("2", "1"))


def test_a_rejected_revision_can_be_pinned() -> None:
    """A person wants just these prompts; its manifest says that they did not pass."""
    world = two_runs("Worse", "Worse")
    pin(world, 2)
    assert runs(world) == ("2", "2")
    assert manifest(world)["promoted"] is False
    assert world.conditions["Ready"] == ("True", "Pinned")
    pin(world, None)
    assert runs(world) == ("1", "1")
    assert world.conditions["Ready"] == ("False", "Rejected")


def test_a_run_that_ends_meanwhile_changes_nothing_that_is_served() -> None:
    """Ready stays Pinned beside the run; unpinned, its prompt is served."""
    world = two_runs()
    pin(world, 1)
    before = served(world)
    edit(world, optimizer={"seed": 11}, pinRevision=1)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Pinned")
    assert world.conditions["Reconciling"] == ("True", "Queued")
    world.train(outcome("Improved", "Improved"))
    assert (served(world), world.conditions["Ready"]) == (before, ("True", "Pinned"))
    pin(world, None, seed=11)
    assert runs(world) == ("3", "3")


def test_a_revision_that_is_not_kept_is_named() -> None:
    """What was served stays; it goes on by itself when the pin is corrected."""
    world = two_runs()
    before = served(world)
    pin(world, 7)
    assert served(world) == before
    assert world.conditions["Ready"] == ("False", "Failed")
    assert world.conditions["Stalled"] == ("True", "RevisionNotFound")
    assert world.says("Stalled").startswith(
        "spec.pinRevision is 7, and the revisions that are kept are: 1, 2. Name one"
    )
    pin(world, 1)
    assert world.conditions["Ready"] == ("True", "Pinned")
    assert "Stalled" not in world.conditions


def test_a_pin_without_any_revision_starts_no_run() -> None:
    """As after a restore without the prompts: no call, and words."""
    world = World()
    world.change(pinRevision=1)
    world.settle()
    assert world.names(JOB) == []
    assert world.conditions["Stalled"] == ("True", "RevisionNotFound")
    assert world.says("Stalled").startswith(
        "spec.pinRevision is 1, and the revisions that are kept are: none"
    )
    world.change()
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_an_edit_of_the_pinned_prompt_is_undone() -> None:
    """As of any that is served."""
    world = two_runs()
    pin(world, 1)
    before = served(world)
    edited = world.get(CONFIG_MAP, "docs-prompt")
    world._put(edited | {"data": before | {"entities.messages.json": "[]"}})
    world.settle()
    assert served(world) == before
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt"))
    world.settle()
    assert served(world) == before


def test_a_restored_resource_serves_its_pinned_revision() -> None:
    """From its prompts alone."""
    world = two_runs()
    pin(world, 1)
    before, jobs = served(world), world.made(JOB)
    world.restore()
    world.settle()
    assert (served(world), world.conditions["Ready"]) == (before, ("True", "Pinned"))
    assert world.made(JOB) == jobs


@pytest.mark.parametrize(
    ("limit", "served_number", "pin_number", "pruned"),
    [(5, 8, None, [1, 3]), (5, 1, None, [3]), (5, 8, 1, [3]), (1, 8, 3, [1, 4, 5, 6, 7]), (100, 8, None, [])],
)
def test_old_revisions_go_but_the_served_the_pinned_and_the_kept(
    limit: int, served_number: int, pin_number: int | None, pruned: list[int]
) -> None:
    """The newest so many stay; revision 2 bears the label."""
    spec = SPEC.model_copy(update={"revision_history_limit": limit, "pin_revision": pin_number})
    revisions = tuple(replace(revision(number, str(number)), keep=number == 2) for number in range(1, 9))
    one = revisions[(pin_number or served_number) - 1]
    plan = decide(Observed(resource(spec=spec), NOW, revisions=revisions, served=one))
    assert [one.number for one in plan.prune] == pruned


def test_the_label_keeps_a_revision() -> None:
    """Whoever sets it on the ConfigMap; without it, the limit takes the revision."""
    world = two_runs()
    for label in ("true", "false"):
        kept = world.get(CONFIG_MAP, "docs-prompt-r1")
        kept["metadata"]["labels"][LABEL_KEEP] = label
        world._put(kept)
        edit(world, optimizer={"seed": 10}, revisionHistoryLimit=1)
        world.settle()
        assert ("docs-prompt-r1" in world.names(CONFIG_MAP)) == (label == "true")


def test_the_revision_of_todays_spec_stays_though_others_are_newer() -> None:
    """Else its run would start again."""
    world = two_runs("Worse", "Worse")
    next_run(world, 11, "Improved", "Improved")
    edit(world, optimizer={"seed": 10}, revisionHistoryLimit=1)
    world.settle()
    assert "docs-prompt-r2" in world.names(CONFIG_MAP)
    assert len(world.made(JOB)) == 3
