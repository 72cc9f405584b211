"""One real node with the product for all end-to-end tests; a restricted namespace for each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e import images
from tests.e2e.node import requirements
from tests.e2e.node.cluster import RealCluster, only_node, state_folder
from tests.e2e.node.programs import built_programs
from tests.e2e.product import Product, create_namespace
from tests.e2e.runs import FinishedRun, finish_demo, start_demo
from tests.integration.trainings import SAMPLES
from tests.sandbox.progress import Say

# What looks back at the whole session, and what fills the node, come last.
LAST = ("test_memory.py", "test_rights_on_a_node.py", "test_readme_on_a_node.py")


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The operator and a simulated model server on a real node, which is gone afterwards in any case."""
    say = _clock()
    reason = requirements.obstacle()
    assert not reason, f"no real node here: {reason}"
    with only_node(say):
        requirements.install(say)
        programs, tars = built_programs(say), images.built(say)
        cluster = RealCluster(state_folder(), programs)
        cluster.stop()  # what a session that was killed has left
        try:
            cluster.up(tars, say)
            say("the node is ready")
            running = Product(cluster)
            running.start(say)
            say("the operator runs")
            yield running
        finally:
            say("stopping the node")
            cluster.stop()
            say("the machine is as it was")


@pytest.fixture(scope="session")
def demo(product: Product) -> FinishedRun:
    """The demo's training, undisturbed."""
    create_namespace(product.cluster, "demo")
    calls = product.calls()
    start_demo(product, "demo")
    return finish_demo(product, "demo", calls)


@pytest.fixture
def space(product: Product, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of its own for the test, with the samples."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:40].strip("-")
    create_namespace(product.cluster, name)
    body = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    product.cluster.api.create(f"/api/v1/namespaces/{name}/configmaps", body)
    yield name
    product.cluster.api.delete(f"/api/v1/namespaces/{name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what must come last there, in this order."""
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


def _clock() -> Say:
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)

    return say
