"""Release of prompts: what passes is served, what fails keeps what it had, also by a changed acceptance."""

import json

from domaintraining.controller.cluster import CONFIG_MAP, JOB
from tests.unit.controller.releases import (
    BOTH,
    edit,
    history,
    manifest,
    next_run,
    outcome,
    runs,
    served,
    status,
    world_of_two_tasks,
)


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
