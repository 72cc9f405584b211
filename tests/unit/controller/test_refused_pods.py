"""A Job whose pods are refused is explained by its events, as nothing else tells of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domaintraining.controller.cluster import JOB
from domaintraining.controller.diagnose import refused_pods
from domaintraining.controller.held import HELD_FOR
from domaintraining.controller.jobs import build_job
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.objects import EVENT
from domaintraining.controller.observe import REFUSED_FOR, SLOWEST_POD, observe
from domaintraining.controller.settings import Settings
from tests.unit.controller.test_decide import NOW, record, resource
from tests.unit.controller.test_held import lose_pod, running
from tests.unit.controller.world import World

Json = dict[str, Any]
QUOTA = 'Error creating: pods "docs-r1-a1-{}" is forbidden: exceeded quota: team, requested: pods=1'
POLICY = 'Error creating: pods "docs-r1-a1-x" is forbidden: violates PodSecurity "restricted:latest"'
DENIED = 'Error creating: admission webhook "policy.example.com" denied the request: no'
DOWN = (
    'Error creating: Internal error occurred: failed calling webhook "vault.example.com": '
    'Post "https://vault:443/mutate?timeout=10s": context deadline exceeded'
)
LATE = 'Error creating: pods "docs-r1-a1-x" is forbidden: {}'
START = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


def warning(note: str, at: str = "2026-11-23T16:00:00Z", **fields: Any) -> Json:
    """An event of the Job controller as events.k8s.io shows it."""
    return {"reason": "FailedCreate", "note": note, "eventTime": None, "deprecatedLastTimestamp": at} | fields


@pytest.mark.parametrize(
    ("warnings", "reason"),
    [
        ([], None),
        ([warning("Job was active longer than specified", reason="DeadlineExceeded")], None),
        ([warning(QUOTA.format("a"))], "QuotaExceeded"),
        ([warning(POLICY)], "AdmissionDenied"),
        ([warning(DENIED)], "AdmissionDenied"),
        ([warning(DOWN)], "ObjectsRefused"),
        ([warning('Error creating: Pod "docs-r1-a1-x" is invalid: spec')], "ObjectsRefused"),
        ([warning(LATE.format("error looking up service account team/default"))], "ObjectsRefused"),
        ([warning(LATE.format("status unknown for quota: team, resources: pods"))], "ObjectsRefused"),
        ([warning(POLICY, at="2026-11-23T15:59:59Z")], None),
        ([warning(POLICY, at="")], None),
        ([warning(POLICY), warning(QUOTA.format("a"), at="2026-11-23T16:00:05Z")], "QuotaExceeded"),
        (
            [warning(POLICY, series={"lastObservedTime": "2026-11-24T00:00:00.000000Z"}), warning(QUOTA)],
            "AdmissionDenied",
        ),
    ],
)
def test_the_last_refusal_counts(warnings: list[Json], reason: str | None) -> None:
    """Of those since the Job has no pod, and as what it is: a policy's no, or what may pass."""
    found = refused_pods(warnings, START, lasting=True)
    assert (found and found.reason) == reason


def test_a_refusal_of_a_moment_is_no_end() -> None:
    """Until it has lasted, a policy's no may be one of a policy that is being set up."""
    found = refused_pods([warning(POLICY)], START, lasting=False)
    assert found
    assert found.reason == "ObjectsRefused"
    assert "violates PodSecurity" in found.message


def test_every_try_is_told_with_the_same_words() -> None:
    """Else status would be written again for each of them."""
    first, second = (refused_pods([warning(QUOTA.format(name))], START, lasting=True) for name in "ab")
    assert first
    assert second
    assert first.message == second.message
    assert "exceeded quota: team" in first.message


@pytest.mark.parametrize(("waited", "asked"), [(SLOWEST_POD, "no"), (SLOWEST_POD * 2, "yes")])
def test_events_are_asked_for_once_a_pod_should_be_there(waited: timedelta, asked: str) -> None:
    """A Job whose pod is made at once costs no request more."""
    mine = resource()
    job = build_job(mine, record().run, record().attempt, Settings(trainer_image="i"))
    job["metadata"]["uid"] = "job-uid"
    job["status"] = {"startTime": (NOW - waited).isoformat()}
    regarding = {"regarding": {"uid": "job-uid"}, "type": "Warning"}
    about = {"apiVersion": "events.k8s.io/v1", "kind": "Event"}
    event = warning(QUOTA.format("a")) | regarding | about
    event["metadata"] = {"name": "a", "namespace": mine.namespace}
    seen = asyncio.run(observe(MemoryCluster(job, event), mine, NOW))
    (found,) = seen.jobs
    assert (found.trouble is not None) is (asked == "yes")


def tell(world: World, note: str) -> None:
    """The Job controller's event of now."""
    about = {"apiVersion": EVENT.api_version, "kind": EVENT.kind, "type": "Warning"}
    named = {"metadata": {"namespace": "team", "name": "refused"}}
    regarding = {"regarding": {"uid": world.job()["metadata"]["uid"]}}
    world._put(warning(note, at=world.now.isoformat()) | about | named | regarding)


def refused(note: str) -> World:
    """A run whose first pod is refused from the start on."""
    world = World()
    world.settle()
    job = world.job()
    job["status"] = {"startTime": world.now.isoformat()}
    world._put(job)
    world.now += SLOWEST_POD * 2
    tell(world, note)
    world.settle()
    return world


def test_a_policy_that_says_no_for_a_minute_needs_a_person() -> None:
    """The Job controller tries again on its own; what it is told all the time is told as it is."""
    world = refused(POLICY)
    assert world.conditions["Reconciling"] == ("True", "ObjectsRefused")
    assert "violates PodSecurity" in world.says("Reconciling")
    world.now = NOW + REFUSED_FOR
    world.settle()
    assert world.conditions["Stalled"] == ("True", "AdmissionDenied")
    assert world.names(JOB) == []


def test_a_webhook_that_is_down_is_waited_out() -> None:
    """For as long as a Job without a pod keeps its place; then the next attempt follows with a pause."""
    world = refused(DOWN)
    world.now = NOW + HELD_FOR - timedelta(seconds=1)
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "ObjectsRefused")
    assert world.names(JOB) == ["docs-r1-a1"]
    world.now = NOW + HELD_FOR
    world.settle()
    assert "Stalled" not in world.conditions
    world.now += timedelta(minutes=1)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a2"]


def test_an_event_of_the_start_says_nothing_of_a_pod_that_was_lost() -> None:
    """Events live for an hour; the pod's replacement is a second away."""
    world = running()
    world.now = NOW
    tell(world, POLICY)
    world.now = NOW + timedelta(minutes=40)
    lose_pod(world)
    world.now += SLOWEST_POD * 2
    world.settle()
    assert "Stalled" not in world.conditions
    assert world.conditions["Ready"] == ("False", "Queued")
    assert "violates" not in world.says("Ready")


def test_what_has_run_is_not_ended_by_a_policy_at_once() -> None:
    """It keeps its place as long as any other; the next attempt is looked at anew."""
    world = running()
    lose_pod(world)
    world.now += REFUSED_FOR * 2
    tell(world, POLICY)
    world.settle()
    assert world.conditions["Reconciling"] == ("True", "ObjectsRefused")
    assert world.names(JOB) == ["docs-r1-a1"]
    world.now += HELD_FOR
    world.settle()
    assert world.names(JOB) == []
    assert "Stalled" not in world.conditions
