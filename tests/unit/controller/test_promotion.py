"""Release of prompts: what passes is served, what fails keeps what it had, also by a changed acceptance."""

import json
from typing import Any

from domaintraining.controller.cluster import CONFIG_MAP, JOB
from tests.unit.controller.world import World

BOTH = ["entities", "relations"]
BASE = {"f1": 0.5, "precision": 0.5, "recall": 0.5}


def numbers(verdict: str, f1: float = 0.8) -> dict[str, Any]:
    """What was measured of one prompt."""
    value = {"Improved": 0.1, "Unclear": 0.0, "Worse": -0.1}[verdict]
    return {
        "f1": f1,
        "precision": f1,
        "recall": f1,
        "baseline": BASE,
        "verdict": verdict,
        "documents": 40,
        "improvement": {"value": value, "low": value - 0.05, "high": value + 0.05, "over": "Baseline"},
    }


def outcome(entities: str, relations: str, f1: float = 0.8) -> dict[str, Any]:
    """What was measured of a run for both tasks."""
    return {
        "entities": numbers(entities, f1),
        "relations": numbers(relations, f1),
        "endToEnd": numbers(entities, 0.6),
    }


def world_of_two_tasks(**spec: Any) -> World:
    """A resource that trains both tasks."""
    world = World()
    edit(world, **spec)
    return world


def edit(world: World, **spec: Any) -> None:
    """A person's edit of the resource with both tasks."""
    world.change(tasks=BOTH, **spec)


def next_run(world: World, seed: int, entities: str, relations: str, **spec: Any) -> None:
    """A new spec is trained to its end."""
    edit(world, optimizer={"seed": seed}, **spec)
    world.train(outcome(entities, relations))


def served(world: World) -> dict[str, str]:
    """Files of `<name>-prompt`."""
    files: dict[str, str] = world.get(CONFIG_MAP, "docs-prompt")["data"]
    return files


def runs(world: World) -> tuple[str, ...]:
    """Of which run each served prompt is, by its bytes."""
    found = []
    for task in BOTH:
        system = json.loads(served(world)[f"{task}.messages.json"])[0]["content"]
        found.append(str(system).rpartition("run ")[2].partition(" ")[0])
    return tuple(found)


def manifest(world: World, name: str = "docs-prompt") -> dict[str, Any]:
    """A prompt's manifest."""
    found: dict[str, Any] = json.loads(world.get(CONFIG_MAP, name)["data"]["manifest.json"])
    return found


def status(world: World) -> dict[str, Any]:
    """The status."""
    found: dict[str, Any] = world.resource["status"]
    return found


def history(world: World) -> list[tuple[int, str]]:
    """Number and reason of each run."""
    return [(one["number"], one["reason"]) for one in status(world)["history"]]


def test_a_run_that_passes_is_served_byte_for_byte() -> None:
    """`<name>-prompt` holds exactly what the run's revision keeps."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Unclear"))
    assert served(world) == world.get(CONFIG_MAP, "docs-prompt-r1")["data"]
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert history(world) == [(1, "Promoted")]


def test_a_task_that_fails_keeps_the_prompt_it_had() -> None:
    """Served are the prompts of two runs; manifest and status say whose, with the numbers of each."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved", 0.7))
    next_run(world, 10, "Improved", "Worse")
    assert runs(world) == ("2", "1")
    said = manifest(world)
    assert {task: one["run"] for task, one in said["tasks"].items()} == {"entities": 2, "relations": 1}
    assert (said["accepted"], said["promoted"], said["seen"]) == (["entities"], True, ["text-2", "text-1"])
    metrics = status(world)["metrics"]
    assert (metrics["entities"]["f1"], metrics["relations"]["f1"]) == (0.8, 0.7)
    assert "endToEnd" not in metrics, "the pair was never measured together"
    config = status(world)["promptConfig"]
    assert (config["revision"], config["relations"]["instruction"]) == (
        2,
        "Extract the relations as run 1 does.",
    )
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert "relations keeps the prompt of revision 1 (relations: Worse, F1" in world.says("Ready")
    kept = manifest(world, "docs-prompt-r2")
    assert [kept["tasks"][task]["run"] for task in BOTH] == [2, 2], "the revision keeps the run's own"


