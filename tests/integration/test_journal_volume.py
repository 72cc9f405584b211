"""Volumes of a trainer on the real API server: a suspended run goes on, data come from a claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.trainings import GROUP, SAMPLES, apply, condition, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.components import STORAGE_CLASS
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]
CLASS = STORAGE_CLASS["metadata"]["name"]  # type: ignore[index]


def suspend(sandbox: Sandbox, space: str, *, to: bool) -> None:
    """`kubectl patch` of spec.suspend."""
    path = f"{GROUP}/namespaces/{space}/domaintrainings/docs"
    sandbox.cluster.api.patch(path, {"spec": {"suspend": to}})


def trainers(sandbox: Sandbox, space: str) -> list[str]:
    """Names of the trainers' pods."""
    path = f"/api/v1/namespaces/{space}/pods"
    return [one["metadata"]["name"] for one in sandbox.cluster.api.items(path)]


def claim(sandbox: Sandbox, space: str, name: str) -> Json:
    """A claim as the API server holds it."""
    return sandbox.cluster.api.get(f"/api/v1/namespaces/{space}/persistentvolumeclaims/{name}")


def claim_of_samples(sandbox: Sandbox, space: str) -> None:
    """Makes a claim named samples, which the sandbox gives a volume."""
    wanted = {
        "metadata": {"name": "samples"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "10Mi"}},
            "storageClassName": CLASS,
        },
    }
    sandbox.cluster.api.create(f"/api/v1/namespaces/{space}/persistentvolumeclaims", wanted)


def folder_of(sandbox: Sandbox, space: str, name: str) -> Path:
    """The folder that the sandbox has made for a claim."""
    wait_for("a volume", lambda: claim(sandbox, space, name)["status"].get("phase") == "Bound")
    volume = claim(sandbox, space, name)["spec"]["volumeName"]
    return Path(sandbox.cluster.api.get(f"/api/v1/persistentvolumes/{volume}")["spec"]["hostPath"]["path"])


def test_a_suspended_run_stops_and_goes_on_with_the_same_journal(sandbox: Sandbox, space: str) -> None:
    """In the middle of a run: no pod and no call while suspended, then the same run number to its end."""
    spec: Json = {"tasks": ["entities"], "job": {"journal": {"storageClassName": CLASS, "storage": "10Mi"}}}
    apply(sandbox, space, **spec)
    wait_for(
        "calls", lambda: status(sandbox, space).get("progress", {}).get("modelCalls", 0) > 30, seconds=60
    )
    suspend(sandbox, space, to=True)
    wait_for("Suspended", lambda: condition(sandbox, space, "Ready")[:2] == ("False", "Suspended"))
    wait_for("no pod", lambda: not trainers(sandbox, space))
    assert jobs(sandbox, space) == []
    assert condition(sandbox, space, "Reconciling") == condition(sandbox, space, "Stalled") == ("", "", "")
    before = status(sandbox, space)
    assert (before["run"]["number"], before["run"]["attempts"]) == (1, 1)
    suspend(sandbox, space, to=False)
    after = ready(sandbox, space)
    assert (after["run"]["number"], after["run"]["attempts"]) == (1, 2)
    assert after["run"]["journal"] == "the model's answers are kept in claim docs-journal"
    assert jobs(sandbox, space) == ["docs-r1-a2"]
    assert after["progress"]["percent"] == 100
    kept = claim(sandbox, space, "docs-journal")
    assert kept["metadata"]["ownerReferences"][0]["kind"] == "DomainTraining"
    assert list(folder_of(sandbox, space, "docs-journal").rglob("*"))


def test_nothing_starts_while_suspended(sandbox: Sandbox, space: str) -> None:
    """Also not the first run; status says how to go on."""
    apply(sandbox, space, suspend=True)
    wait_for("Suspended", lambda: condition(sandbox, space, "Ready")[1] == "Suspended")
    assert "false goes on with run 1" in condition(sandbox, space, "Ready")[2]
    assert jobs(sandbox, space) == []


def test_data_of_a_claim_are_trained_on(sandbox: Sandbox, space: str) -> None:
    """The file is below the volume's root; until it is there the run waits, and starts by itself."""
    claim_of_samples(sandbox, space)
    source = {"persistentVolumeClaim": {"claimName": "samples", "path": "exports/docs.jsonl"}}
    apply(sandbox, space, tasks=["entities"], dataset=source)
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "DatasetNotFound")
    assert "claim samples, path exports/docs.jsonl: " in condition(sandbox, space, "Stalled")[2]
    exports = folder_of(sandbox, space, "samples") / "exports"
    assert not exports.exists(), "a trainer makes nothing in a volume of data"
    exports.mkdir()
    (exports / "docs.jsonl").write_text(SAMPLES, encoding="utf-8")
    shown = ready(sandbox, space)
    assert (shown["run"]["number"], shown["run"]["attempts"]) == (1, 2)
    assert "live as long as the pod" in shown["run"]["journal"]
    assert shown["dataset"]["samples"] > 0
