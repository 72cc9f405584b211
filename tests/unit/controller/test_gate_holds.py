"""A prompt that a gate has rejected does not come back by pins, limits, edits or what somebody deletes."""

import hashlib
from typing import Any

import pytest

from domaintraining.controller import composing
from domaintraining.controller.cluster import CONFIG_MAP, ClusterError, Kind
from tests.unit.controller.releases import (
    edit,
    history,
    manifest,
    next_run,
    numbers,
    outcome,
    runs,
    served,
    world_of_two_tasks,
)
from tests.unit.controller.world import World

ROOM = 200_000


def one_task(world: World, verdict: str, f1: float, asked: str = "", **spec: Any) -> None:
    """A run of entities alone to its end; `asked`: by hand, with the same spec."""
    if spec:
        world.change(**spec)
    if asked:
        world.ask(asked)
    world.train({"entities": numbers(verdict, f1)})


def served_run(world: World) -> int:
    """The run that `<name>-prompt` says it is of."""
    return int(world.get(CONFIG_MAP, "docs-prompt")["metadata"]["labels"]["training.aegisrag.io/revision"])


def test_what_a_run_is_compared_with_is_kept_until_it_ends() -> None:
    """Its pod may still have to mount it, and a task that fails goes on with it."""
    world = world_of_two_tasks(revisionHistoryLimit=1)
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Improved", "Improved", revisionHistoryLimit=1, pinRevision=1)
    edit(world, optimizer={"seed": 11}, revisionHistoryLimit=1, pinRevision=1)
    world.settle()
    world.run_pod()
    edit(world, optimizer={"seed": 11}, revisionHistoryLimit=1)
    world.settle()
    assert "docs-prompt-r1" in world.names(CONFIG_MAP)
    world.result(outcome("Improved", "Worse"))
    world.settle()
    assert runs(world) == ("3", "1")
    assert "relations keeps the prompt of revision 1" in world.says("Ready")


def test_an_acceptance_that_is_taken_back_has_cost_nothing() -> None:
    """What is served by the acceptance of before is kept under a stricter one."""
    world = world_of_two_tasks(revisionHistoryLimit=1)
    world.train(outcome("Improved", "Improved"))
    for hour in (12, 13):
        world.ask(f"2026-11-23T{hour}:00:01Z")
        world.train(outcome("Improved", "Worse", 0.7))
    assert runs(world) == ("3", "1")
    edit(world, revisionHistoryLimit=1, acceptance={"minF1": 0.95})
    world.settle()
    assert runs(world) == ("3", "1")
    assert "docs-prompt-r1" in world.names(CONFIG_MAP)
    edit(world, revisionHistoryLimit=1)
    world.settle()
    next_run(world, 10, "Improved", "Worse", revisionHistoryLimit=1)
    assert runs(world) == ("4", "1")


def test_a_kept_revision_can_be_rolled_back_to_after_a_stricter_acceptance() -> None:
    """What it keeps of an earlier one is kept as long as itself."""
    world = world_of_two_tasks(revisionHistoryLimit=2)
    world.train(outcome("Improved", "Improved"))
    world.ask("2026-11-23T12:00:01Z")
    world.train(outcome("Improved", "Worse", 0.7))
    world.ask("2026-11-23T13:00:01Z")
    world.train(outcome("Improved", "Improved"))
    for spec in ({"acceptance": {"minF1": 0.75}}, {}, {"pinRevision": 2}):
        edit(world, revisionHistoryLimit=2, **spec)
        world.settle()
    assert runs(world) == ("2", "1")
    assert world.conditions["Ready"] == ("True", "Pinned")


@pytest.mark.parametrize("way", [{"optimizer": {"seed": 11}, "pinRevision": 2}, {"optimizer": {"seed": 10}}])
def test_a_revision_that_is_not_whole_is_told_and_not_served(way: dict[str, Any]) -> None:
    """By a pin or by its spec, when somebody deleted what it keeps of another: what is served stays."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Improved", "Worse")
    next_run(world, 11, "Improved", "Improved")
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt-r1"))
    world.settle()
    edit(world, **way)
    world.settle()
    assert runs(world) == ("3", "3")
    assert world.conditions["Ready"][0] == "False"
    assert world.conditions["Stalled"][0] == "True"
    assert "its prompt for relations is that of revision 1, which is not kept" in world.says("Ready")
    edit(world, optimizer={"seed": 11})
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_the_bytes_of_a_deleted_revision_stay_while_they_are_served() -> None:
    """Somebody deletes what the failing task's prompt is kept in; the run's own is never served."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    edit(world, optimizer={"seed": 10})
    world.settle()
    world.run_pod()
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt-r1"))
    world.settle()
    world.result(outcome("Improved", "Worse"))
    world.settle()
    assert runs(world) == ("2", "1")
    names = [key for key in before if key.startswith("relations.")]
    assert {key: served(world)[key] for key in names} == {key: before[key] for key in names}
    world.controller = world.started()
    world.settle()
    assert runs(world) == ("2", "1")


