"""A run's pods are reached by nobody and reach what the run needs, by the addresses that names have now."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.names import LABEL_MANAGED_BY, LABEL_NAME, LABEL_RUN
from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.api.status import ModelStatus
from domaintraining.controller.apiserver import ApiServer, Peer
from domaintraining.controller.cluster import NETWORK_POLICY, ClusterError, JsonObject
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.network import Network, resolvers, service_namespace
from domaintraining.controller.objects import Kind, carries
from domaintraining.controller.observe import read_resource
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard
from domaintraining.proxy import Proxy

from .world import BARE, BETTER, World

NAMES = {
    "ollama.ollama": ["10.96.7.7"],
    "gpu.models.example": ["203.0.113.9", "2001:db8::9"],
    "proxy.example": ["203.0.113.80"],
    "192.0.2.4": ["192.0.2.4"],
    "rebound.example": ["169.254.169.254"],
}
ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
SLICE: JsonObject = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"namespace": "default", "name": "kubernetes"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["172.18.0.3"]}, {"addresses": ["172.18.0.2"]}],
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
}


def found(host: str, _port: int, /) -> list[str]:
    """The addresses of a name."""
    if host not in NAMES:
        raise OSError(-2, "Name or service not known")
    return NAMES[host]


def policy(folder: Path, *endpoints: str, **settings: Any) -> JsonObject | None:
    """The policy of a run that asks these servers."""
    (folder / "resolv.conf").write_text("search team.svc\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\n")
    first, *second = [ModelStatus(name="m", endpoint=one, source="spec") for one in endpoints]
    run = Run.model_validate(
        {
            **BARE,
            "data": {"file": "f", "source": "s"},
            "model": first,
            "prompt_model": second[0] if second else None,
        }
    )
    resource = read_resource(World().resource)
    given = Settings(trainer_image="i", **settings)
    api_server = ApiServer(MemoryCluster(SLICE), ENVIRONMENT, given.api_server_cidrs)
    network = Network(given, api_server, Guard(look_up=found), folder / "resolv.conf")
    return asyncio.run(network.policy(resource, run))


def egress(body: JsonObject | None) -> list[tuple[list[str], list[str]]]:
    """Where to and at which ports, in few words, without the rule for DNS."""
    assert body is not None

    def to(one: JsonObject) -> str:
        selected = one.get("namespaceSelector", {}).get("matchLabels", {})
        return str(one["ipBlock"]["cidr"] if "ipBlock" in one else selected["kubernetes.io/metadata.name"])

    def port(one: JsonObject) -> str:
        return f"{one['protocol']} {one.get('port', 'all')}"

    return [
        ([to(peer) for peer in rule["to"]], [port(one) for one in rule["ports"]])
        for rule in body["spec"]["egress"]
    ]


def test_nobody_reaches_the_pods_and_they_reach_dns_api_server_and_model_server(tmp_path: Path) -> None:
    """The API server by its Service's address and its own; a Service's pods at whatever port they have."""
    body = policy(tmp_path, "http://ollama.ollama:11434")
    assert body is not None
    assert body["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in body["spec"]
    dns, *rest = egress(body)
    assert dns == (
        ["kube-system", "openshift-dns", "10.96.0.10/32", "fe80::1/128"],
        ["UDP 53", "TCP 53", "UDP 5353", "TCP 5353"],
    )
    assert rest == [
        (["10.96.0.1/32"], ["TCP 443"]),
        (["172.18.0.2/32", "172.18.0.3/32"], ["TCP 6443"]),
        (["10.96.7.7/32"], ["TCP 11434"]),
        (["ollama"], ["TCP all"]),
    ]


def test_it_is_for_the_pods_of_one_run_and_goes_with_its_resource(tmp_path: Path) -> None:
    """By the labels that the Job's pods bear."""
    body = policy(tmp_path, "http://ollama.ollama:11434")
    assert body is not None
    world = World()
    world.settle()
    chosen = body["spec"]["podSelector"]["matchLabels"]
    assert chosen == {LABEL_MANAGED_BY: "domaintraining", LABEL_NAME: "docs", LABEL_RUN: "3"}
    assert carries(world.job()["spec"]["template"], chosen | {LABEL_RUN: "1"})
    assert (body["metadata"]["name"], body["metadata"]["labels"][LABEL_NAME]) == ("docs-r3", "docs")
    assert [one["uid"] for one in body["metadata"]["ownerReferences"]] == ["uid-docs"]


def test_a_server_outside_is_all_its_addresses_at_its_port(tmp_path: Path) -> None:
    """Each server once; the default port of the scheme where none is named."""
    servers = ("https://gpu.models.example", "http://192.0.2.4:8080")
    assert egress(policy(tmp_path, *servers))[3:] == [
        (["2001:db8::9/128", "203.0.113.9/32"], ["TCP 443"]),
        (["192.0.2.4/32"], ["TCP 8080"]),
    ]


