"""Data on a server: what the controller checks, mounts and lets out to, without the Secret that opens it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.hashing import run_hash
from domaintraining.api.reasons import DATASET_REASONS, REASONS, Reason
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import JOB
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.network import PUBLIC, Network
from domaintraining.controller.observed import Observed, Resource
from domaintraining.controller.preflight import check_data
from domaintraining.controller.resolve import resolve
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard
from domaintraining.proxy import Proxy

from .test_decide import MODEL, NOW
from .test_network import egress
from .test_preflight import wanting
from .test_volumes import pod_of
from .world import SPEC, World

HTTP = {"http": {"url": "https://data.example/s.jsonl?x=1", "headersSecretRef": {"name": "token"}}}
S3 = {"s3": {"bucket": "b-1", "key": "k", "credentialsSecretRef": {"name": "store"}}}
NEO4J = {
    "neo4j": {"uri": "bolt://graph.team.svc", "query": "RETURN 1", "credentialsSecretRef": {"name": "graph"}}
}
NAMES = {
    "data.example": ["93.184.215.14", "2606:4700::1111"],
    "both.example": ["93.184.215.14", "10.9.9.9"],
    "minio.data.svc": ["10.96.7.7"],
    "localhost": ["127.0.0.1"],
    "proxy.example": ["203.0.113.80"],
    "ollama.ollama": ["10.96.1.1"],
}


def settings(**given: Any) -> Settings:
    return Settings(trainer_image="i", **given)


def data(url: str) -> Resource:
    return wanting(dataset={"http": {"url": url}})


@pytest.mark.parametrize(("dataset", "secret"), [(HTTP, "token"), (S3, "store"), (NEO4J, "graph")])
def test_the_secret_is_mounted_and_nothing_else_of_the_data(dataset: dict[str, Any], secret: str) -> None:
    """Read by the kubelet; a pod does not wait for one that does not exist: the trainer names it."""
    pod = pod_of(wanting(dataset=dataset))
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes["data-credentials"]["secret"] == {"secretName": secret, "optional": True}
    assert "data" not in volumes
    (container,) = pod["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "data-credentials")
    assert mount["readOnly"] is True
    assert {"name": "DATA_CREDENTIALS_DIR", "value": mount["mountPath"]} in container["env"]
    assert not any(one["name"] == "data" for one in container["volumeMounts"])


def test_data_that_anybody_may_read_need_no_secret() -> None:
    """Nothing is mounted for them."""
    pod = pod_of(wanting(dataset={"http": {"url": "https://data.example/s"}}))
    assert "data-credentials" not in json.dumps(pod)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"url": "https://data.example/other"}, False),
        ({"url": "https://data.example/s.jsonl?x=2"}, False),
        ({"sha256": "0" * 64}, False),
        ({"headersSecretRef": {"name": "other"}}, True),
        ({"headersSecretRef": None}, True),
    ],
)
def test_the_reference_starts_a_run_and_the_secrets_name_does_not(
    change: dict[str, Any], *, same: bool
) -> None:
    """But a run that ended without a result goes on with another Secret."""
    one, other = wanting(dataset=HTTP), wanting(dataset={"http": HTTP["http"] | change})
    assert (run_hash(one.spec) == run_hash(other.spec)) is same
    digests = [
        asyncio.run(check_data(MemoryCluster(), each, settings())).data_digest for each in (one, other)
    ]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("dataset", "server"),
    [
        (S3, "https://s3.us-east-1.amazonaws.com"),
        ({"s3": S3["s3"] | {"endpoint": "http://minio.data.svc:9000"}}, "http://minio.data.svc:9000"),
        (NEO4J, "bolt://graph.team.svc"),
        (HTTP, "https://data.example/s.jsonl?x=1"),
    ],
)
def test_the_run_holds_the_reference_and_where_it_may_lead(dataset: dict[str, Any], server: str) -> None:
    """By the owner's list; messages name no query of a URL."""
    run = resolve(
        Observed(wanting(dataset=dataset), NOW), 1, MODEL, settings(allowed_data_hosts=("*.svc:*",))
    )
    given = run.data.remote.given()
    assert given is not None
    assert given[1].server == server
    assert run.data.leads == ("private" if ".svc" in server else "public")
    assert "?" not in run.data.source


