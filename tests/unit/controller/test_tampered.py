"""What others do to the objects of a run: undone, told, or waited for; never taken for something else."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domaintraining.api.names import LABEL_NAME, LABEL_ROLE
from domaintraining.controller.attempt import ATTEMPT_KEY
from domaintraining.controller.cluster import CONFIG_MAP, JOB, ClusterError, JsonObject
from tests.unit.controller.world import BETTER, World


def test_a_failure_is_known_though_its_job_is_gone() -> None:
    """Somebody deleted it, or its time to live was over before the controller was back."""
    world = World()
    world.settle()
    world.report(failure={"reason": "DatasetInvalid", "message": "line 3"})
    world.cluster.objects.pop((JOB, "team", "docs-r1-a1"))
    world.settle()
    assert world.conditions["Stalled"] == ("True", "DatasetInvalid")
    assert world.names(JOB) == []


def test_an_object_of_somebody_else_is_never_touched() -> None:
    """Not under the name of a run's objects, and not when they are pruned."""
    world = World()
    foreign = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "team", "name": "docs-r1-report", "labels": {"app": "other"}},
        "data": {"a": "b"},
    }
    world._put(foreign)
    kept = world.get(CONFIG_MAP, "docs-r1-report")
    world.settle()
    assert world.conditions["Stalled"] == ("True", "NameConflict")
    world.change(optimizer={"seed": 10})
    world.settle()
    assert world.names(JOB) == ["docs-r2-a1"]
    assert world.get(CONFIG_MAP, "docs-r1-report") == kept


def test_a_report_gets_its_owner_and_labels_back() -> None:
    """Its trainer may patch all of it; without them it would be left when the resource is deleted."""
    world = World()
    world.settle()
    made = world.get(CONFIG_MAP, "docs-r1-report")["metadata"]
    report = world.get(CONFIG_MAP, "docs-r1-report")
    report["metadata"] |= {"ownerReferences": [], "labels": {LABEL_NAME: "docs", LABEL_ROLE: "prompt"}}
    world._put(report)
    world.result(BETTER)
    world.settle()
    restored = world.get(CONFIG_MAP, "docs-r1-report")["metadata"]
    assert {key: restored[key] for key in ("labels", "ownerReferences")} == {
        key: made[key] for key in ("labels", "ownerReferences")
    }
    assert world.conditions["Ready"] == ("True", "Promoted")


