"""The larger example of the README: what it asks for is taken on and told in status."""

from __future__ import annotations

import yaml

from tests.integration.trainings import GROUP, SAMPLES, Json
from tests.integration.waiting import wait_for
from tests.readme import block
from tests.sandbox.environment import Sandbox


def test_the_larger_example_is_taken_on(sandbox: Sandbox, space: str) -> None:
    """As it stands, but for the storage class: two models, a mode by hand, a budget, a journal, suspend."""
    api, kubectl = sandbox.cluster.api, sandbox.cluster.kubectl
    body = {"metadata": {"name": "tech-docs"}, "data": {"samples.jsonl": SAMPLES}}
    api.create(f"/api/v1/namespaces/{space}/configmaps", body)
    text = block("How hard to try", "yaml").replace("standard", "simulated-folder")
    kubectl("apply", f"--namespace={space}", "--filename=-", input=text)
    path = f"{GROUP}/namespaces/{space}/domaintrainings/by-hand"

    def shown() -> Json:
        return dict(api.get(path).get("status") or {})

    def reason() -> str:
        return "".join(one["reason"] for one in shown().get("conditions", []) if one["type"] == "Ready")

    wait_for("Training", lambda: reason() == "Training", seconds=120)
    spec, status = yaml.safe_load(text)["spec"], shown()
    assert status["auto"] == "manual"
    assert status["model"]["name"] == spec["model"]["name"]
    assert status["promptModel"]["name"] == spec["model"]["promptModel"]["name"]
    assert "by-hand-journal" in status["run"]["journal"]
    kubectl(
        "patch", "dt", "by-hand", f"--namespace={space}", "--type=merge", '--patch={"spec":{"suspend":true}}'
    )
    wait_for("Suspended", lambda: reason() == "Suspended", seconds=60)