def test_a_long_address_leaves_room_for_what_is_said_of_it() -> None:
    """Conditions hold 1,024 characters."""
    for dataset in (
        {"http": {"url": f"https://a.b/{'x' * 2000}"}},
        {"s3": {"bucket": "abc", "key": "k" * 1024}},
    ):
        given = wanting(dataset=dataset).spec.dataset.given()
        assert given is not None
        assert len(given[1].title) == 200


@pytest.mark.parametrize(
    ("patterns", "url", "leads"),
    [
        ("", "https://data.example", "public"),
        ("minio.data.svc:9000", "http://minio.data.svc:9000", "anywhere"),
        ("minio.data.svc:9000", "http://MINIO.data.svc.:9000", "anywhere"),
        ("minio.data.svc:9000", "http://minio.data.svc", "public"),
        ("minio.data.svc", "http://minio.data.svc:9000", "public"),
        ("minio.data.svc", "http://minio.data.svc", "anywhere"),
        ("minio.data.svc", "https://minio.data.svc:443", "anywhere"),
        ("graph.team.svc", "bolt://graph.team.svc", "anywhere"),
        ("graph.team.svc", "neo4j+s://graph.team.svc:7687", "anywhere"),
        ("graph.team.svc", "neo4j+s://graph.team.svc:7688", "public"),
        ("*.data.svc:*", "http://minio.data.svc:9000", "private"),
        ("*.svc:9000", "http://minio.data.svc:9000", "private"),
        ("minio.*.svc:9000", "http://minio.data.svc:9000", "private"),
        ("minio.*:9000", "http://minio.data.svc:9000", "public"),
        ("*", "http://localhost", "private"),
        ("*,localhost", "http://localhost", "anywhere"),
        ("*.corp.example", "https://data.corp.example.evil.example", "public"),
        ("*.corp.example", "https://corp.example", "public"),
        ("10.0.0.7:9000", "http://10.0.0.7:9000", "anywhere"),
        ("10.0.0.*", "http://10.0.0.7", "private"),
        ("[fd00::7]:9000", "http://[fd00:0::7]:9000", "anywhere"),
    ],
)
def test_where_a_name_may_lead_is_up_to_the_owners_list(patterns: str, url: str, leads: str) -> None:
    """One to the letter anywhere, one with a wildcard into private networks, others to public addresses."""
    given = Settings.read({"TRAINER_IMAGE": "i", "ALLOWED_DATA_HOSTS": patterns})
    assert given.data_host_leads(url) == leads


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7/s",
        "http://127.0.0.1:8080/s",
        "http://127.1/s",
        "http://2130706433/s",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/s",
        "http://[fd00::7]/s",
        "http://[::ffff:10.0.0.7]/s",
        "http://[::::]/s",
    ],
)
def test_an_address_that_is_not_allowed_is_refused_before_a_job(url: str) -> None:
    """With the setting to extend; names are checked where they are resolved."""
    problem = asyncio.run(check_data(MemoryCluster(), data(url), settings())).data_problem
    assert problem is not None
    assert problem.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED


def policy(folder: Path, url: str, *allowed: str, **given: Any) -> list[tuple[list[str], list[str]]]:
    """Where the pods of a run whose data are there may go, beside DNS, API server and model server."""

    def found(host: str, _port: int, /) -> list[str]:
        if host not in NAMES:
            raise OSError(-2, "Name or service not known")
        return NAMES[host]

    given_settings = settings(allowed_data_hosts=allowed, **given)
    resource = data(url)
    run = resolve(
        Observed(resource, NOW),
        1,
        MODEL.model_copy(update={"endpoint": "http://ollama.ollama"}),
        given_settings,
    )
    guard = Guard(named=given_settings.named_origins, look_up=found)
    network = Network(given_settings, ApiServer(MemoryCluster(), {}), guard, folder / "none")
    return egress(asyncio.run(network.policy(resource, run)))[3:]


