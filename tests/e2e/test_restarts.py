"""A run goes on where it was when its pod is evicted and the node's own services are started anew."""

from __future__ import annotations

from typing import Any

from tests.e2e.product import Product, make_writable
from tests.e2e.runs import FinishedRun, finish_demo, running_trainer, start_demo, trainer_pods
from tests.integration.waiting import wait_for
from tests.sandbox.environment import NAMESPACE

Json = dict[str, Any]
CLASS = "by-hand"


def test_half_of_a_run_is_not_lost(product: Product, space: str, demo: FinishedRun) -> None:
    """Evicted by the API, kubelet and containerd restarted at half: at most 10 % of the calls come twice.

    With a journal on a volume. The result is the undisturbed run's, byte for byte.
    """
    product.cluster.api.create("/api/v1/persistentvolumes", volume(product, space))
    before = product.calls()
    start_demo(product, space, {"journal": {"storageClassName": CLASS, "storage": "10Mi"}})
    wait_for("half of the calls", lambda: product.calls() - before >= demo.calls / 2, 180)
    evicted = evict(product, space)
    product.cluster.restart_services()
    after = finish_demo(product, space, before)
    print(f"calls: {demo.calls} undisturbed, {after.calls} with eviction and restarts at half")
    assert after.calls <= demo.calls * 1.1
    assert after.answers == demo.answers
    assert after.status["metrics"] == demo.status["metrics"]
    names = {pod["metadata"]["name"] for pod in trainer_pods(product, space)}
    assert names - {evicted}, "another pod has taken over"
    assert after.status["run"]["number"] == 1


def test_the_operator_runs_through_a_restart_of_the_nodes_services(product: Product) -> None:
    """The same container as before, and none that was started again."""
    before = containers_of_the_operator(product)
    product.cluster.restart_services()
    wait_for("the node is ready", product.cluster.node_is_ready)
    assert containers_of_the_operator(product) == before


def containers_of_the_operator(product: Product) -> list[tuple[str, int]]:
    """Ids and numbers of restarts of its containers."""
    pods = product.cluster.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
    states = [state for pod in pods for state in pod["status"]["containerStatuses"]]
    assert states
    return [(state["containerID"], state["restartCount"]) for state in states]


def evict(product: Product, space: str) -> str:
    """Evicts the trainer as `kubectl drain` does; gives the pod's name."""
    pod = wait_for("a running trainer", lambda: running_trainer(product, space))
    name = str(pod["metadata"]["name"])
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space}}
    product.cluster.api.create(f"/api/v1/namespaces/{space}/pods/{name}/eviction", body)
    return name


def volume(product: Product, space: str) -> Json:
    """A volume of this node for the journal's claim, and for no other."""
    folder = product.cluster.state / "volumes" / space
    make_writable(folder)
    claim = {"namespace": space, "name": "tech-docs-journal"}
    return {
        "metadata": {"name": space},
        "spec": {
            "storageClassName": CLASS,
            "capacity": {"storage": "10Mi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": claim,
        },
    }