def test_where_the_bytes_are_nowhere_the_worse_ones_are_not_served() -> None:
    """All of revision 1 is gone, also as it was served."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    edit(world, optimizer={"seed": 10})
    world.settle()
    world.run_pod()
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt-r1"))
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt"))
    world.result(outcome("Improved", "Worse"))
    world.settle()
    assert {key.partition(".")[0] for key in served(world)} == {"entities", "manifest"}
    assert set(manifest(world)["tasks"]) == {"entities"}


@pytest.mark.parametrize("other", [{}, {"optimizer": {"seed": 10}}], ids=["same spec", "another spec"])
def test_an_earlier_run_that_fails_todays_acceptance_stays_rejected(other: dict[str, Any]) -> None:
    """Run 2 was promoted, and rejected by a stricter acceptance; a rejected run 3 does not bring it back."""
    world = World()
    one_task(world, "Improved", 0.8)
    one_task(world, "Unclear", 0.7, **other) if other else one_task(
        world, "Unclear", 0.7, "2026-11-23T12:00:01Z"
    )
    assert served_run(world) == 2
    strict = other | {"acceptance": {"minF1": 0.75}}
    world.change(**strict)
    world.settle()
    assert served_run(world) == 1
    one_task(world, "Worse", 0.3, "2026-11-23T13:00:01Z")
    assert served_run(world) == 1
    assert dict(history(world))[2] == "Rejected"
    assert world.conditions["Ready"][1] == ("Promoted" if not other else "Rejected")


def test_a_rejected_run_makes_no_failing_prompt_ready() -> None:
    """The only prompt is below minF1: Ready stays False, and the prompt stays where it is."""
    world = World()
    one_task(world, "Improved", 0.8)
    world.change(acceptance={"minF1": 0.9})
    world.settle()
    assert world.conditions["Ready"] == ("False", "Rejected")
    one_task(world, "Worse", 0.3, "2026-11-23T13:00:01Z")
    assert served_run(world) == 1
    assert world.conditions["Ready"] == ("False", "Rejected")


@pytest.mark.parametrize(
    ("second", "third"),
    [({}, {}), ({"optimizer": {"seed": 10}}, {"optimizer": {"seed": 11}})],
    ids=["one spec", "three specs"],
)
def test_a_pin_promotes_nothing(second: dict[str, Any], third: dict[str, Any]) -> None:
    """Rejected run 2 is pinned while run 3 is made and compared with it; without the pin it is not served."""
    world = World()
    one_task(world, "Improved", 0.8)
    one_task(world, "Worse", 0.3, "" if second else "2026-11-23T12:00:01Z", **second)
    world.change(pinRevision=2, **second)
    world.settle()
    assert served_run(world) == 2
    one_task(world, "Worse", 0.2, "" if third else "2026-11-23T13:00:01Z", pinRevision=2, **third)
    world.change(**third)
    world.settle()
    assert served_run(world) == 1
    assert dict(history(world))[2] == "Rejected"


def test_what_a_pin_left_is_not_called_promoted() -> None:
    """Nothing else was ever served: it stays, as applications read it, and no condition praises it."""
    world = World()
    one_task(world, "Worse", 0.3)
    world.change(pinRevision=1)
    world.settle()
    world.change()
    world.settle()
    assert served_run(world) == 1
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Available"] == ("True", "Pinned")
    assert "was not accepted" in world.says("Available")


def test_a_pinned_prompt_does_not_change_with_the_acceptance() -> None:
    """It is what was served of it when it was judged."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Improved", "Worse")
    before = served(world)
    edit(world, optimizer={"seed": 10}, pinRevision=2)
    world.settle()
    for acceptance in ({"minF1": 0.9}, {"require": "Any"}):
        edit(world, optimizer={"seed": 10}, pinRevision=2, acceptance=acceptance)
        world.settle()
        assert served(world) == before
        assert world.conditions["Ready"] == ("True", "Pinned")


def test_a_restored_resource_owns_also_what_todays_acceptance_rejects() -> None:
    """Else `<name>-prompt` would outlive it."""
    world = World()
    one_task(world, "Improved", 0.8)
    world.change(acceptance={"minF1": 0.9})
    world.settle()
    world.restore()
    world.settle()
    (owner,) = world.get(CONFIG_MAP, "docs-prompt")["metadata"]["ownerReferences"]
    assert owner["uid"] == world.resource["metadata"]["uid"]


def test_a_composed_prompt_is_never_too_large_to_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of many samples each: what both had seen does not fit into one manifest."""
    world = world_of_two_tasks()
    merge = world.cluster._merge

    def limited(address: tuple[Kind, str, str], given: dict[str, Any], base: Any) -> Any:
        size = sum(len(text.encode()) for text in (given.get("data") or {}).values() if text)
        if size > ROOM:
            raise ClusterError(422, "Invalid", "data: Too long: may not be more than 200000 bytes")
        return merge(address, given, base)

    monkeypatch.setattr(world.cluster, "_merge", limited)
    monkeypatch.setattr(composing, "MOST_BYTES", ROOM)
    texts = [[hashlib.sha256(f"{run} {at}".encode()).hexdigest() for at in range(2_000)] for run in (1, 2)]
    world.settle()
    world.run_pod()
    world.settle()
    world.result(outcome("Improved", "Improved"), seen=texts[0])
    world.settle()
    edit(world, optimizer={"seed": 10})
    world.settle()
    world.run_pod()
    world.settle()
    world.result(outcome("Improved", "Worse"), seen=texts[1])
    world.settle()
    assert runs(world) == ("2", "1")
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert manifest(world)["seen"] == texts[1]
    assert manifest(world)["seenElsewhere"] == [1]
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt-r1"))
    world.settle()
    assert manifest(world)["seenElsewhere"] == [1]