def test_a_job_that_is_being_deleted_did_not_fail() -> None:
    """Its pods take their time to end; once it is gone the attempt goes on, or rests if suspended."""
    for suspend in (False, True):
        world = World()
        world.settle()
        leaving = world.job()
        leaving["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
        world._put(leaving)
        world.change(suspend=suspend)
        world.settle()
        assert "Stalled" not in world.conditions
        world.cluster.objects.pop((JOB, "team", "docs-r1-a1"))
        world.settle()
        assert world.conditions["Ready"] == ("False", "Suspended" if suspend else "Queued")


@pytest.mark.parametrize("lost", [{"labels": {}}, {"labels": {}, "ownerReferences": []}])
def test_a_job_of_somebody_else_is_told_and_left_alone(lost: dict[str, Any]) -> None:
    """Also one of ours that lost what it is known by: making it again and again would be of no use."""
    made = World()
    made.settle()
    taken = made.job()
    taken["metadata"] |= lost
    world = World()
    world._put(taken)
    world.settle()
    assert world.conditions["Stalled"] == ("True", "NameConflict")
    assert world.get(JOB, "docs-r1-a1")["metadata"]["labels"] == {}


def test_a_job_that_another_controller_made_meanwhile_is_the_one() -> None:
    """Two may run for a moment, while one is rolled out over the other."""
    world = World()
    world.settle()
    twin = world.job()
    late = World()

    async def create(obj: JsonObject) -> JsonObject:
        late._put(twin)
        raise ClusterError(409, "AlreadyExists", f"{obj['metadata']['name']} exists")

    late.cluster.create = create  # type: ignore[method-assign]
    late.settle()
    assert late.conditions["Ready"] == ("False", "Queued")
    assert late.names(JOB) == ["docs-r1-a1"]


@pytest.mark.parametrize("stale", [False, True])
def test_a_restored_resource_serves_what_it_had_without_a_job(*, stale: bool) -> None:
    """Its revisions have no owner, or one that is gone, and no run is recorded; the next run counts on."""
    world = World()
    world.train(BETTER)
    world.restore(owners=stale)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.names(JOB) == []
    for name in ("docs-prompt", "docs-prompt-r0", "docs-prompt-r1"):
        owners = world.get(CONFIG_MAP, name)["metadata"]["ownerReferences"]
        assert [one["uid"] for one in owners if one["controller"]] == ["uid-restored"]
    world.change(optimizer={"seed": 10})
    world.settle()
    assert world.names(JOB) == ["docs-r2-a1"]


def test_prompts_that_are_restored_after_their_resource_stop_the_run_that_it_began() -> None:
    """Each further call would be for nothing."""
    made = World()
    made.train(BETTER)
    late = World()
    late.now += timedelta(hours=1)
    late.settle()
    late.run_pod()
    late.settle()
    assert late.names(JOB) == ["docs-r1-a1"]
    for name in ("docs-prompt", "docs-prompt-r0", "docs-prompt-r1"):
        prompt = made.get(CONFIG_MAP, name)
        del prompt["metadata"]["ownerReferences"]
        late._put(prompt)
    late.settle()
    assert late.names(JOB) == []
    assert late.conditions["Ready"] == ("True", "Promoted")
    assert late.get(CONFIG_MAP, "docs-prompt")["data"] == made.get(CONFIG_MAP, "docs-prompt")["data"]


def test_a_prompt_that_somebody_else_controls_is_told_and_left_alone() -> None:
    """Only references to a resource of this kind are ours to replace."""
    world = World()
    world.train(BETTER)
    world.restore()
    prompt = world.get(CONFIG_MAP, "docs-prompt-r1")
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "app",
        "uid": "uid-app",
        "controller": True,
    }
    prompt["metadata"]["ownerReferences"] = [owner]
    world._put(prompt)
    world.settle()
    assert world.conditions["Stalled"] == ("True", "AdmissionDenied")
    assert world.get(CONFIG_MAP, "docs-prompt-r1")["metadata"]["ownerReferences"] == [owner]


@pytest.mark.parametrize("edited", [None, {"entities.prompt.txt": "my own"}])
def test_the_served_prompt_is_restored(edited: dict[str, str] | None) -> None:
    """Deleted or edited: what is served is a revision, byte for byte."""
    world = World()
    world.train(BETTER)
    served = world.get(CONFIG_MAP, "docs-prompt")
    if edited is None:
        world.cluster.objects.pop((CONFIG_MAP, "team", "docs-prompt"))
    else:
        world._put(served | {"data": served["data"] | edited})
    world.settle()
    assert world.get(CONFIG_MAP, "docs-prompt")["data"] == served["data"]


def test_a_job_that_somebody_deleted_is_made_again() -> None:
    """The attempt is the same: it was not its end."""
    world = World()
    world.settle()
    world.cluster.objects.pop((JOB, "team", "docs-r1-a1"))
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    assert json.loads(world.record(1)["data"][ATTEMPT_KEY])["number"] == 1


def test_the_result_of_an_earlier_attempt_is_not_taken_for_that_of_the_next() -> None:
    """The report is emptied before the next Job is made."""
    world = World()
    world.settle()
    world.report(failure={"reason": "ModelServerUnavailable", "message": "gave up"}, progress={"percent": 60})
    world.end_job("Failed")
    world.settle()
    world.now += timedelta(seconds=30)
    world.settle()
    assert "data" not in world.get(CONFIG_MAP, "docs-r1-report")
    assert world.conditions["Ready"] == ("False", "Queued")
    assert world.resource["status"]["progress"]["percent"] == 60


def test_an_unreadable_result_ends_the_attempt_once_its_job_ended() -> None:
    """Nothing of it is published."""
    world = World()
    world.settle()
    world.report(result_={"entities": "none"})
    world.settle()
    assert world.conditions["Ready"] == ("False", "Queued")
    world.end_job("Complete")
    world.settle()
    assert world.conditions["Stalled"] == ("True", "ResultInvalid")
    assert "docs-prompt-r1" not in world.names(CONFIG_MAP)
