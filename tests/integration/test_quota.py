"""A quota that lets no pod of a Job in is told, on a real API server, and waited out."""

from __future__ import annotations

from tests.integration.trainings import apply, condition, ready
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox


def test_a_quota_of_pods_is_told_and_waited_out(sandbox: Sandbox, space: str) -> None:
    """The Job is there and has no pod; only its events tell why. Raised, the run goes on by itself."""
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    body = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "0"}}}
    sandbox.cluster.api.create(quotas, body)
    wait_for("the quota", lambda: sandbox.cluster.api.get(f"{quotas}/team").get("status", {}).get("hard"))
    apply(sandbox, space, tasks=["entities"])
    wait_for("told", lambda: condition(sandbox, space, "Reconciling")[1] == "QuotaExceeded", seconds=60)
    message = condition(sandbox, space, "Reconciling")[2]
    assert "its pod is forbidden: exceeded quota: team" in message
    assert "Raise the quota" in message
    sandbox.cluster.api.patch(f"{quotas}/team", {"spec": {"hard": {"pods": "5"}}})
    assert ready(sandbox, space)["run"]["attempts"] == 1
