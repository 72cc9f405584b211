"""What Jobs and pods say becomes one reason with a remedy; what passes by itself is left to pass."""

from typing import Any

import pytest

from domaintraining.api.names import LABEL_ATTEMPT, LABEL_RUN
from domaintraining.controller.diagnose import (
    diagnose_pod,
    failure_of_creation,
    failure_of_job,
    read_job,
)
from domaintraining.controller.observed import JobState
from tests.unit.controller.test_decide import job as state


def job(*conditions: dict[str, str], **metadata: Any) -> dict[str, Any]:
    """A Job with conditions, of a resource with uid-1."""
    labels = {LABEL_RUN: "2", LABEL_ATTEMPT: "3"}
    base = {"name": "docs-r2-a3", "uid": "u", "labels": labels, "ownerReferences": [{"uid": "uid-1"}]}
    return {"metadata": base | metadata, "status": {"conditions": list(conditions)}}


def pod(created: str = "2026-11-23T11:00:00Z", **status: Any) -> dict[str, Any]:
    """A pod with a status."""
    return {"metadata": {"name": "p", "creationTimestamp": created}, "status": status}


def ended(code: int, reason: str = "Error", name: str = "trainer", **more: Any) -> dict[str, Any]:
    """The status of a pod whose container ended."""
    state = {"terminated": {"exitCode": code, "reason": reason, "message": "text of a sample"}}
    return {"phase": "Failed", "containerStatuses": [{"name": name, "state": state}]} | more


def waiting(reason: str) -> dict[str, Any]:
    """The status of a pod whose container does not start."""
    state = {"waiting": {"reason": reason, "message": "why"}}
    return {"phase": "Pending", "containerStatuses": [{"name": "trainer", "state": state}]}


def condition(kind: str, status: str, reason: str = "") -> dict[str, Any]:
    """The status of a pod with one condition."""
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "why"}]}


@pytest.mark.parametrize(
    ("status", "over", "reason"),
    [
        ({}, False, None),
        ({"phase": "Running"}, False, None),
        (ended(0, "Completed"), True, None),
        (ended(137, "OOMKilled"), False, "OutOfMemory"),
        (ended(137, "OOMKilled"), True, "OutOfMemory"),
        (ended(3), False, "TrainerFailed"),
        (ended(75), False, "ModelServerUnavailable"),
        (ended(1), False, None),
        (ended(1), True, "TrainerFailed"),
        (ended(1, name="sidecar"), True, None),
        (waiting("ErrImagePull"), False, "ImagePullFailed"),
        (waiting("ImagePullBackOff"), False, "ImagePullFailed"),
        (waiting("InvalidImageName"), False, "ImagePullFailed"),
        (waiting("CreateContainerConfigError"), False, "TrainerFailed"),
        (waiting("ContainerCreating"), False, None),
        (condition("PodScheduled", "False", "Unschedulable"), False, "Unschedulable"),
        (condition("PodScheduled", "True"), False, None),
        (condition("DisruptionTarget", "True", "PreemptionByScheduler"), False, "PodLost"),
        (condition("DisruptionTarget", "False"), False, None),
        ({"phase": "Failed", "reason": "Evicted", "message": "node was low on memory"}, True, "PodLost"),
        (
            ended(137, "Error", conditions=condition("DisruptionTarget", "True")["conditions"]),
            True,
            "PodLost",
        ),
    ],
)
def test_a_pod_says_what_is_wrong(status: dict[str, Any], over: bool, reason: str | None) -> None:  # noqa: FBT001
    """A crash of a Job that goes on is the Job's to repeat; an end that comes again is told at once."""
    found = diagnose_pod(pod(**status), over=over)
    assert (found.reason.value if found else None) == reason
    assert found is None or "sample" not in found.message


def test_a_job_is_read_with_its_owner_and_its_numbers() -> None:
    """Active until a condition or its deletion says otherwise."""
    found = read_job(job(), [pod(phase="Running")], "uid-1")
    assert (found.run, found.attempt, found.owned, found.active, found.started) == (2, 3, True, True, True)
    assert not read_job(job(), [], "uid-2").owned
    assert not read_job(job(), [pod(phase="Pending")], "uid-1").started
    assert not read_job(job(deletionTimestamp="2026-11-23T11:00:00Z"), [], "uid-1").active
    complete = read_job(job({"type": "Complete", "status": "True"}), [], "uid-1")
    assert (complete.complete, complete.active) == (True, False)
    failed = read_job(
        job({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}),
        [],
        "uid-1",
    )
    assert (failed.active, failed.failed) == (False, "BackoffLimitExceeded: too often")
    assert read_job(job({"type": "Failed", "status": "False"}), [], "uid-1").active


def test_the_newest_pod_tells() -> None:
    """A pod that was lost is no trouble any more once another one took its place."""
    lost = pod("2026-11-23T11:00:00Z", **condition("DisruptionTarget", "True"))
    later = pod("2026-11-23T11:05:00Z", phase="Running")
    for pods in ([lost, later], [later, lost]):
        found = read_job(job(), pods, "uid-1")
        assert (found.started, found.trouble) == (True, None)
    first, second = pod("2026-11-23T11:00:00Z", **ended(1)), pod("2026-11-23T11:05:00Z", **ended(75))
    over = read_job(job({"type": "Failed", "status": "True"}), [first, second], "uid-1")
    assert over.trouble is not None
    assert over.trouble.reason == "ModelServerUnavailable"


def test_memory_that_ran_out_once_is_told_though_another_pod_runs() -> None:
    """The next one has no more of it."""
    first = pod("2026-11-23T11:00:00Z", **ended(137, "OOMKilled"))
    found = read_job(job(), [first, pod("2026-11-23T11:05:00Z", phase="Running")], "uid-1")
    assert found.trouble is not None
    assert found.trouble.reason == "OutOfMemory"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (state(), "Job docs-r1-a1: the Job ended without a result"),
        (state(failed="BackoffLimitExceeded: x"), "Job docs-r1-a1: BackoffLimitExceeded: x"),
    ],
)
def test_a_job_without_a_pod_tells_by_itself(one: JobState, said: str) -> None:
    """The pods may be gone."""
    error = failure_of_job(one)
    assert (error.reason, error.message) == ("TrainerFailed", said)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (403, 'jobs.batch "a" is forbidden: exceeded quota: q, requested: pods=1', "QuotaExceeded"),
        (403, 'jobs.batch is forbidden: User "system:x" cannot create resource', "ObjectsRefused"),
        (403, 'admission webhook "w" denied the request: no', "AdmissionDenied"),
        (400, 'admission webhook "w" denied the request: no', "AdmissionDenied"),
        (422, "spec.template: Invalid value", "AdmissionDenied"),
        (500, "etcdserver: request timed out", "ObjectsRefused"),
        (0, "no answer", "ObjectsRefused"),
        (403, "x" * 9999, "AdmissionDenied"),
    ],
)
def test_a_refused_object_is_told_by_its_cause(status: int, message: str, reason: str) -> None:
    """What a person has to change and what is tried again are different reasons."""
    error = failure_of_creation(status, message)
    assert error.reason == reason
    assert len(error.message) <= 500


def test_a_suspended_job_has_no_trouble() -> None:
    """What its last pod said when it was told to end is of no matter."""
    held = job() | {"spec": {"suspend": True}}
    state = read_job(held, [pod(**ended(75))], "uid-1")
    assert (state.suspended, state.active, state.trouble) == (True, True, None)
    over = job({"type": "Failed", "status": "True"}) | {"spec": {"suspend": True}}
    assert not read_job(over, [], "uid-1").suspended
