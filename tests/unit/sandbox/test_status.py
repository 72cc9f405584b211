"""The status that a simulated node writes is a kubelet's."""

from __future__ import annotations

import pytest

from tests.sandbox.node.status import (
    ContainerView,
    PodView,
    Running,
    State,
    Terminated,
    Verdict,
    Waiting,
    render,
    restarts,
)

NOW, EARLIER = "2026-11-23T10:00:01Z", "2026-11-23T10:00:00Z"
RUNNING = Running(EARLIER)
GOOD = Terminated(0, "Completed", EARLIER, NOW)
BAD = Terminated(3, "Error", EARLIER, NOW, message="boom")
CRASHING = Waiting("CrashLoopBackOff")


def view(*states: State, policy: str = "Never", last: Terminated | None = None) -> PodView:
    containers = [ContainerView(f"c{n}", "image", state, last) for n, state in enumerate(states)]
    return PodView(containers, restart_policy=policy, start_time=EARLIER)


@pytest.mark.parametrize(
    ("pod", "phase"),
    [
        (view(Waiting("ContainerCreating")), "Pending"),
        (view(RUNNING, Waiting("ImagePullBackOff")), "Pending"),
        (view(RUNNING), "Running"),
        (view(GOOD, RUNNING), "Running"),
        (view(GOOD, GOOD), "Succeeded"),
        (view(GOOD, BAD), "Failed"),
        (view(GOOD, policy="Always"), "Running"),
        (view(BAD, policy="OnFailure"), "Running"),
        (view(GOOD, policy="OnFailure"), "Succeeded"),
        (view(CRASHING, policy="Always", last=BAD), "Running"),
    ],
)
def test_phase_follows_from_states_and_restart_policy(pod: PodView, phase: str) -> None:
    assert pod.phase == phase


def test_a_deleted_pod_ends_whatever_its_restart_policy() -> None:
    pod = view(BAD, policy="Always")
    pod.deleting = True
    assert (pod.phase, pod.over) == ("Failed", True)


def test_the_nodes_own_verdict_waits_for_the_processes() -> None:
    pod = view(RUNNING)
    pod.verdict = Verdict("DeadlineExceeded", "too long")
    assert pod.phase == "Running"
    pod.containers[0].state = BAD
    status = render(pod, NOW)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "DeadlineExceeded",
        "too long",
    )


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_restart_policy(policy: str, code: int, again: bool) -> None:  # noqa: FBT001
    assert restarts(policy, code) is again


def test_an_ended_container_shows_code_reason_message_and_times() -> None:
    [container] = render(view(BAD), NOW)["containerStatuses"]
    assert container["state"] == {
        "terminated": {
            "exitCode": 3,
            "reason": "Error",
            "message": "boom",
            "startedAt": EARLIER,
            "finishedAt": NOW,
        }
    }
    assert (container["ready"], container["restartCount"]) == (False, 0)


def test_a_pod_is_ready_only_while_all_its_probes_pass() -> None:
    pod = view(RUNNING, RUNNING)
    pod.containers[1].passes_probe = False
    ready = {item["type"]: item for item in render(pod, NOW)["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [c1]"
    pod.containers[1].passes_probe = True
    ready = {item["type"]: item for item in render(pod, NOW)["conditions"]}["Ready"]
    # null in a patch takes the old reason away
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)


def test_a_transition_time_moves_only_with_the_status() -> None:
    pod = view(RUNNING)
    pod.conditions = [
        {"type": "Ready", "status": "True", "lastTransitionTime": EARLIER},
        {"type": "ContainersReady", "status": "False", "lastTransitionTime": EARLIER},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": EARLIER},
    ]
    written = {item["type"]: item["lastTransitionTime"] for item in render(pod, NOW)["conditions"]}
    assert (written["Ready"], written["ContainersReady"]) == (EARLIER, NOW)
    assert "PodScheduled" not in written  # the scheduler's


def test_ended_pods_say_so_in_their_conditions() -> None:
    reasons = {item["type"]: item["reason"] for item in render(view(GOOD), NOW)["conditions"]}
    assert reasons["Ready"] == "PodCompleted"
    assert {item["reason"] for item in render(view(BAD), NOW)["conditions"]} == {"PodFailed", None}
