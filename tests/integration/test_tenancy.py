"""What a namespace may do with DomainTrainings, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.trainings import GROUP, apply, condition, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.api import ApiError
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]


def test_a_trainer_runs_under_the_account_that_is_named(sandbox: Sandbox, space: str) -> None:
    """It waits for the account, reports with its rights, and leaves it as it was."""
    core, rbac = f"/api/v1/namespaces/{space}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}"
    job = {"serviceAccountName": "trainer", "imagePullSecrets": [{"name": "registry"}]}
    apply(sandbox, space, tasks=["entities"], job=job)
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "ServiceAccountNotFound")
    sandbox.cluster.api.create(f"{core}/serviceaccounts", {"metadata": {"name": "trainer"}})
    pods = f"{core}/pods"
    (pod,) = wait_for("its pod", lambda: sandbox.cluster.api.items(pods), seconds=60)
    assert pod["spec"]["serviceAccountName"] == "trainer"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    (binding,) = sandbox.cluster.api.items(f"{rbac}/rolebindings")
    assert [one["name"] for one in binding["subjects"]] == ["trainer"]
    assert ready(sandbox, space)["run"]["attempts"] == 1
    wait_for("its rights are gone", lambda: not sandbox.cluster.api.items(f"{rbac}/rolebindings"))
    accounts = [one["metadata"]["name"] for one in sandbox.cluster.api.items(f"{core}/serviceaccounts")]
    assert sorted(accounts) == ["default", "trainer"]


def test_a_trainer_that_finds_no_node_goes_on_when_its_place_is_corrected(
    sandbox: Sandbox, space: str
) -> None:
    """The Job that can't run is replaced by the next attempt; nobody has to delete it."""
    apply(sandbox, space, tasks=["entities"], job={"nodeSelector": {"pool": "nowhere"}})
    wait_for("Unschedulable", lambda: condition(sandbox, space, "Trained")[1] == "Unschedulable", seconds=60)
    apply(sandbox, space, tasks=["entities"], job={"nodeSelector": None})
    assert ready(sandbox, space)["run"] | {"number": 1, "attempts": 2} == status(sandbox, space)["run"]


def test_a_quota_bounds_how_many_trainings_a_namespace_has(sandbox: Sandbox, space: str) -> None:
    """As for every other resource: the second one is refused, with the quota's name."""
    hard = {"count/domaintrainings.training.aegisrag.io": "1"}
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    sandbox.cluster.api.create(quotas, {"metadata": {"name": "trainings"}, "spec": {"hard": hard}})
    # a new kind is counted within half a minute; until then it is refused altogether
    wait_for("the count", lambda: sandbox.cluster.api.get(f"{quotas}/trainings")["status"].get("used"), 90)
    apply(sandbox, space, suspend=True)
    second = {"metadata": {"name": "second"}, "spec": {"dataset": {"configMap": {"name": "a", "key": "b"}}}}
    path = f"{GROUP}/namespaces/{space}/domaintrainings"
    kind = {"apiVersion": "training.aegisrag.io/v1alpha1", "kind": "DomainTraining"}
    with pytest.raises(ApiError, match="exceeded quota: trainings"):
        sandbox.cluster.api.request("POST", path, kind | second)
