"""The operator as the sandbox installs it: what users install, with its own image and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.controller.settings import Settings
from tests.sandbox.environment import CONTROLLER, MANIFEST, NAMESPACE, RULES, Sandbox, operator_objects
from tests.sandbox.neo4j.server import Neo4j

URL = "http://127.0.0.1:4711"


def by_kind() -> dict[str, dict[str, Any]]:
    """The controller's objects, each kind once, and its namespace."""
    objects = [one for one in operator_objects(URL) if one["metadata"]["name"] in {CONTROLLER, NAMESPACE}]
    found = {one["kind"]: one for one in objects}
    assert len(found) == len(objects)
    return found


def test_only_image_settings_and_port_are_the_sandboxs() -> None:
    """Everything else is the manifest made from the chart, so that demo and tests run what users install."""
    users = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
    ours = operator_objects(URL)
    for objects in (users, ours):
        (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
        del container["image"], container["env"], container["ports"]
    assert ours == users


def test_namespace_and_identity_come_before_what_refers_to_them() -> None:
    """One `kubectl apply` of the list is enough."""
    kinds = list(by_kind())
    assert kinds[0] == "Namespace"
    wanted = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment"]
    assert [kind for kind in kinds if kind in wanted] == wanted


def test_the_rights_are_the_charts_and_go_to_the_operator_alone() -> None:
    """rules.yaml to the letter, bound to one ServiceAccount; none of them on Secrets."""
    objects = by_kind()
    rules = objects["ClusterRole"]["rules"]
    assert rules == yaml.safe_load(RULES.read_text(encoding="utf-8"))
    assert not {"*", "secrets"} & {word for rule in rules for words in rule.values() for word in words}
    binding = objects["ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == objects["ClusterRole"]["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": CONTROLLER, "namespace": NAMESPACE}]
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"] == CONTROLLER


def test_the_deployment_selects_its_own_pods_one_at_a_time() -> None:
    """Recreate: two operators at once would be two writers."""
    spec = by_kind()["Deployment"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_operator_takes_the_variables_that_it_is_given() -> None:
    """The settings read them; the model server is the one that was started."""
    (container,) = by_kind()["Deployment"]["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    settings = Settings.read(variables)
    assert settings.ollama_base_url == URL
    assert settings.trainer_image == container["image"]
    assert container["ports"] == [{"name": "probes", "containerPort": settings.health_port}]


def test_the_graphs_password_comes_from_a_secret(tmp_path: Path) -> None:
    """Which stands before the Deployment, behind the namespace; nothing else changes."""
    (tmp_path / "neo4j").mkdir()
    (tmp_path / "neo4j" / "access.json").write_text('{"port": 7687, "password": "a word"}', encoding="utf-8")
    objects = operator_objects(URL, graph=Neo4j(tmp_path))
    (secret,) = (one for one in objects if one["kind"] == "Secret")
    assert [one["kind"] for one in objects[:2]] == ["Namespace", "Secret"]
    (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one for one in container["env"]}
    for name, value in (
        ("NEO4J_URI", "bolt://127.0.0.1:7687"),
        ("NEO4J_USER", "neo4j"),
        ("NEO4J_PASSWORD", "a word"),
    ):
        reference = variables[name]["valueFrom"]["secretKeyRef"]
        assert reference["name"] == secret["metadata"]["name"]
        assert secret["stringData"][reference["key"]] == value
    assert "a word" not in str(objects[2:])


@pytest.mark.parametrize(
    ("given", "url", "simulated"), [("", "", True), ("http://gpu:11434/", "http://gpu:11434", False)]
)
def test_a_real_server_is_never_called_simulated(
    given: str,
    url: str,
    simulated: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OLLAMA_BASE_URL decides which one it is."""
    monkeypatch.setenv("OLLAMA_BASE_URL", given)
    sandbox = Sandbox(tmp_path / "none")
    assert (sandbox.own_server, sandbox.simulated) == (url, simulated)
