"""The whole path over a cluster in memory: what a person sees, and what is left of each run."""

import json
from datetime import timedelta

import pytest

from domaintraining.controller.attempt import ATTEMPT_KEY
from domaintraining.controller.cluster import (
    CONFIG_MAP,
    JOB,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    ClusterError,
)
from tests.unit.api.prompts import prompts, task_prompt
from tests.unit.controller.world import BETTER, NOW, WORSE, World

RIGHTS = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING)


def test_from_nothing_to_a_served_prompt() -> None:
    """Pending, Queued, Training, Promoted; each told once; what only the trainer needed is gone."""
    world = World()
    world.models.down = {"http://ollama.ollama:11434"}
    world.settle()
    assert world.conditions["Ready"] == ("False", "Pending")
    assert world.names(JOB) == []
    world.models.down = set()
    world.settle()
    assert world.conditions["Ready"] == ("False", "Queued")
    assert world.names(JOB) == ["docs-r1-a1"]
    assert world.names(CONFIG_MAP) == ["docs-r1", "docs-r1-data", "docs-r1-report"]
    world.run_pod()
    world.report(progress={"percent": 30, "step": "entity_optimization"})
    world.settle()
    assert world.conditions["Ready"] == ("False", "Training")
    assert world.resource["status"]["progress"]["percent"] == 30
    world.result(BETTER)
    assert world.settle() is None
    assert world.conditions["Ready"] == ("True", "Promoted")
    names = ["docs-prompt", "docs-prompt-r0", "docs-prompt-r1", "docs-r1", "docs-r1-report"]
    assert world.names(CONFIG_MAP) == names
    assert world.get(CONFIG_MAP, "docs-prompt")["data"] == world.get(CONFIG_MAP, "docs-prompt-r1")["data"]
    assert [world.names(kind) for kind in RIGHTS] == [[], [], []]
    assert world.told == ["Pending", "Queued", "Training", "Promoted"]


def test_at_rest_nothing_is_written() -> None:
    """However often it is looked at."""
    world = World()
    world.train(BETTER)
    before = list(world.cluster.writes)
    for _ in range(3):
        world.settle()
    assert world.cluster.writes == before


def test_a_rejected_run_is_kept_and_not_served() -> None:
    """Stalled, with the revision to look at."""
    world = World()
    world.train(WORSE)
    assert world.conditions["Stalled"] == ("True", "Rejected")
    assert world.conditions["Available"] == ("False", "NoPrompt")
    assert "docs-prompt-r1" in world.names(CONFIG_MAP)
    assert "docs-prompt" not in world.names(CONFIG_MAP)


def test_a_new_spec_stops_the_job_and_says_so() -> None:
    """An event and the history tell; the next run starts, and nothing of the first is left but its Job."""
    world = World()
    world.settle()
    world.run_pod()
    world.settle()
    world.change(description="another", optimizer={"seed": 10})
    world.settle()
    assert world.names(JOB) == ["docs-r2-a1"]
    assert world.told == ["Queued", "Training", "Pending", "Superseded", "Queued"]
    history = world.resource["status"]["history"]
    assert [(one["number"], one["reason"]) for one in history] == [(1, "Superseded")]
    world.cluster.objects.pop((POD, "team", "docs-r1-a1"))  # its end follows that of its Job
    world.settle()
    assert world.names(CONFIG_MAP) == ["docs-r2", "docs-r2-data", "docs-r2-report"]
    assert [world.names(kind) for kind in RIGHTS] == [["docs-r2"]] * 3
    world.train(BETTER)
    history = world.resource["status"]["history"]
    assert [(one["number"], one["reason"]) for one in history] == [(2, "Promoted"), (1, "Superseded")]


def test_going_back_to_a_kept_spec_serves_it_without_a_job() -> None:
    """And leaves no right behind for the run that was stopped."""
    world = World()
    world.train(BETTER)
    world.change(optimizer={"seed": 10})
    world.settle()
    assert "docs-r2-a1" in world.names(JOB)
    world.change()
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.names(JOB) == ["docs-r1-a1"]
    assert [world.names(kind) for kind in RIGHTS] == [[], [], []]
    assert "docs-r2-data" not in world.names(CONFIG_MAP)
    assert world.resource["status"]["history"][0]["reason"] == "Superseded"
    world.change(optimizer={"seed": 11})
    world.settle()
    assert "docs-r3-a1" in world.names(JOB)


def test_retrain_starts_one_more_run_and_what_was_served_stays() -> None:
    """Until the new one passes."""
    world = World()
    world.train(BETTER)
    served = world.get(CONFIG_MAP, "docs-prompt")
    world.ask("2026-11-23T12:00:00Z")
    world.settle()
    assert "docs-r2-a1" in world.names(JOB)
    assert world.get(CONFIG_MAP, "docs-prompt") == served
    assert json.loads(world.record(2)["data"]["run.json"])["served"] == 1
    world.result(WORSE)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.get(CONFIG_MAP, "docs-prompt") == served


