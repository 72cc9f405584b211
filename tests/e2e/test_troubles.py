"""What keeps a trainer from running on a real node ends in a condition with its remedy, and passes then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from domaintraining.api.reasons import REASONS, Reason
from tests.e2e import images
from tests.e2e.product import Product
from tests.integration.trainings import GROUP, apply, condition, ready
from tests.integration.waiting import wait_for

Json = dict[str, Any]
# A search that is over soon: these tests are about what comes before it.
SHORT: Final[Json] = {
    "tasks": ["entities"],
    "auto": "manual",
    "optimizer": {"numCandidates": 2, "numTrials": 2},
}
KEPT: Final = "localhost/kept-for-a-test:e2e"
POOL: Final = "test-pool"
TOLD_SECONDS: Final = 90


def test_a_trainer_killed_for_its_memory_says_so(product: Product, space: str) -> None:
    """OOMKilled by the kernel: stalled, and on again by itself with a higher limit."""
    tiny = {"resources": {"limits": {"memory": "40Mi"}}, "backoffLimit": 0}
    apply(product, space, **SHORT, job=tiny)
    message = told(product, space, "Stalled", Reason.OUT_OF_MEMORY)
    assert "OOMKilled" in message
    change_job(product, space, {"resources": {"limits": {"memory": "1Gi"}}})
    assert ready(product, space)["run"]["number"] == 1


def test_an_image_that_no_node_can_pull_says_so(product: Product, space: str) -> None:
    """As with a wrong TRAINER_IMAGE; when the image is there, the kubelet's next try goes on."""
    product.cluster.runtime.add_name(images.TRAINER, KEPT)
    product.cluster.runtime.remove_image(images.TRAINER)
    try:
        apply(product, space, **SHORT)
        message = told(product, space, "Reconciling", Reason.IMAGE_PULL_FAILED)
        assert images.TRAINER in message
    finally:
        product.cluster.runtime.add_name(KEPT, images.TRAINER)
        product.cluster.runtime.remove_image(KEPT)
    ready(product, space)


def test_a_pool_without_nodes_says_so(product: Product, space: str, unlabelled: str) -> None:
    """Unschedulable, until a node of the pool comes."""
    apply(product, space, **SHORT, job={"nodeSelector": {POOL: "trainers"}})
    message = told(product, space, "Reconciling", Reason.UNSCHEDULABLE)
    assert "didn't match Pod's node affinity/selector" in message
    product.cluster.api.patch(unlabelled, {"metadata": {"labels": {POOL: "trainers"}}})
    ready(product, space)


@pytest.mark.parametrize("counted", ["count/jobs.batch", "pods"])
def test_a_quota_that_is_used_up_says_so(product: Product, space: str, counted: str) -> None:
    """Of Jobs, and of the pods that a Job makes; on again when the quota is raised."""
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    body = {"metadata": {"name": "team"}, "spec": {"hard": {counted: "0"}}}
    product.cluster.api.create(quotas, body)
    wait_for("the quota", lambda: product.cluster.api.get(f"{quotas}/team").get("status", {}).get("hard"))
    apply(product, space, **SHORT)
    message = told(product, space, "Reconciling", Reason.QUOTA_EXCEEDED)
    assert "exceeded quota: team" in message
    product.cluster.api.patch(f"{quotas}/team", {"spec": {"hard": {counted: "5"}}})
    ready(product, space)


@pytest.fixture
def unlabelled(product: Product) -> Iterator[str]:
    """The node's path; without the label of the pool, before and after."""
    path = f"/api/v1/nodes/{product.cluster.node}"
    yield path
    product.cluster.api.patch(path, {"metadata": {"labels": {POOL: None}}})


def told(product: Product, space: str, kind: str, reason: Reason) -> str:
    """Waits for a condition with this reason; gives its message, which must hold the remedy."""
    found = wait_for(
        f"{kind} {reason}",
        lambda: _if(reason, condition(product, space, kind)),
        seconds=TOLD_SECONDS,
    )
    assert REASONS[reason].remedy in found
    assert condition(product, space, "Ready")[0] == "False"
    assert condition(product, space, "Ready")[2] == found
    return found


def change_job(product: Product, space: str, job: Json) -> None:
    """`kubectl patch` of spec.job."""
    path = f"{GROUP}/namespaces/{space}/domaintrainings/docs"
    product.cluster.api.patch(path, {"spec": {"job": job}})


def _if(reason: Reason, found: tuple[str, str, str]) -> str:
    status, said, message = found
    return message if (status, said) == ("True", reason.value) else ""