def test_a_task_that_fails_at_first_keeps_the_baseline() -> None:
    """With the baseline's own numbers, also after another run's baseline has become revision 0."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Worse"))
    assert runs(world) == ("1", "0")
    before = served(world)
    relations = status(world)["metrics"]["relations"]
    assert (relations["f1"], relations["improvement"]["value"]) == (0.5, 0)
    assert status(world)["promptConfig"]["relations"]["instruction"] == "Extract the relations as run 0 does."
    next_run(world, 10, "Worse", "Worse")
    assert served(world) == before
    edit(world)
    world.settle()
    assert (served(world), world.conditions["Ready"]) == (before, ("True", "Promoted"))


def test_what_is_kept_is_what_was_served_and_not_what_another_run_made() -> None:
    """Three runs: entities of the third, relations still of the first; the next is compared with these."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Improved", "Worse")
    next_run(world, 11, "Improved", "Worse")
    assert runs(world) == ("3", "1")
    edit(world, optimizer={"seed": 12})
    world.settle()
    run = json.loads(world.record(4)["data"]["run.json"])
    assert run["served"] == 3
    assert run["servedFrom"] == {
        "entities": {"revision": 3, "baseline": False},
        "relations": {"revision": 1, "baseline": False},
    }


def test_a_rejected_run_is_kept_and_what_was_served_stays() -> None:
    """A new spec whose run is rejected needs a person; the words say by how much it fell short."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    next_run(world, 10, "Worse", "Worse")
    assert served(world) == before
    assert manifest(world, "docs-prompt-r2")["promoted"] is False
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Stalled"] == ("True", "Rejected")
    assert world.conditions["Available"] == ("True", "Promoted")
    assert "entities: Worse, F1 0.800 is -0.100 to the baseline" in world.says("Stalled")
    assert history(world) == [(2, "Rejected"), (1, "Promoted")]
    assert status(world)["promptConfig"]["revision"] == 1


def test_without_held_out_data_the_reason_is_told() -> None:
    """Ready is Rejected, and Stalled says that nothing could be measured."""
    world = world_of_two_tasks(acceptance={"minF1": 0.5})
    world.train({task: {"verdict": "NotMeasured", "validationF1": 0.9} for task in BOTH})
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Stalled"] == ("True", "NoHeldOutData")
    assert world.conditions["Promoted"] == ("False", "NoHeldOutData")
    edit(world, acceptance={"require": "Any"})
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_a_weaker_acceptance_promotes_the_last_run_without_another() -> None:
    """No Job, no call: the numbers of its manifest are judged again."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    next_run(world, 10, "Worse", "Worse")
    jobs = world.made(JOB)
    edit(world, optimizer={"seed": 10}, acceptance={"require": "Any"})
    world.settle()
    assert runs(world) == ("2", "2")
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert "Stalled" not in world.conditions
    assert history(world) == [(2, "Promoted"), (1, "Promoted")]
    assert (manifest(world)["promoted"], manifest(world)["accepted"]) == (True, BOTH)
    assert world.made(JOB) == jobs


def test_a_stronger_acceptance_takes_the_last_run_back_without_another() -> None:
    """What was served before it is served again, byte for byte; task by task."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    next_run(world, 10, "Improved", "Unclear")
    jobs = world.made(JOB)
    edit(world, optimizer={"seed": 10}, acceptance={"require": "Improved"})
    world.settle()
    assert runs(world) == ("2", "1")
    edit(world, optimizer={"seed": 10}, acceptance={"minF1": 0.9})
    world.settle()
    assert served(world) == before
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Stalled"] == ("True", "Rejected")
    assert "0.100 short of minF1 0.9" in world.says("Stalled")
    edit(world, optimizer={"seed": 10})
    world.settle()
    assert (runs(world), world.conditions["Ready"]) == (("2", "2"), ("True", "Promoted"))
    assert world.made(JOB) == jobs


def test_an_only_run_that_is_taken_back_stays_served() -> None:
    """Nothing else is there that applications could use; Ready says that it did not pass."""
    world = world_of_two_tasks()
    world.train(outcome("Improved", "Improved"))
    before = served(world)
    edit(world, acceptance={"minF1": 0.9})
    world.settle()
    assert served(world) == before
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Available"] == ("True", "Promoted")


def test_a_run_promoted_by_a_weaker_acceptance_stays_what_it_is_when_a_later_one_ends() -> None:
    """A rejected later run of the same spec leaves Ready as it was."""
    world = world_of_two_tasks(acceptance={"require": "Improved"})
    world.train(outcome("Unclear", "Unclear"))
    assert world.conditions["Ready"] == ("False", "Rejected")
    edit(world)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    before = served(world)
    world.ask("2026-11-23T12:00:00Z")
    world.train(outcome("Worse", "Worse"))
    assert (served(world), world.conditions["Ready"]) == (before, ("True", "Promoted"))
    assert history(world) == [(2, "Rejected"), (1, "Promoted")]
    assert "Stalled" not in world.conditions
    assert "not accepted (entities: Worse, F1 0.800" in world.says("Trained")


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