def test_public_data_open_the_port_to_public_addresses(tmp_path: Path) -> None:
    """All of them: a large service's name leads to others a moment later. None of the cluster's."""
    ((to, ports),) = policy(tmp_path, "https://data.example/s")
    assert (to, ports) == (["0.0.0.0/0", "2000::/3"], ["TCP 443"])
    closed = PUBLIC[0]["ipBlock"]["except"]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "127.0.0.0/8"} <= set(closed)


def test_data_in_the_cluster_open_their_own_addresses(tmp_path: Path) -> None:
    """And the pods of the Service's namespace, as for model servers."""
    opened = policy(tmp_path, "http://minio.data.svc:9000/s", "minio.data.svc:9000")
    assert opened == [(["10.96.7.7/32"], ["TCP 9000"]), (["data"], ["TCP all"])]


def test_data_behind_a_proxy_open_the_proxy(tmp_path: Path) -> None:
    """Which takes the server's place."""
    proxy = Proxy(https="http://proxy.example:3128")
    opened = policy(tmp_path, "https://data.example/s", proxy=proxy)
    assert opened[0] == (["203.0.113.80/32"], ["TCP 3128"])
    assert "0.0.0.0/0" not in json.dumps(opened)


@pytest.mark.parametrize(
    ("url", "allowed", "reason"),
    [
        ("http://minio.data.svc/s", (), Reason.DATASET_ADDRESS_NOT_ALLOWED),
        ("http://both.example/s", (), Reason.DATASET_ADDRESS_NOT_ALLOWED),
        ("http://localhost/s", ("*",), Reason.DATASET_ADDRESS_NOT_ALLOWED),
        ("http://unknown.example/s", (), Reason.DATASET_UNREACHABLE),
    ],
)
def test_a_name_that_leads_astray_gets_no_job(
    tmp_path: Path, url: str, allowed: tuple[str, ...], reason: Reason
) -> None:
    """One address among several is enough."""
    with pytest.raises(DomainTrainingError) as raised:
        policy(tmp_path, url, *allowed)
    assert raised.value.reason is reason


@pytest.mark.parametrize("reason", sorted(DATASET_REASONS - {Reason.INVALID_DOMAIN}))
def test_what_a_server_holds_is_looked_at_again(reason: Reason) -> None:
    """Nobody tells the controller that a Secret or a file was corrected: the next attempt comes by itself."""
    world = World(SPEC | {"dataset": {"http": {"url": "https://data.example/s"}}})
    world.settle()
    world.run_pod()
    world.report(failure={"reason": reason, "message": "Secret token: has no key"})
    world.end_job("Failed")
    world.settle()
    conditions = {one["type"]: one for one in world.resource["status"]["conditions"]}
    assert conditions["DatasetValid"]["status"] == "False"
    assert conditions["DatasetValid"]["reason"] == reason
    assert REASONS[reason].remedy in conditions["DatasetValid"]["message"]
    assert ("Stalled" in conditions) is REASONS[reason].stalled
    world.now += timedelta(seconds=31)
    world.settle()
    assert world.names(JOB)[-1] == "docs-r1-a2"


def test_a_corrected_secret_name_starts_the_next_attempt_at_once() -> None:
    """Of the same run: it is not what data they are."""
    world = World(SPEC | {"dataset": HTTP})
    world.settle()
    world.run_pod()
    world.report(failure={"reason": "DatasetSecretInvalid", "message": "Secret token: has no key"})
    world.end_job("Failed")
    world.settle()
    world.change(dataset={"http": HTTP["http"] | {"headersSecretRef": {"name": "other"}}})
    world.settle()
    assert world.names(JOB)[-1] == "docs-r1-a2"


def test_every_hash_of_before_is_the_same() -> None:
    """Other sources than the mounted ones change no hash of these."""
    spec = DomainTrainingSpec.model_validate({"dataset": {"configMap": {"name": "a", "key": "b"}}})
    assert spec.model_dump(exclude_defaults=True) == {"dataset": {"config_map": {"name": "a", "key": "b"}}}
