"""What Jobs and pods say is wrong, as one of our reasons. Pure; table tests show each case."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from domaintraining.api.names import LABEL_ATTEMPT, LABEL_QUEUE, LABEL_RUN
from domaintraining.api.reasons import Reason
from domaintraining.controller.jobs import CONTAINER
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import JobState, Object
from domaintraining.errors import DomainTrainingError

IMAGE_REASONS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
CONFIG_REASONS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
NEEDS_A_CHANGE: Final = 3
MAY_PASS: Final = 75
DENIALS: Final = ("is forbidden", "denied the request")
"""What a policy's no says; a webhook that does not answer says something else."""
PASSING: Final = ("error looking up", "status unknown for quota", "not yet ready to handle request")
"""Forbidden because something else is not there yet."""


def read_job(job: Object, pods: Sequence[Object], uid: str) -> JobState:
    """A Job and its pods as one state.

    Args:
        job: the Job as the API server holds it.
        pods: pods that bear its name as a label.
        uid: uid of the resource that should own it.
    """
    metadata = job["metadata"]
    status = job.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or [] if one.get("status") == "True"}
    failed, complete = conditions.get("Failed"), "Complete" in conditions
    words = f"{failed.get('reason', '')}: {failed.get('message', '')}"[:500] if failed else ""
    over = failed is not None or complete
    alive = [pod for pod in pods if _may_run(pod)]
    suspended = not over and bool((job.get("spec") or {}).get("suspend"))
    return JobState(
        name=metadata["name"],
        uid=metadata["uid"],
        run=number_of(job, LABEL_RUN) or 0,
        attempt=number_of(job, LABEL_ATTEMPT) or 0,
        owned=any(one.get("uid") == uid for one in metadata.get("ownerReferences") or []),
        active=failed is None and not complete and not metadata.get("deletionTimestamp"),
        failed=words,
        complete=complete,
        started=any((pod.get("status") or {}).get("phase") == "Running" for pod in pods),
        suspended=suspended,
        queue=str((metadata.get("labels") or {}).get(LABEL_QUEUE, "")),
        trouble=None if suspended else _trouble(pods, over=over),
        held_since=None if suspended or over else _held_since(job, alive),
        podless=not alive,
    )


def _may_run(pod: Object) -> bool:
    """Whether the pod runs or may come to; an evicted one stays there as Failed."""
    return (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")


def _held_since(job: Object, pods: Sequence[Object]) -> datetime | None:
    """Since when no pod runs: since the newest was made; without one, since the Job was let go or lost it.

    Args:
        job: the Job.
        pods: those that run or may come to.
    """
    status = job.get("status") or {}
    if any((pod.get("status") or {}).get("phase") != "Pending" for pod in pods):
        return None
    if pods:
        return _last(pod["metadata"].get("creationTimestamp") for pod in pods)
    if status.get("active"):
        return None  # the Job controller has not counted the pod's end: its status is from before
    # each start and end of a pod changes the Job's status, and a refused pod does not
    fields = job["metadata"].get("managedFields") or []
    changes = [one.get("time") for one in fields if one.get("subresource") == "status"]
    return _last([status.get("startTime"), *changes])


def _last(times: Iterable[object]) -> datetime | None:
    """The last of times as the API server writes them; None where there is none."""
    return max((datetime.fromisoformat(str(one)) for one in times if one), default=None)


def _trouble(pods: Sequence[Object], *, over: bool) -> DomainTrainingError | None:
    """What the newest pods say; one that was lost is no trouble once another took its place."""
    newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    for place, pod in enumerate(newest):
        found = diagnose_pod(pod, over=over)
        if found is not None and (over or place == 0 or found.reason is not Reason.POD_LOST):
            return found
    return None


def diagnose_pod(pod: Object, *, over: bool) -> DomainTrainingError | None:
    """What a pod's status says is wrong; None: nothing.

    Args:
        pod: the pod.
        over: whether its Job is; while it is not, a crash is the Job's own to repeat.
    """
    status = pod.get("status") or {}
    return _lost(status) or _ended(status, over=over) or _held_up(status) or _unscheduled(status)


def _lost(status: dict[str, Any]) -> DomainTrainingError | None:
    for one in status.get("conditions") or []:
        if one.get("type") == "DisruptionTarget" and one.get("status") == "True":
            return DomainTrainingError(Reason.POD_LOST, f"the pod was lost: {_words(one)}")
    if status.get("reason") in ("Evicted", "NodeLost", "Shutdown"):
        return DomainTrainingError(Reason.POD_LOST, f"the pod was lost: {_words(status)}")
    return None


def _ended(status: dict[str, Any], *, over: bool) -> DomainTrainingError | None:
    state = _container(status).get("state") or {}
    ended = state.get("terminated")
    if not ended or ended.get("exitCode") == 0:
        return None
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        return DomainTrainingError(
            Reason.OUT_OF_MEMORY,
            "the trainer used more memory than spec.job.resources.limits.memory allows (OOMKilled)",
        )
    if code == MAY_PASS:
        return DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "the trainer gave up waiting (exit 75)")
    if not over and code != NEEDS_A_CHANGE:
        return None
    return DomainTrainingError(Reason.TRAINER_FAILED, f"the trainer ended with exit code {code}")


