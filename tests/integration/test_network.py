"""The policy of a run, as a real API server takes it; that it is enforced shows on a node with a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from domaintraining.controller.network import DNS_PORTS, Destination, build_policy
from domaintraining.controller.observe import read_resource
from domaintraining.controller.parts import parts_of_run
from tests.bench_operator.stage import stage
from tests.integration.trainings import apply, ready
from tests.integration.waiting import wait_for
from tests.sandbox import kubeconfig
from tests.sandbox.cluster import Cluster
from tests.sandbox.environment import Sandbox
from tests.unit.controller.world import World

Json = dict[str, Any]


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SLICE: Json = {
    "metadata": {"name": "kubernetes"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["192.0.2.10"]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}


@pytest.fixture
def api_server_slice(sandbox: Sandbox) -> Iterator[None]:
    """Where the API server is, as one that does not listen on loopback writes it itself."""
    sandbox.cluster.api.create(SLICES, SLICE)
    yield
    sandbox.cluster.api.delete(f"{SLICES}/kubernetes")


@pytest.mark.usefixtures("api_server_slice")
def test_a_runs_pods_have_a_policy_as_long_as_the_run_goes(sandbox: Sandbox, space: str) -> None:
    """It selects them, lets nobody in, and lets them out to DNS, API server and model server alone."""
    api = sandbox.cluster.api
    policies = f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies"
    apply(sandbox, space, tasks=["entities"])
    wait_for("its pod", lambda: api.items(f"/api/v1/namespaces/{space}/pods"), seconds=60)
    (policy,) = api.items(policies)
    assert policy["metadata"]["name"] == "docs-r1"
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not policy["spec"].get("ingress")
    labels = policy["spec"]["podSelector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = api.items(f"/api/v1/namespaces/{space}/pods", labelSelector=selector)
    assert [one["metadata"]["labels"]["batch.kubernetes.io/job-name"] for one in pods] == ["docs-r1-a1"]
    wanted = {
        ("127.0.0.1/32", port_of(sandbox.model_server)),
        ("127.0.0.1/32", port_of(kubeconfig.read(sandbox.cluster.admin_kubeconfig).server)),
        ("192.0.2.10/32", 6443),
    }
    # the operator may have looked a moment before the slice was made: the policy is then made anew
    wait_for("all holes", lambda: [allowed(one) for one in api.items(policies)] == [wanted])
    ready(sandbox, space)
    wait_for("its end", lambda: not api.items(policies))


def test_the_policy_for_public_data_is_one_to_the_api_server(cluster: Cluster, namespace: str) -> None:
    """Its blocks and what is left out of them; it is not made."""
    resource = read_resource(World().resource)
    policy = build_policy(resource, parts_of_run(resource.name, 1), [], [Destination((), None, 443)])
    policy["metadata"] = {"name": "data"}
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    made = cluster.api.request("POST", path, policy, query={"dryRun": "All", "fieldValidation": "Strict"})
    assert [one["ipBlock"]["cidr"] for one in made["spec"]["egress"][-1]["to"]] == ["0.0.0.0/0", "2000::/3"]


def test_a_name_that_leads_to_this_machine_gets_no_request(cluster: Cluster, tmp_path: Path) -> None:
    """Though all endpoints are allowed, and the server there is the one that is named by its address."""
    with stage(cluster, tmp_path / "log", ALLOWED_ENDPOINTS="*") as here:
        endpoint = f"http://localhost:{port_of(here.server.url)}"
        here.create(1, model={"endpoint": endpoint})
        wait_for("Stalled", lambda: here.stalled("t0000")[0])
        reason, message = here.stalled("t0000")
        assert reason == "ModelNotAllowed"
        assert "this machine (loopback)" in message
        assert "MODEL_SERVERS" in message
        assert here.server.received == []


def allowed(policy: Json) -> set[tuple[str, int]]:
    """Networks and TCP ports that it lets out to, beside DNS."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
        if port["protocol"] == "TCP" and port["port"] not in DNS_PORTS
    }


def port_of(url: str) -> int:
    """The port of a URL that names one."""
    port = urlsplit(url).port
    assert port is not None
    return port