def test_a_failure_that_may_pass_is_tried_again_when_its_time_has_come() -> None:
    """Same run, next attempt, one more Job."""
    world = World()
    world.settle()
    world.report(failure={"reason": "ModelServerUnavailable", "message": "gave up"})
    world.end_job("Failed", reason="PodFailurePolicy")
    again = world.settle()
    assert again == 30
    assert world.conditions["Trained"] == ("False", "ModelServerUnavailable")
    assert world.names(JOB) == ["docs-r1-a1"]
    world.now = NOW + timedelta(seconds=30)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1", "docs-r1-a2"]
    assert json.loads(world.record(1)["data"][ATTEMPT_KEY])["number"] == 2


def test_a_failure_that_needs_a_change_waits_for_it() -> None:
    """Time alone starts nothing; another Job setting does."""
    world = World()
    world.settle()
    world.end_job("Failed", reason="BackoffLimitExceeded")
    world.now = NOW + timedelta(days=1)
    world.settle()
    assert world.conditions["Stalled"] == ("True", "TrainerFailed")
    assert world.names(JOB) == ["docs-r1-a1"]
    world.change(job={"backoffLimit": 1})
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1", "docs-r1-a2"]


@pytest.mark.parametrize(
    ("refused", "reason", "said"),
    [
        ("exceeded quota: team", "QuotaExceeded", "Reconciling"),
        ("admission webhook denied the request", "AdmissionDenied", "Stalled"),
    ],
)
def test_a_job_that_is_refused_is_told_and_tried_again(refused: str, reason: str, said: str) -> None:
    """It starts once the API server lets it; until then nothing changes that would wake the controller."""
    world = World()
    entry = "create Job team/docs-r1-a1"
    world.cluster.refusals[entry] = ClusterError(403, "Forbidden", refused)
    assert world.settle() is not None
    assert world.conditions[said] == ("True", reason)
    del world.cluster.refusals[entry]
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_a_deleted_resource_is_left_alone() -> None:
    """Its objects are the garbage collector's."""
    world = World()
    deleted = world.resource
    deleted["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    world._put(deleted)
    assert world.settle() is None
    assert world.cluster.writes == []


def test_progress_alone_is_written_every_three_seconds() -> None:
    """Whatever time the trainer's clock shows; a condition that changes is written at once."""
    world = World()
    world.settle()
    world.run_pod()
    for clock in ("1970-01-01T00:00:00Z", "2026-11-23T12:00:00Z", "2099-01-01T00:00:00Z"):
        world.now += timedelta(seconds=10)
        shown = []
        for percent in (10, 20, 30, 40):
            world.report(progress={"percent": percent, "lastUpdatedTime": clock, "modelCalls": percent})
            again = world.settle()
            shown.append(world.resource["status"]["progress"]["modelCalls"])
            assert again is not None
            world.now += timedelta(seconds=1)
        assert shown == [10, 10, 10, 40]
    world.report(waiting={"reason": "ModelServerUnavailable", "message": "refused"})
    world.settle()
    assert world.conditions["ModelReady"] == ("False", "ModelServerUnavailable")


def test_a_result_of_the_spec_before_is_kept() -> None:
    """It came before the controller saw the change; it is available until the new spec has one."""
    world = World()
    world.settle()
    world.result(BETTER)
    world.change(optimizer={"seed": 10})
    world.settle()
    assert world.conditions["Available"] == ("True", "Promoted")
    assert world.conditions["Ready"] == ("False", "Queued")
    assert [one["reason"] for one in world.resource["status"]["history"]] == ["Promoted"]
    world.change()
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_the_baseline_of_the_last_run_is_kept() -> None:
    """Revision 0 is immutable; another one takes its place."""
    world = World()
    world.train(BETTER)
    before = world.get(CONFIG_MAP, "docs-prompt-r0")["data"]
    world.change(optimizer={"seed": 10})
    world.settle()
    world.report(baseline_=prompts(entities=task_prompt(run=0), manifest={"seed": 10}))
    world.settle()
    after = world.get(CONFIG_MAP, "docs-prompt-r0")
    assert (after["immutable"], after["data"] != before) == (True, True)


def test_five_revisions_stay_and_one_record() -> None:
    """Of older runs nothing is left but Jobs, which have their own time to live."""
    world = World()
    for seed in range(1, 9):
        world.change(optimizer={"seed": seed})
        world.train(BETTER)
    prompts = [f"docs-prompt-r{number}" for number in (0, 4, 5, 6, 7, 8)]
    assert world.names(CONFIG_MAP) == ["docs-prompt", *prompts, "docs-r8", "docs-r8-report"]
    assert [one["number"] for one in world.resource["status"]["history"]] == [8, 7, 6, 5, 4]
