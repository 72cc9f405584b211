"""Pods of a Job that are not let in are told, on a real API server: by a quota, or for what they ask."""

from __future__ import annotations

from tests.integration.trainings import allow_pods, apply, condition, jobs, ready
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox


def test_a_quota_of_pods_is_told_and_waited_out(sandbox: Sandbox, space: str) -> None:
    """The Job is there and has no pod; only its events tell why. Raised, the run goes on by itself."""
    allow_pods(sandbox, space, "0")
    apply(sandbox, space, tasks=["entities"])
    wait_for("told", lambda: condition(sandbox, space, "Reconciling")[1] == "QuotaExceeded", seconds=60)
    message = condition(sandbox, space, "Reconciling")[2]
    assert "its pod is forbidden: exceeded quota: team" in message
    assert "Raise the quota" in message
    allow_pods(sandbox, space, "5")
    assert ready(sandbox, space)["run"]["attempts"] == 1


def test_a_pod_that_is_lost_and_may_not_come_again_is_told(sandbox: Sandbox, space: str) -> None:
    """Though it ran before; the Job makes another as soon as it may."""
    apply(sandbox, space, tasks=["entities"])
    wait_for("Training", lambda: condition(sandbox, space, "Ready")[1] == "Training", seconds=60)
    allow_pods(sandbox, space, "0")
    pods = f"/api/v1/namespaces/{space}/pods"
    for pod in sandbox.cluster.api.items(pods):
        sandbox.cluster.api.delete(f"{pods}/{pod['metadata']['name']}")
    wait_for("told", lambda: condition(sandbox, space, "Reconciling")[1] == "QuotaExceeded", seconds=60)
    assert "its pod is forbidden: exceeded quota: team" in condition(sandbox, space, "Reconciling")[2]
    allow_pods(sandbox, space, "5")
    assert ready(sandbox, space)["run"]["attempts"] == 1


def test_a_pod_that_asks_for_too_much_is_told_and_a_changed_one_goes(sandbox: Sandbox, space: str) -> None:
    """As with any policy of pods: told at once, and a changed spec.job is taken up at once."""
    limits = [{"type": "Container", "max": {"memory": "2Gi"}}]
    body = {"metadata": {"name": "team"}, "spec": {"limits": limits}}
    sandbox.cluster.api.create(f"/api/v1/namespaces/{space}/limitranges", body)
    asked = {"resources": {"limits": {"memory": "4Gi"}}}
    apply(sandbox, space, tasks=["entities"], job=asked)
    wait_for("told", lambda: condition(sandbox, space, "Reconciling")[1] == "ObjectsRefused", seconds=60)
    message = condition(sandbox, space, "Reconciling")[2]
    assert "its pod is forbidden: maximum memory usage per Container is 2Gi" in message
    assert jobs(sandbox, space) == ["docs-r1-a1"]
    apply(sandbox, space, tasks=["entities"], job={"resources": {"limits": {"memory": "2Gi"}}})
    assert ready(sandbox, space)["run"]["job"] == "docs-r1-a2"
