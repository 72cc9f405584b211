"""The whole path over a cluster in memory, and that a controller killed anywhere on it changes nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domaintraining.api.names import ANNOTATION_RETRAIN, LABEL_NAME, LABEL_ROLE
from domaintraining.controller.attempt import ATTEMPT_KEY
from domaintraining.controller.cluster import (
    CONFIG_MAP,
    JOB,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    ClusterError,
    JsonObject,
)
from tests.unit.api.prompts import prompts, task_prompt
from tests.unit.controller.world import BETTER, NOW, SPEC, WORSE, Act, World

RIGHTS = (SERVICE_ACCOUNT, ROLE, ROLE_BINDING)


def trained(world: World, metrics: dict[str, Any] = BETTER) -> None:
    """The current run goes from its Job to its end."""
    world.settle()
    world.run_pod()
    world.settle()
    world.result(metrics)
    world.settle()


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
    trained(world)
    before = list(world.cluster.writes)
    for _ in range(3):
        world.settle()
    assert world.cluster.writes == before


def test_a_rejected_run_is_kept_and_not_served() -> None:
    """Stalled, with the revision to look at."""
    world = World()
    trained(world, WORSE)
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
    assert world.names(CONFIG_MAP) == ["docs-r2", "docs-r2-data", "docs-r2-report"]
    assert [world.names(kind) for kind in RIGHTS] == [["docs-r2"]] * 3
    trained(world)
    history = world.resource["status"]["history"]
    assert [(one["number"], one["reason"]) for one in history] == [(2, "Promoted"), (1, "Superseded")]


def test_going_back_to_a_kept_spec_serves_it_without_a_job() -> None:
    """And leaves no right behind for the run that was stopped."""
    world = World()
    trained(world)
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
    trained(world)
    served = world.get(CONFIG_MAP, "docs-prompt")
    annotated = world.resource
    annotated["metadata"]["annotations"] = {ANNOTATION_RETRAIN: "2026-11-23T12:00:00Z"}
    world._put(annotated)
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


def test_the_baseline_of_the_last_run_is_kept() -> None:
    """Revision 0 is immutable; another one takes its place."""
    world = World()
    trained(world)
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
        trained(world)
    prompts = [f"docs-prompt-r{number}" for number in (0, 4, 5, 6, 7, 8)]
    assert world.names(CONFIG_MAP) == ["docs-prompt", *prompts, "docs-r8", "docs-r8-report"]
    assert [one["number"] for one in world.resource["status"]["history"]] == [8, 7, 6, 5, 4]


def test_a_restored_resource_serves_what_it_had_without_a_job() -> None:
    """Its revisions have no owner, and no run is recorded; the next run counts on."""
    world = World()
    trained(world)
    world.restore()
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.names(JOB) == []
    owners = world.get(CONFIG_MAP, "docs-prompt-r1")["metadata"]["ownerReferences"]
    assert [one["uid"] for one in owners] == ["uid-docs"]
    world.change(optimizer={"seed": 10})
    world.settle()
    assert world.names(JOB) == ["docs-r2-a1"]


@pytest.mark.parametrize("edited", [None, {"entities.prompt.txt": "my own"}])
def test_the_served_prompt_is_restored(edited: dict[str, str] | None) -> None:
    """Deleted or edited: what is served is a revision, byte for byte."""
    world = World()
    trained(world)
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


Story = tuple[Act, ...]

STORIES: dict[str, Story] = {
    "promoted": (World.run_pod, lambda world: world.result(BETTER)),
    "rejected": (World.run_pod, lambda world: world.result(WORSE)),
    "superseded": (
        World.run_pod,
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.result(BETTER),
    ),
    "gone back": (
        lambda world: world.result(BETTER),
        lambda world: world.change(optimizer={"seed": 10}),
        lambda world: world.change(),
    ),
    "failed": (
        lambda world: world.report(failure={"reason": "DatasetInvalid", "message": "line 3"}),
        lambda world: world.end_job("Failed"),
        lambda world: world.change(job={"backoffLimit": 1}),
        lambda world: world.result(BETTER),
    ),
    "suspended": (
        World.run_pod,
        lambda world: world.change(suspend=True),
        lambda world: world.change(),
        lambda world: world.result(BETTER),
    ),
}


def lived(story: Story, dies_after: int | None = None, *, at_once: bool = False) -> World:
    """A world after a story; the controller dies after so many writes.

    Args:
        story: what happens, each after the controller has come to rest.
        dies_after: writes after which it is killed; None: never.
        at_once: whether the next thing happens before it is started again, if it can.
    """
    world = World(SPEC)
    world.cluster.dies_after = dies_after
    rest = list(story)
    while True:
        world.settle(rest if at_once else None)
        if not rest:
            return world
        rest.pop(0)(world)


@pytest.mark.parametrize("story", STORIES)
def test_killed_after_any_write_it_ends_the_same_with_the_same_jobs(story: str) -> None:
    """Every write is replayed from what the cluster holds: same objects, and no Job twice."""
    whole = lived(STORIES[story])
    total = len(whole.cluster.writes)
    assert total > 10
    for dies_after in range(1, total + 1):
        world = lived(STORIES[story], dies_after)
        assert world.cluster.dies_after is None, "it was killed"
        assert world.content() == whole.content(), f"killed after {whole.cluster.writes[dies_after - 1]}"
        assert world.made(JOB) == whole.made(JOB)


def test_a_trainer_that_ends_while_the_controller_is_down_is_taken_over() -> None:
    """Killed after any write, and the result is there before it is back."""
    story = STORIES["promoted"]
    whole = lived(story)
    for dies_after in range(1, len(whole.cluster.writes) + 1):
        world = lived(story, dies_after, at_once=True)
        assert world.conditions["Ready"] == ("True", "Promoted")
        assert world.made(JOB) == ["docs-r1-a1"]
        ended = {name: one for name, one in world.content().items() if "Job" not in name}
        assert ended.keys() == {name for name in whole.content() if "Job" not in name}
