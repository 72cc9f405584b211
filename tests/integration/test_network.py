"""The policy of a run, as a real API server takes it; that it is enforced shows on a node with a network."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.integration.trainings import apply, ready
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]


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
    pods = api.get(f"/api/v1/namespaces/{space}/pods?labelSelector={selector}")["items"]
    assert [one["metadata"]["labels"]["batch.kubernetes.io/job-name"] for one in pods] == ["docs-r1-a1"]
    assert allowed(policy) >= {*api_server(sandbox), ("127.0.0.1/32", port_of(sandbox.model_server))}
    assert not any(cidr.endswith("/0") for cidr, _ in allowed(policy))
    ready(sandbox, space)
    wait_for("its end", lambda: not api.items(policies))


def allowed(policy: Json) -> set[tuple[str, int]]:
    """Networks and TCP ports that it lets out to."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
        if port["protocol"] == "TCP"
    }


def api_server(sandbox: Sandbox) -> set[tuple[str, int]]:
    """Where the API server says that it is, behind its Service."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    found = sandbox.cluster.api.get(path)
    return {
        (f"{address}/32", port["port"])
        for endpoint in found["endpoints"]
        for address in endpoint["addresses"]
        for port in found["ports"]
    }


def port_of(url: str) -> int:
    """The port of a URL that names one."""
    port = urlsplit(url).port
    assert port is not None
    return port