def _held_up(status: dict[str, Any]) -> DomainTrainingError | None:
    waiting = (_container(status).get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in IMAGE_REASONS:
        return DomainTrainingError(Reason.IMAGE_PULL_FAILED, _words(waiting))
    if waiting.get("reason") in CONFIG_REASONS:
        return DomainTrainingError(Reason.TRAINER_FAILED, _words(waiting))
    return None


def _unscheduled(status: dict[str, Any]) -> DomainTrainingError | None:
    for one in status.get("conditions") or []:
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return DomainTrainingError(Reason.UNSCHEDULABLE, _words(one))
    return None


def _container(status: dict[str, Any]) -> dict[str, Any]:
    found = [one for one in status.get("containerStatuses") or [] if one.get("name") == CONTAINER]
    return found[0] if found else {}


def _words(values: dict[str, Any]) -> str:
    return f"{values.get('reason', '')}: {values.get('message', '')}"[:500]


def refused_pods(warnings: Sequence[Object], since: datetime, *, lasting: bool) -> DomainTrainingError | None:
    """Why a Job that should have a pod has none, in the Job controller's words; None: they don't say.

    Args:
        warnings: events of events.k8s.io/v1 about the Job.
        since: when it lost its pod, or was to get its first; events of before are about other pods.
        lasting: whether it is without one for so long that a policy's no is taken for its last word. The
            Job controller tries again by itself, so until then everything may pass.
    """
    told = [
        (at, str(one.get("note", "")))
        for one in warnings
        if one.get("reason") == "FailedCreate" and (at := _time_of(one)) is not None and at >= since
    ]
    if not told:
        return None
    # each try has a pod name of its own, and the message should stay what it is
    message = re.sub(r'pods "[^"]*"', "its pod", max(told)[1])
    denied = any(one in message for one in DENIALS) and not any(one in message for one in PASSING)
    return failure_of_creation(403 if lasting and denied else 500, message)


def _time_of(event: Object) -> datetime | None:
    """When it was seen last."""
    series = event.get("series") or {}
    return _last(
        [series.get("lastObservedTime") or event.get("deprecatedLastTimestamp") or event.get("eventTime")]
    )


def failure_of_job(job: JobState) -> DomainTrainingError:
    """Why an attempt ended without a report of its own."""
    if job.trouble is not None:
        return job.trouble
    if job.held_since is not None:
        return DomainTrainingError(
            Reason.UNSCHEDULABLE, f"Job {job.name} had no pod that runs; `kubectl describe` of it says why"
        )
    words = job.failed or "the Job ended without a result"
    return DomainTrainingError(Reason.TRAINER_FAILED, f"Job {job.name}: {words}")


def failure_of_creation(status: int, message: str) -> DomainTrainingError:
    """Why the API server refused an object of a run, from its code and words."""
    if "exceeded quota" in message:
        return DomainTrainingError(Reason.QUOTA_EXCEEDED, message[:500])
    if status == 403 and "is forbidden: User" in message:
        return DomainTrainingError(Reason.OBJECTS_REFUSED, message[:500])
    if status in (400, 403, 422):
        return DomainTrainingError(Reason.ADMISSION_DENIED, message[:500])
    return DomainTrainingError(Reason.OBJECTS_REFUSED, message[:500])