def test_behind_a_proxy_the_proxy_is_reached_alone(tmp_path: Path) -> None:
    """Names of Services are never asked for through it."""
    proxy = Proxy(https="http://proxy.example:3128", http="http://proxy.example:3128")
    servers = ("https://gpu.models.example", "http://ollama.ollama:11434")
    rest = egress(policy(tmp_path, *servers, proxy=proxy))[3:]
    assert rest[0] == (["203.0.113.80/32"], ["TCP 3128"])
    assert (["ollama"], ["TCP all"]) in rest
    assert not any("203.0.113.9/32" in to for to, _ in rest)


def test_networks_that_the_owner_names_take_the_place_of_what_is_found(tmp_path: Path) -> None:
    """At the ports that are found."""
    body = policy(tmp_path, "http://ollama.ollama:11434", api_server_cidrs=("172.18.0.0/24",))
    assert egress(body)[1:3] == [
        (["10.96.0.1/32", "172.18.0.0/24"], ["TCP 443"]),
        (["172.18.0.0/24"], ["TCP 6443"]),
    ]


def test_no_hole_is_made_for_what_is_refused_or_unknown(tmp_path: Path) -> None:
    """A name that leads elsewhere since it was checked ends the start, as one without an address does."""
    with pytest.raises(DomainTrainingError) as refused:
        policy(tmp_path, "http://rebound.example")
    assert refused.value.reason is Reason.MODEL_NOT_ALLOWED
    with pytest.raises(
        DomainTrainingError, match=r"gone\.example can't be resolved: Name or service"
    ) as gone:
        policy(tmp_path, "http://gone.example")
    assert gone.value.reason is Reason.MODEL_SERVER_UNAVAILABLE


def test_it_is_there_before_the_pods_and_goes_with_the_runs_rights() -> None:
    """Made before the Job, removed when the run is over."""
    world = World()
    api_server = ApiServer(world.cluster, ENVIRONMENT)
    world.controller.network = Network(world.settings, api_server, Guard(look_up=found))
    world.settle()
    made = [one for one in world.cluster.writes if "NetworkPolicy" in one or "Job" in one]
    assert made == ["apply NetworkPolicy team/docs-r1", "create Job team/docs-r1-a1"]
    run = json.loads(world.record(1)["data"]["run.json"])
    assert (run["apiServer"], run["namedServers"]) == (["10.96.0.1"], ["http://ollama.ollama:11434"])
    world.train(BETTER)
    assert world.names(NETWORK_POLICY) == []


def test_the_settings_may_want_none(tmp_path: Path) -> None:
    """Nothing is looked up then."""
    assert policy(tmp_path, "http://gone.example", network_policies=False) is None


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("ollama", "own"),
        ("ollama.team", "team"),
        ("ollama.team.svc", "team"),
        ("ollama.team.svc.cluster.local", "team"),
        ("OLLAMA.Team.SVC.corp.internal.", "team"),
        ("pod-0.ollama.team.svc.cluster.local", "team"),
        ("example.com", "com"),
        ("models.gpu.example", None),
        ("svc.example.com", None),
        ("10.0.0.7", None),
        ("fd00::7", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_which_namespace_a_name_may_be_of(host: str, namespace: str | None) -> None:
    """Two parts may be a Service or a public name; a rule for a namespace that is not there is void."""
    assert service_namespace(host, "own") == namespace


def test_name_servers_are_read_as_the_resolver_reads_them() -> None:
    """Whatever else stands in the file."""
    text = "# x\nnameserver 10.0.0.2\nnameserver\noptions ndots:5\nnameserver none\nnameserver fd00::a\n"
    text += "\tnameserver\t10.0.0.3 # y\nnameservers 10.0.0.4\n"
    assert resolvers(text) == ["10.0.0.2", "10.0.0.3", "fd00::a"]


class Refusing(MemoryCluster):
    """A cluster in which the right is missing."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        raise ClusterError(403, "Forbidden", f"no right for {kind.plural} {namespace}/{name}")


def test_without_the_right_to_look_the_services_address_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """And the log says so; a name in its place, as some clusters have, gives none."""
    found = asyncio.run(ApiServer(Refusing(), ENVIRONMENT).look())
    assert found == (Peer("10.96.0.1/32", 443),)
    assert "no right" in caplog.text
    assert asyncio.run(ApiServer(Refusing(), {"KUBERNETES_SERVICE_HOST": "api.example"}).look()) == ()


def test_what_was_found_holds_for_a_minute() -> None:
    """Then it is looked up again: control planes are replaced."""
    cluster, now = MemoryCluster(SLICE), [0.0]
    server = ApiServer(cluster, {}, clock=lambda: now[0])
    assert [one.cidr for one in asyncio.run(server.look())] == ["172.18.0.2/32", "172.18.0.3/32"]
    assert server.addresses() == ["172.18.0.2", "172.18.0.3"]
    cluster.objects.clear()
    now[0] = 59.0
    assert asyncio.run(server.look())
    now[0] = 60.0
    assert asyncio.run(server.look()) == ()
