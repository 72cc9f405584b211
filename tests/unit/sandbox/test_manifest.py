"""The manifest that is made from the chart: what users apply, held to the strictest level there is.

That it is what the chart renders says tests/integration/test_chart.py, with the real helm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from domaintraining import __version__
from domaintraining.controller.jobs import RESTRICTED_CONTAINER, RESTRICTED_POD
from domaintraining.controller.settings import Settings
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import CONTROLLER, CRD, MANIFEST

CHART = REPOSITORY / "charts" / "domaintraining"
IMAGES = {f"domaintraining-{role}:{__version__}" for role in ("controller", "trainer")}


def load(path: Path) -> Any:
    """One document of YAML."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def named(kind: str, name: str = CONTROLLER) -> dict[str, Any]:
    """One object of the manifest."""
    objects = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    found: dict[str, Any]
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def container() -> dict[str, Any]:
    """The one container of the Deployment."""
    found: dict[str, Any]
    (found,) = named("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def test_the_pod_asks_for_no_privilege() -> None:
    """As its namespace demands of every pod: restricted, and nothing of its own file system is writable."""
    labels = named("Namespace", "domaintraining-system")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = named("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == RESTRICTED_POD
    assert container()["securityContext"] == RESTRICTED_CONTAINER
    assert "volumes" not in pod
    assert container()["resources"]["limits"] == {"memory": "256Mi"}


def test_its_variables_say_what_holds_without_them() -> None:
    """The chart's defaults are the operator's own; the images are those of this version."""
    variables = {one["name"]: one["value"] for one in container()["env"]}
    assert Settings.read(variables) == Settings(trainer_image=variables["TRAINER_IMAGE"])
    assert {container()["image"], variables["TRAINER_IMAGE"]} == IMAGES
    assert container()["args"] == ["controller"]


def test_its_probes_ask_where_it_answers() -> None:
    """Liveness fails later than readiness, and both at the port that the settings serve them on."""
    (port,) = container()["ports"]
    assert port == {"name": "probes", "containerPort": Settings.health_port}
    paths = {name: container()[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")}
    assert paths == {"readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_images_and_model_server_can_be_told_from_all_other_text() -> None:
    """Who has neither helm nor Kustomize replaces them by their values: each stands on one line."""
    lines = MANIFEST.read_text(encoding="utf-8").splitlines()
    for text in (*IMAGES, Settings.ollama_base_url):
        assert sum(text in line for line in lines) == 1


def test_nothing_reaches_the_pod() -> None:
    """Its node, which asks the probes, needs no rule."""
    policy = named("NetworkPolicy")["spec"]
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress"], [])
    labels = named("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def test_who_may_edit_the_namespace_may_write_trainings_and_who_may_view_it_read_them() -> None:
    """By aggregation to the cluster's roles. The status is the operator's."""
    edit, view = named("ClusterRole", "domaintraining-edit"), named("ClusterRole", "domaintraining-view")
    start = "rbac.authorization.k8s.io/aggregate-to-"
    aggregated = [
        {name.removeprefix(start) for name in one["metadata"]["labels"] if name.startswith(start)}
        for one in (edit, view)
    ]
    assert aggregated == [{"edit", "admin"}, {"view"}]
    assert [rule["resources"] for rule in edit["rules"]] == [["domaintrainings"]]
    assert [rule["verbs"] for rule in view["rules"]] == [["get", "list", "watch"]]


def test_the_chart_has_the_crd_that_the_models_give() -> None:
    """`make generate` copies it."""
    copy = CHART / "files" / "crd.yaml"
    assert copy.read_bytes() == CRD.read_bytes(), "run `make generate` and commit the result"


def test_the_chart_has_the_version_of_the_operator() -> None:
    """Its images are those of its appVersion."""
    chart = load(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == __version__
