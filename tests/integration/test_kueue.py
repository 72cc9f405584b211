"""Kueue decides when a training starts: with the real controller of its release, on the real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.integration.trainings import GROUP, apply, condition, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.components import STORAGE_CLASS
from tests.sandbox.environment import Sandbox
from tests.sandbox.kueue import controller as kueue

Json = dict[str, Any]
QUEUE: Final = "kueue.x-k8s.io/queue-name"
KUEUE: Final = "/apis/kueue.x-k8s.io/v1beta2"
LEVEL: Final = "training-pool"
CLASS: Final = STORAGE_CLASS["metadata"]["name"]  # type: ignore[index]
CPU: Final[Json] = {"resources": {"requests": {"cpu": "1"}}}
QUOTA: Final = 1
LONG: Final[Json] = {"tasks": ["entities"], "job": CPU | {"journal": {"storageClassName": CLASS}}}
SHORT: Final[Json] = {"tasks": ["entities"], "job": CPU, "budget": {"maxModelCalls": 150}}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own with Kueue and room for one trainer: its webhooks see every Job."""
    running = Sandbox(tmp_path_factory.mktemp("kueue"))
    running.up(print)
    try:
        kueue.start(running.cluster, print)
        make_queue(running)
        yield running
    finally:
        running.down()


