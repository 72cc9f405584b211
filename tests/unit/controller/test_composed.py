"""A served prompt of several runs stays whole: edited, restored, cut by the limit, of new or fewer tasks."""

from domaintraining.controller.cluster import CONFIG_MAP, JOB
from tests.unit.controller.releases import (
    manifest,
    next_run,
    numbers,
    outcome,
    runs,
    served,
    world_of_two_tasks,
)
from tests.unit.controller.world import World


def test_an_edit_of_a_composed_prompt_is_undone() -> None:
    """It is made again from the revisions that keep its parts."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Improved", "Worse")
    before = served(world)
    for changed in ({"relations.messages.json": "[]"}, {"manifest.json": "{}"}):
        edited = world.get(CONFIG_MAP, "docs-prompt")
        world._put(edited | {"data": before | changed})
        world.settle()
        assert served(world) == before
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt"))
    world.settle()
    assert served(world) == before


def test_a_key_that_somebody_adds_is_theirs() -> None:
    """A server-side apply leaves it, and the controller comes to rest."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    edited = world.get(CONFIG_MAP, "docs-prompt")
    world._put(edited | {"data": before | {"more": "x"}})
    world.settle()
    assert served(world) == before | {"more": "x"}
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_a_file_that_is_no_part_of_what_is_served_goes_with_the_same_write() -> None:
    """An apply leaves what another field manager has set, as kubectl that restored the prompt."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    world.change(optimizer={"seed": 10})
    world.cluster.writes.clear()
    world.train({"entities": numbers("Improved")})
    assert {key.partition(".")[0] for key in served(world)} == {"entities", "manifest"}
    assert world.conditions["Ready"] == ("True", "Promoted")
    written = [entry for entry in world.cluster.writes if entry.endswith("ConfigMap team/docs-prompt")]
    assert written == ["merge ConfigMap team/docs-prompt", "apply ConfigMap team/docs-prompt"]
    edited = world.get(CONFIG_MAP, "docs-prompt")
    world._put(edited | {"data": edited["data"] | {"relations.prompt.txt": "of before"}})
    world.settle()
    assert "relations.prompt.txt" not in served(world)


def test_what_a_composed_prompt_was_made_of_stays_and_lost_parts_change_nothing() -> None:
    """The limit spares it; where somebody deletes it, what is served stays as it is."""
    world = world_of_two_tasks(revisionHistoryLimit=1)
    world.train(outcome("Improved", "Improved"))
    for seed in (10, 11):
        next_run(world, seed, "Improved", "Worse", revisionHistoryLimit=1)
    world.settle()
    assert [name for name in world.names(CONFIG_MAP) if "-prompt-r" in name] == [
        "docs-prompt-r0",
        "docs-prompt-r1",
        "docs-prompt-r3",
    ]
    before = served(world)
    world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt-r1"))
    world.settle()
    assert (served(world), world.conditions["Ready"]) == (before, ("True", "Promoted"))


def test_a_prompt_is_updated_by_one_write() -> None:
    """A reader sees the old one whole or the new one whole."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    world.cluster.writes.clear()
    next_run(world, 10, "Improved", "Worse")
    written = [entry for entry in world.cluster.writes if entry.endswith("ConfigMap team/docs-prompt")]
    assert len(written) == 1


def test_a_restored_resource_serves_a_composed_prompt() -> None:
    """From the prompts of a backup alone; the baseline that a revision keeps comes with it."""
    for second in ((), ("Improved", "Worse")):
        world = world_of_two_tasks()
        world.train(outcome("Improved", "Worse"))
        if second:
            next_run(world, 10, *second)
        before, jobs = served(world), world.made(JOB)
        world.restore()
        world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt"))
        world.settle()
        assert (served(world), world.conditions["Ready"]) == (before, ("True", "Promoted"))
        assert world.made(JOB) == jobs


def test_a_task_that_is_new_and_fails_keeps_its_baseline() -> None:
    """The served revision has no prompt for it."""
    world = World()
    world.train({"entities": numbers("Improved")})
    next_run(world, 10, "Worse", "Worse")
    assert world.conditions["Ready"] == ("False", "Rejected")
    next_run(world, 11, "Improved", "Worse")
    assert runs(world) == ("3", "0")
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert "relations keeps the baseline's prompt" in world.says("Ready")


def test_a_later_run_of_fewer_tasks_changes_no_revision() -> None:
    """What it was not compared with stays as it was judged."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    world.change(optimizer={"seed": 10})
    world.train({"entities": numbers("Improved")})
    assert manifest(world)["accepted"] == ["entities"]
    world.change(optimizer={"seed": 10}, pinRevision=1)
    world.settle()
    assert served(world) == before
