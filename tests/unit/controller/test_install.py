"""The manifest that users apply is the generated one, and its pod is held to the strictest level there is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.controller.install import IMAGE, main
from domaintraining.controller.jobs import RESTRICTED_CONTAINER, RESTRICTED_POD
from domaintraining.controller.settings import Settings

CHARTS = Path(__file__).parents[3] / "charts"
RULES = CHARTS / "domaintraining" / "files" / "rules.yaml"
COMMITTED = CHARTS / "operator.yaml"


def objects() -> dict[str, dict[str, Any]]:
    """The committed objects by kind, each kind once."""
    found = list(yaml.safe_load_all(COMMITTED.read_text(encoding="utf-8")))
    by_kind = {one["kind"]: one for one in found}
    assert len(by_kind) == len(found)
    return by_kind


def container() -> dict[str, Any]:
    """The one container of the Deployment."""
    found: dict[str, Any]
    (found,) = objects()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return found


def test_the_committed_manifest_is_the_generated_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make generate` writes it; without a file it is printed."""
    written = tmp_path / "operator.yaml"
    assert main([str(RULES), "-o", str(written)]) == main([str(RULES)]) == 0
    assert written.read_text(encoding="utf-8") == capsys.readouterr().out
    assert COMMITTED.read_text(encoding="utf-8") == written.read_text(encoding="utf-8"), (
        "charts/operator.yaml is not what the code says: run `make generate` and commit the result"
    )


def test_the_pod_asks_for_no_privilege() -> None:
    """As its namespace demands of every pod: restricted, and nothing of its own file system is writable."""
    labels = objects()["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = objects()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == RESTRICTED_POD
    assert container()["securityContext"] == RESTRICTED_CONTAINER
    assert "volumes" not in pod
    assert container()["resources"]["limits"] == {"memory": "256Mi"}


def test_it_is_valid_as_it_stands() -> None:
    """One image for both roles, and the settings' own model server."""
    variables = {one["name"]: one["value"] for one in container()["env"]}
    assert Settings.read(variables) == Settings(trainer_image=container()["image"])
    assert container()["image"] == IMAGE
    assert container()["args"] == ["controller"]


def test_its_probes_ask_where_it_answers() -> None:
    """Liveness fails later than readiness, and both at the port that the settings serve them on."""
    (port,) = container()["ports"]
    assert port == {"name": "probes", "containerPort": Settings.health_port}
    paths = {name: container()[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")}
    assert paths == {"readinessProbe": "/readyz", "livenessProbe": "/healthz"}


def test_image_and_model_server_can_be_told_from_all_other_text() -> None:
    """The README replaces them by their values, each on lines of its own."""
    lines = COMMITTED.read_text(encoding="utf-8").splitlines()
    assert [line.split()[-2:] for line in lines if IMAGE in line] == [["image:", IMAGE], ["value:", IMAGE]]
    server = Settings.ollama_base_url
    assert [line.split()[-2:] for line in lines if server in line] == [["value:", server]]
