"""One real control plane with a simulated node for all integration tests; a namespace for each."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterator

import pytest

from tests.integration.trainings import SAMPLES
from tests.integration.waiting import wait_for
from tests.sandbox.build import controlplane_binary
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.environment import Sandbox
from tests.sandbox.neo4j.artifacts import obstacle
from tests.sandbox.neo4j.server import Neo4j

IMAGE = "domaintraining"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster; images that begin with `domaintraining` are this interpreter and this checkout."""
    running = Cluster(tmp_path_factory.mktemp("sandbox"))
    running.start(controlplane_binary(print))
    try:
        start_node(running)
        yield running
    finally:
        running.stop()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of its own for the test, deleted afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    path = f"/api/v1/namespaces/{name}"
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    wait_for("its service account", lambda: cluster.api.find(f"{path}/serviceaccounts/default"))
    wait_for("the CA for its pods", lambda: cluster.api.find(f"{path}/configmaps/kube-root-ca.crt"))
    yield name
    cluster.api.delete(path)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The operator under its own ServiceAccount, beside a simulated model server."""
    running = Sandbox(tmp_path_factory.mktemp("training"))
    running.up(print)
    yield running
    running.down()


@pytest.fixture(scope="session")
def graph_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """As `sandbox`, beside a real Neo4j; where there is no Java its tests are skipped, which says why."""
    if reason := obstacle():
        pytest.skip(reason)
    running = Sandbox(tmp_path_factory.mktemp("graph"), graph=True)
    running.up(print)
    yield running
    running.down()


@pytest.fixture
def space(sandbox: Sandbox, request: pytest.FixtureRequest) -> str:
    """A namespace of the sandbox with the samples."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    sandbox.cluster.kubectl("create", "namespace", name)
    body = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    sandbox.cluster.api.create(f"/api/v1/namespaces/{name}/configmaps", body)
    return name


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4j]:
    """A real Neo4j, for `neo4j`; where there is no Java its tests are skipped, which says why."""
    if reason := obstacle():
        pytest.skip(reason)
    running = Neo4j(tmp_path_factory.mktemp("neo4j"))
    running.start(print)
    yield running
    running.kill()


@pytest.fixture
def neo4j(neo4j_server: Neo4j) -> Neo4j:
    """The real Neo4j, empty, which the test may kill, pause and start again."""
    neo4j_server.start(print)
    neo4j_server.empty()
    return neo4j_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rights are looked at last: what they are compared with is what all other tests made happen."""
    items.sort(key=lambda item: item.path.name == "test_rights.py")


def start_node(cluster: Cluster) -> None:
    """Starts the node as the fixture does, also after a test has stopped it."""
    images = {IMAGE: f"{sys.executable} -m domaintraining"}
    cluster.start_node(images, pythonpath=[REPOSITORY / "operator"], options=["--backoff=1"])
