"""Nothing reaches a trainer, and a trainer reaches what its NetworkPolicy names, and nothing else.

The network of this node (the bridge of containernetworking-plugins) does NOT enforce NetworkPolicies. What is
shown is that the policy is there before the trainer, that all a trainer did in a whole run is within it, that
a trainer listens on nothing, and what this node does enforce: no pod gets out of the machine.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from domaintraining.api.reasons import Reason
from tests.e2e import images
from tests.e2e.node import network
from tests.e2e.node.sockets import listening
from tests.e2e.policies import Peer, allows_egress, selects
from tests.e2e.product import ENDPOINT, MODEL, Product, restricted_container
from tests.e2e.runs import RUN_SECONDS, container_id, running_trainer, trainer_pods
from tests.integration.trainings import apply, condition, ready
from tests.integration.waiting import wait_for

Json = dict[str, Any]
POLICIES: Final = "/apis/networking.k8s.io/v1/namespaces"
NAME: Final = "docs"
PORTS: Final = (22, 80, 443, 8080, 8888, 11434)
# Each answers with one line: connected, or why not.
CONNECT: Final = """
import json, socket, sys
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), 3).close()
        print(json.dumps([host, port, "connected"]))
    except OSError as error:
        print(json.dumps([host, port, type(error).__name__ + ": " + str(error)]))
"""
OUTSIDE: Final = (("1.1.1.1", 443), ("169.254.169.254", 80), ("192.0.2.1", 80))


def test_a_trainer_stays_within_its_policy_and_serves_nobody(product: Product, space: str) -> None:
    """All that its pod sent in a run, as this machine's packet filter has noted it, its policy allows."""
    print(
        f"\n  NOT enforced here: NetworkPolicies. The bridge of {product.cluster.node} takes them and does"
        " nothing;\n  what a trainer did is compared with its policy instead."
    )
    apply(product, space, tasks=["entities"])
    pod = wait_for("a trainer", lambda: running_trainer(product, space, NAME), RUN_SECONDS)
    (policy,) = policies_of(product, pod)
    assert policy["metadata"]["creationTimestamp"] <= pod["metadata"]["creationTimestamp"]
    assert selects(policy, pod["metadata"]["labels"], "Egress")
    assert selects(policy, pod["metadata"]["labels"], "Ingress")
    assert not policy["spec"].get("ingress"), "nothing is let in"
    assert listening(product.cluster.runtime.pid_of(container_id(pod))) == []
    tried = connections(product, space, [(pod["status"]["podIP"], port) for port in PORTS])
    assert {said for _, said in tried} <= {"ConnectionRefusedError: [Errno 111] Connection refused"}
    assert ready(product, space)["run"]["attempts"] == 1
    (only,) = trainer_pods(product, space, NAME)
    flows = {flow for flow in network.flows() if flow.source == only["status"]["podIP"]}
    print("  it reached:", *sorted(f"{flow.target}:{flow.port}/{flow.protocol}" for flow in flows))
    assert {flow.port for flow in flows} == {53, network.API_PORT, 11434}
    for flow in flows:
        assert allows_egress([policy], peer_of(product, flow.target), flow.protocol, flow.port), flow


def test_no_pod_gets_out_of_the_machine(product: Product, space: str) -> None:
    """Neither to the world nor to the machine's other addresses; this the node does enforce."""
    machine = [(address, 22) for address in network.machine_addresses()]
    tried = connections(product, space, [*OUTSIDE, *machine])
    assert len(tried) == len(OUTSIDE) + len(machine)
    assert {said for _, said in tried} == {"OSError: [Errno 113] No route to host"}


def test_a_pod_reaches_the_model_server_by_its_name(product: Product, space: str) -> None:
    """So what is refused above is refused by rules, not by a network that does not work."""
    host, port = ENDPOINT.removeprefix("http://").split(":")
    assert connections(product, space, [(host, int(port))]) == [(host, "connected")]


@pytest.mark.usefixtures("product")
def test_no_other_pod_of_the_session_has_tried_to_get_out() -> None:
    """Operator, trainers and model server stay within the cluster by themselves."""
    inside = (network.NODE_ADDRESS, network.PODS.rpartition(".")[0] + ".")
    tried = {flow for flow in network.flows() if not flow.target.startswith(inside)}
    addresses = {address for address, _ in OUTSIDE} | set(network.machine_addresses())
    assert {flow.target for flow in tried} <= addresses


def test_a_name_that_leads_to_the_api_server_gets_no_request(product: Product, space: str) -> None:
    """Its address is checked after the list of names has let it pass: stalled, with what to do."""
    leads = {"type": "ExternalName", "externalName": "kubernetes.default.svc.cluster.local"}
    body = {"metadata": {"name": "ollama-astray"}, "spec": leads}
    product.cluster.api.create(f"/api/v1/namespaces/{space}/services", body)
    apply(product, space, model={"name": MODEL, "endpoint": f"http://ollama-astray.{space}:443"})
    wait_for("Stalled", lambda: condition(product, space, "Stalled")[1] == Reason.MODEL_NOT_ALLOWED)
    assert "API server" in condition(product, space, "Stalled")[2]
    assert trainer_pods(product, space, NAME) == []


def policies_of(product: Product, pod: Json) -> list[Json]:
    """The policies of a pod's namespace that restrict it in some direction."""
    found = product.cluster.api.items(f"{POLICIES}/{pod['metadata']['namespace']}/networkpolicies")
    labels = pod["metadata"]["labels"]
    return [one for one in found if selects(one, labels, "Egress") or selects(one, labels, "Ingress")]


def peer_of(product: Product, address: str) -> Peer:
    """Whose address this is now."""
    for pod in product.cluster.api.items("/api/v1/pods"):
        if pod["status"].get("podIP") == address:
            namespace = pod["metadata"]["namespace"]
            labels = product.cluster.api.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
            return Peer(address, namespace, labels, pod["metadata"].get("labels", {}))
    return Peer(address)


def connections(product: Product, space: str, targets: list[tuple[str, int]]) -> list[tuple[str, str]]:
    """What a pod of this namespace gets that connects to each: the host and `connected`, or why not."""
    container = restricted_container(
        name="main", image=images.TRAINER, command=["python", "-c", CONNECT, json.dumps(targets)]
    )
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    pods = f"/api/v1/namespaces/{space}/pods"
    name = product.cluster.api.create(pods, {"metadata": {"generateName": "try-"}, "spec": spec})["metadata"]
    path = f"{pods}/{name['name']}"
    wait_for("its end", lambda: product.cluster.api.get(path)["status"]["phase"] == "Succeeded", 60)
    said = [json.loads(line) for line in product.cluster.api.text(f"{path}/log").splitlines()]
    return [(host, words) for host, _, words in said]