def make_queue(sandbox: Sandbox) -> None:
    """A cluster queue for one CPU, on nodes that bear a label."""
    node = sandbox.cluster.node
    sandbox.cluster.api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {LEVEL: "yes"}}})
    resources = {"name": "cpu", "nominalQuota": QUOTA}
    flavors = [{"name": LEVEL, "resources": [resources]}]
    for kind, spec in (
        ("ResourceFlavor", {"nodeLabels": {LEVEL: "yes"}}),
        (
            "ClusterQueue",
            {"namespaceSelector": {}, "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}]},
        ),
    ):
        make(sandbox, kind, LEVEL, spec)


def make(sandbox: Sandbox, kind: str, name: str, spec: Json, namespace: str = "") -> None:
    """`kubectl apply` of an object of Kueue's."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, "spec": spec}
    sandbox.cluster.kubectl("apply", "--filename=-", input=json.dumps(body))


@pytest.fixture
def team(sandbox: Sandbox, space: str) -> Iterator[str]:
    """A namespace with a queue named team; what is in it is gone after the test."""
    make(sandbox, "LocalQueue", "team", {"clusterQueue": LEVEL}, space)
    yield space
    sandbox.cluster.api.delete(f"{GROUP}/namespaces/{space}/domaintrainings")
    wait_for("no workload", lambda: not workloads(sandbox, space))


def train(sandbox: Sandbox, space: str, **spec: Any) -> None:
    """A DomainTraining with the label of the queue."""
    apply(sandbox, space, suspend=True, **spec)
    label(sandbox, space, "team")
    apply(sandbox, space, **spec)


def label(sandbox: Sandbox, space: str, queue: str) -> None:
    """`kubectl label` with a queue."""
    path = f"{GROUP}/namespaces/{space}/domaintrainings/docs"
    sandbox.cluster.api.patch(path, {"metadata": {"labels": {QUEUE: queue}}})


def hold(sandbox: Sandbox, policy: str) -> None:
    """Has Kueue evict all that runs (HoldAndDrain), or admit again (None)."""
    sandbox.cluster.api.patch(f"{KUEUE}/clusterqueues/{LEVEL}", {"spec": {"stopPolicy": policy}})


def workloads(sandbox: Sandbox, space: str) -> list[Json]:
    """Kueue's objects."""
    return sandbox.cluster.api.items(f"{KUEUE}/namespaces/{space}/workloads")


def job(sandbox: Sandbox, space: str, name: str = "docs-r1-a1") -> Json:
    """A Job."""
    return sandbox.cluster.api.get(f"/apis/batch/v1/namespaces/{space}/jobs/{name}")


def pods(sandbox: Sandbox, space: str) -> list[Json]:
    """Pods of the namespace."""
    return sandbox.cluster.api.items(f"/api/v1/namespaces/{space}/pods")


def reason(sandbox: Sandbox, space: str) -> str:
    """Reason of Ready."""
    return condition(sandbox, space, "Ready")[1]


def calls(sandbox: Sandbox, space: str) -> int:
    """Model calls as status counts them."""
    found: int = (status(sandbox, space).get("progress") or {}).get("modelCalls", 0)
    return found


def test_kueue_admits_and_the_next_one_waits_for_its_quota(sandbox: Sandbox, team: str) -> None:
    """The Job is made suspended; Kueue's node labels are on its pod; status says who lets the other go."""
    other = f"{team[:50]}-other"
    sandbox.cluster.kubectl("create", "namespace", other)
    body = sandbox.cluster.api.get(f"/api/v1/namespaces/{team}/configmaps/samples")
    metadata = {"name": "samples"}
    sandbox.cluster.api.create(
        f"/api/v1/namespaces/{other}/configmaps", {"metadata": metadata, "data": body["data"]}
    )
    make(sandbox, "LocalQueue", "team", {"clusterQueue": LEVEL}, other)
    train(sandbox, team, **SHORT)
    wait_for("Training", lambda: reason(sandbox, team) == "Training", seconds=60)
    train(sandbox, other, **SHORT)
    wait_for("Queued", lambda: "Kueue's queue team" in condition(sandbox, other, "Ready")[2])
    assert condition(sandbox, other, "Reconciling")[:2] == ("True", "Queued")
    assert (job(sandbox, other)["spec"]["suspend"], pods(sandbox, other)) == (True, [])
    (held,) = workloads(sandbox, other)
    assert held["metadata"]["ownerReferences"][0]["name"] == "docs-r1-a1"
    let_go = job(sandbox, team)["spec"]
    assert (let_go["suspend"], let_go["template"]["spec"]["nodeSelector"]) == (False, {LEVEL: "yes"})
    assert ready(sandbox, team)["run"]["attempts"] == 1
    assert ready(sandbox, other)["run"]["attempts"] == 1
    sandbox.cluster.api.delete(f"{GROUP}/namespaces/{other}/domaintrainings/docs")


def test_an_eviction_is_no_failure_and_the_same_attempt_goes_on(sandbox: Sandbox, team: str) -> None:
    """Back to Queued without a pod, five times; the journal answers what was asked before, to the end."""
    train(sandbox, team, **LONG)
    for wanted in range(10, 60, 10):
        wait_for("calls", lambda wanted=wanted: calls(sandbox, team) > wanted, seconds=60)  # type: ignore[misc]
        hold(sandbox, "HoldAndDrain")
        wait_for("Queued", lambda: reason(sandbox, team) == "Queued")
        wait_for("no pod", lambda: not pods(sandbox, team))
        assert job(sandbox, team)["spec"]["suspend"] is True
        assert condition(sandbox, team, "Stalled") == ("", "", "")
        percent = status(sandbox, team)["progress"]["percent"]
        hold(sandbox, "None")
        wait_for("Training", lambda: reason(sandbox, team) == "Training", seconds=60)
        assert status(sandbox, team)["progress"]["percent"] >= percent
    ended = ready(sandbox, team)
    assert (ended["run"]["number"], ended["run"]["attempts"]) == (1, 1)
    assert jobs(sandbox, team) == ["docs-r1-a1"]
    assert job(sandbox, team)["status"].get("failed", 0) == 0
    assert ended["run"]["journal"] == "the model's answers are kept in claim docs-journal"


def test_spec_suspend_takes_the_job_out_of_the_queue(sandbox: Sandbox, team: str) -> None:
    """And `false` lines up anew, as the next attempt."""
    hold(sandbox, "Hold")
    train(sandbox, team, **SHORT)
    wait_for("Queued", lambda: reason(sandbox, team) == "Queued")
    apply(sandbox, team, suspend=True, **SHORT)
    wait_for("Suspended", lambda: reason(sandbox, team) == "Suspended")
    wait_for("no workload", lambda: not workloads(sandbox, team))
    assert jobs(sandbox, team) == []
    apply(sandbox, team, **SHORT)
    wait_for("Queued", lambda: reason(sandbox, team) == "Queued")
    wait_for("a workload", lambda: workloads(sandbox, team))
    assert jobs(sandbox, team) == ["docs-r1-a2"]
    hold(sandbox, "None")
    assert ready(sandbox, team)["run"]["attempts"] == 2


def test_a_resource_that_is_deleted_while_queued_leaves_nothing(sandbox: Sandbox, team: str) -> None:
    """Neither Job nor Workload; the namespace goes."""
    hold(sandbox, "Hold")
    train(sandbox, team, **SHORT)
    wait_for("a workload", lambda: workloads(sandbox, team))
    sandbox.cluster.api.delete(f"{GROUP}/namespaces/{team}/domaintrainings/docs")
    wait_for("no Job", lambda: not jobs(sandbox, team))
    wait_for("no workload", lambda: not workloads(sandbox, team))
    hold(sandbox, "None")
