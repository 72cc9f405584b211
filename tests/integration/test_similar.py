"""On a real control plane: the second of two equal resources makes no call, and a similar domain's prompt is
tried by one without a history.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.integration.trainings import GROUP, Json, apply, config_map, jobs, ready
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox


def resource(sandbox: Sandbox, space: str, name: str, **spec: Any) -> Json:
    """Another DomainTraining on the same samples; gives its status once its prompt is served."""
    data = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
    body = {
        "apiVersion": "training.aegisrag.io/v1alpha1",
        "kind": "DomainTraining",
        "metadata": {"name": name, "namespace": space},
        "spec": {"dataset": data, "auto": "light"} | spec,
    }
    sandbox.cluster.kubectl("apply", "--filename=-", input=json.dumps(body))

    def status() -> Json:
        found = sandbox.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/{name}")
        return dict(found.get("status") or {})

    def is_ready() -> bool:
        return any(
            one["type"] == "Ready" and one["status"] == "True" for one in status().get("conditions", [])
        )

    wait_for(f"{name} Ready", is_ready, seconds=240)
    return status()


def pull(sandbox: Sandbox, model: str) -> None:
    """Let the model server have a model."""
    body = json.dumps({"model": model, "stream": False}).encode()
    request = urllib.request.Request(f"{sandbox.model_server}/api/pull", data=body)
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()


@pytest.mark.usefixtures("sandbox")
def test_an_equal_run_is_reused_and_a_similar_domain_is_tried(sandbox: Sandbox, space: str) -> None:
    """0 calls and no Job for the same spec, samples and model; for another spec both are considered."""
    pull(sandbox, "bge-m3")
    apply(sandbox, space)
    first = ready(sandbox, space)
    own = config_map(sandbox, space, "docs-prompt")
    assert json.loads(own["manifest.json"])["dataVector"]["model"] == "bge-m3"

    second = resource(sandbox, space, "manuals")
    assert second["run"]["reusedFrom"] == {"name": "docs", "revision": 1}
    assert second["progress"]["modelCalls"] == 0
    assert second["metrics"] == first["metrics"]
    assert second["dataset"]["samples"] == first["dataset"]["samples"]
    trained = next(one for one in second["conditions"] if one["type"] == "Trained")
    assert trained["reason"] == "Reused"
    assert "revision 1 of DomainTraining docs" in trained["message"]
    assert [name for name in jobs(sandbox, space) if name.startswith("manuals")] == []
    served = config_map(sandbox, space, "manuals-prompt")
    assert {key: text for key, text in served.items() if key != "manifest.json"} == {
        key: text for key, text in own.items() if key != "manifest.json"
    }

    third = resource(sandbox, space, "guides", optimizer={"seed": 10})
    manifest = json.loads(config_map(sandbox, space, "guides-prompt-r1")["manifest.json"])
    said = manifest["similar"]
    assert {one["name"] for one in said["considered"]} == {"docs", "manuals"}
    assert all(one["cosine"] > 0.9 for one in said["considered"])
    tried = [one for one in said["considered"] if one.get("validationF1")]
    assert [one["name"] for one in tried] == ["docs"], "two that serve the same bytes are one candidate"
    assert set(said["won"]) == {"entities", "relations"}
    assert third["run"]["similar"].startswith("2 similar domains considered, 1 tried; entities: ")
    for task, name in said["won"].items():
        own_f1 = manifest["tasks"][task]["validationF1"]
        assert (
            (tried[0]["validationF1"][task] == own_f1) if name else (tried[0]["validationF1"][task] <= own_f1)
        )
