"""The manifest for those without helm, and the base for Kustomize: the chart at its defaults."""

from __future__ import annotations

from typing import Any

import yaml

from domaintraining.controller.settings import Settings
from tests.integration.rendered import controller_of, only, variables
from tests.sandbox.chart import objects, plain_manifest, rendered
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.environment import CRD, MANIFEST, NAMESPACE

Json = dict[str, Any]
KUSTOMIZE = REPOSITORY / "charts" / "kustomize"
ONLY_HELM = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def test_the_committed_manifest_is_the_chart_at_its_defaults() -> None:
    """`make generate` writes it: the same text but for the lines that are true of helm alone."""
    assert MANIFEST.read_text(encoding="utf-8") == plain_manifest(), (
        "run `make generate` and commit the result"
    )


def test_manifest_and_chart_have_the_same_objects() -> None:
    """Object by object: the chart at its defaults without helm's labels, and a namespace."""
    chart = objects(rendered())
    for one in chart:
        for name in ONLY_HELM:
            del one["metadata"]["labels"][name]
    crd = only(chart, "CustomResourceDefinition", "domaintrainings.training.aegisrag.io")
    del crd["metadata"]["labels"], crd["metadata"]["annotations"]
    assert crd == yaml.safe_load(CRD.read_text(encoding="utf-8"))
    namespace, *others = objects(MANIFEST.read_text(encoding="utf-8"))
    assert namespace["metadata"] == {"name": NAMESPACE, "labels": RESTRICTED}
    assert others == [one for one in chart if one is not crd]


def test_the_base_of_kustomize_is_crd_and_manifest(cluster: Cluster) -> None:
    """And the API server takes it."""
    text = cluster.kubectl("kustomize", str(KUSTOMIZE / "base"))
    wanted = [CRD, MANIFEST]
    expected = [one for file in wanted for one in objects(file.read_text(encoding="utf-8"))]
    assert sorted(map(key, objects(text))) == sorted(map(key, expected))
    assert {key(one): one for one in objects(text)} == {key(one): one for one in expected}


def key(one: Json) -> tuple[str, str]:
    """Kind and name."""
    return one["kind"], one["metadata"]["name"]


def test_an_overlay_puts_namespace_images_and_model_server_in(cluster: Cluster) -> None:
    """The example: everything lies in its namespace, which the API server takes."""
    text = cluster.kubectl("kustomize", str(KUSTOMIZE / "example"))
    found = objects(text)
    assert {one["metadata"].get("namespace", "extraction") for one in found} == {"extraction"}
    assert only(found, "ClusterRoleBinding")["subjects"][0]["namespace"] == "extraction"
    assert controller_of(found)["image"] == "registry.example.com/domaintraining-controller:0.1.0"
    settings = Settings.read(variables(found))
    assert settings.trainer_image == "registry.example.com/domaintraining-trainer:0.1.0"
    assert settings.ollama_base_url == "http://ollama.gpu:11434"
    cluster.kubectl("create", "namespace", "extraction")
    said = cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-", input=text
    )
    assert len(said.splitlines()) == len(found)
    cluster.kubectl("delete", "namespace", "extraction", "--wait=false")
