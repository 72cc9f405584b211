"""The main job on a real node: samples and the demo's DomainTraining are applied, a prompt comes out."""

from __future__ import annotations

import json

import yaml

from tests.e2e.product import ENDPOINT, MODEL, Product
from tests.e2e.runs import FinishedRun, resource_of, trainer_pods
from tests.sandbox.cluster import REPOSITORY

TASKS = ("entities", "relations")


def test_the_demos_training_ends_with_a_prompt(demo: FinishedRun) -> None:
    """Ready; the prompt ConfigMap holds the bytes and figures that status tells of."""
    status = demo.status
    assert status["model"] == status["model"] | {"name": MODEL, "endpoint": ENDPOINT}
    manifest = json.loads(demo.prompt["manifest.json"])
    for task in TASKS:
        figures = status["metrics"][task]
        assert figures["f1"] > figures["baseline"]["f1"]
        assert manifest["metrics"][task]["f1"] == figures["f1"]
        request = json.loads(demo.prompt[f"{task}.request.json"])
        assert request["model"] == MODEL
        assert request["messages"][-1]["content"].count("{text}") == 1


def test_the_trainer_ran_in_a_restricted_pod(product: Product, demo: FinishedRun) -> None:
    """In the trainer's own image, as a user who is not root, under Pod Security's strictest level."""
    pods = trainer_pods(product, demo.space)
    assert pods
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        assert container["image"] == demo.status["run"]["image"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    labels = product.cluster.api.get(f"/api/v1/namespaces/{demo.space}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_sample_is_the_shipped_one(product: Product, demo: FinishedRun) -> None:
    """What ran is crds/samples, to the letter of its spec."""
    shipped = yaml.safe_load((REPOSITORY / "crds/samples/tech-docs.yaml").read_text(encoding="utf-8"))
    found = resource_of(product, demo.space)["spec"]
    assert found["dataset"]["configMap"] == shipped["spec"]["dataset"]["configMap"]
    assert found["types"] == shipped["spec"]["types"]
