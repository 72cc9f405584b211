"""The status of a pod as a kubelet writes it: pure functions from what its containers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
POD_ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Waiting:
    """Not started yet, or to be started again."""

    reason: str
    message: str = ""

    def render(self) -> Json:
        return {"waiting": _without_empty(reason=self.reason, message=self.message)}


@dataclass(frozen=True)
class Running:
    """Its main process runs."""

    started_at: str

    def render(self) -> Json:
        return {"running": {"startedAt": self.started_at}}


@dataclass(frozen=True)
class Terminated:
    """Its main process has ended; exit codes above 128 are signals plus 128."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""
    container_id: str = ""

    def render(self) -> Json:
        return {
            "terminated": _without_empty(
                exitCode=self.exit_code,
                reason=self.reason,
                message=self.message,
                startedAt=self.started_at,
                finishedAt=self.finished_at,
                containerID=self.container_id,
            )
        }


State = Waiting | Running | Terminated
CREATING = Waiting("ContainerCreating")


@dataclass
class ContainerView:
    """What is known of one container, in the words of its status."""

    name: str
    image: str
    state: State = CREATING
    last: Terminated | None = None
    restarts: int = 0
    passes_probe: bool = True
    container_id: str = ""

    @property
    def ready(self) -> bool:
        """It runs, and its readiness probe (if it has one) has passed."""
        return isinstance(self.state, Running) and self.passes_probe

    def render(self) -> Json:
        """The entry of status.containerStatuses."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "containerID": self.container_id,
            "ready": self.ready,
            "started": isinstance(self.state, Running),
            "restartCount": self.restarts,
            "state": self.state.render(),
            "lastState": self.last.render() if self.last else {},
        }


@dataclass(frozen=True)
class Verdict:
    """An end that the node itself decides, such as DeadlineExceeded."""

    reason: str
    message: str


@dataclass
class PodView:
    """All that a pod's status is made of."""

    containers: list[ContainerView]
    restart_policy: str = "Always"
    start_time: str = ""
    deleting: bool = False
    verdict: Verdict | None = None
    conditions: Sequence[Json] = field(default_factory=tuple)

    @property
    def over(self) -> bool:
        """No container runs and none will be started again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed, by the kubelet's rules."""
        if self.verdict and not any(isinstance(item.state, Running) for item in self.containers):
            return "Failed"
        codes = [item.state.exit_code for item in self.containers if isinstance(item.state, Terminated)]
        if len(codes) < len(self.containers):
            fresh = any(isinstance(item.state, Waiting) and not item.last for item in self.containers)
            return "Pending" if fresh else "Running"
        if self.deleting or self.restart_policy == "Never":
            return "Failed" if any(codes) else "Succeeded"
        return "Running" if self.restart_policy == "Always" or any(codes) else "Succeeded"


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def render(pod: PodView, now: str) -> Json:
    """A strategic merge patch of all that the node owns in the status."""
    status: Json = {
        "phase": pod.phase,
        "hostIP": POD_ADDRESS,
        "hostIPs": [{"ip": POD_ADDRESS}],
        "podIP": POD_ADDRESS,
        "podIPs": [{"ip": POD_ADDRESS}],
        "startTime": pod.start_time,
        "conditions": conditions(pod, now),
        "containerStatuses": [item.render() for item in pod.containers],
    }
    if pod.verdict:
        status |= {"reason": pod.verdict.reason, "message": pod.verdict.message}
    return status


def conditions(pod: PodView, now: str) -> list[Json]:
    """The node's conditions; a transition time moves only with the status."""
    unready = [item.name for item in pod.containers if not item.ready]
    reason = "PodCompleted" if pod.phase == "Succeeded" else "PodFailed" if pod.phase == "Failed" else ""
    message = ""
    if unready and not reason:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    wanted = {
        "PodReadyToStartContainers": (not pod.over, "", ""),
        "Initialized": (True, reason if reason == "PodCompleted" else "", ""),
        "Ready": (not unready, reason, message),
        "ContainersReady": (not unready, reason, message),
    }
    before = {item["type"]: item for item in pod.conditions}
    return [_condition(kind, wanted[kind], before.get(kind), now) for kind in wanted]


def _condition(kind: str, told: tuple[bool, str, str], before: Json | None, now: str) -> Json:
    holds, reason, message = told
    status = "True" if holds else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    # null takes away what an earlier patch said
    words = {"reason": reason or None, "message": message or None}
    return {"type": kind, "status": status, "lastTransitionTime": since, **words}


def timestamp(moment: datetime | None = None) -> str:
    """A moment (now, unless given) as the API writes it: UTC, whole seconds."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_empty(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value != ""}
