"""A world whose samples are in a ConfigMap or a volume, and may change under the served prompt."""

import json
from datetime import timedelta
from typing import Any

from domaintraining.api.names import LABEL_ATTEMPT, LABEL_NAME, check_name, check_report_name
from domaintraining.api.report import REPORT_KEY
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.controller.checks import RECORD_KEY, Checks
from domaintraining.controller.cluster import CLAIM, CONFIG_MAP, JOB, POD, JsonObject
from domaintraining.controller.models import ModelInfo
from tests.unit.controller.world import World

DATA = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
VOLUME = {"persistentVolumeClaim": {"claimName": "samples", "path": "samples.jsonl"}}
SERVED: dict[str, Any] = {
    "entities": {
        "verdict": "Improved",
        "f1": 0.8,
        "precision": 0.8,
        "recall": 0.8,
        "confidenceInterval": {"low": 0.7, "high": 0.9},
        "documents": 40,
    }
}
"""What the served prompt was measured with."""
UNMEASURED: dict[str, Any] = {"entities": {"verdict": "NotMeasured", "validationF1": 0.8}}
NEW, OTHER = "b" * 64, "c" * 64
"""Digests of samples, as trainers report them."""


def drifting(data: dict[str, Any] = DATA, metrics: dict[str, Any] = SERVED, **spec: Any) -> World:
    """A world at rest: run 1 was promoted with the samples `first` and the model's digest sha256:1."""
    world = World({"dataset": data, "tasks": ["entities"]} | spec)
    for rival in spec.get("compareWith", []):
        world.models.models[rival["name"]] = ModelInfo("sha256:1", frozenset({"completion"}))
    fill(world, "first")
    claim = {"namespace": "team", "name": "samples", "uid": "uid-claim"}
    world._put({"apiVersion": CLAIM.api_version, "kind": CLAIM.kind, "metadata": claim})
    world.train(metrics)
    world.end_job("Complete")
    world.settle()
    return world


def fill(world: World, content: str, **labels: str) -> None:
    """Somebody writes the ConfigMap with the samples."""
    metadata = {"namespace": "team", "name": "samples", "labels": labels}
    body = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": metadata}
    world._put(body | {"data": {"samples.jsonl": content}})


def renew(world: World, digest: str, name: str = "qwen3:32b") -> None:
    """The model server gets another model of the same name; the next resync asks it."""
    world.models.models[name] = ModelInfo(digest, frozenset({"completion"}))
    later(world, 600)


def later(world: World, seconds: float) -> None:
    """Time passes."""
    world.now += timedelta(seconds=seconds)


def record(world: World) -> Checks:
    """The record of the checks."""
    return Checks.model_validate_json(world.get(CONFIG_MAP, check_name("docs"))["data"][RECORD_KEY])


def started(world: World) -> Run:
    """What the trainer of the open check starts from."""
    return Run.model_validate_json(world.get(CONFIG_MAP, check_name("docs"))["data"][RUN_KEY])


def check_jobs(world: World) -> list[str]:
    """Names of the Jobs of checks that are there."""
    return [name for name in world.names(JOB) if "-check-" in name]


def check_job(world: World) -> JsonObject:
    """The one Job of a check."""
    (name,) = check_jobs(world)
    return world.get(JOB, name)


def run_check_pod(world: World) -> None:
    """The pod of the check runs."""
    job = check_job(world)
    labels = job["metadata"]["labels"] | {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    metadata = {"namespace": "team", "name": job["metadata"]["name"], "labels": labels}
    world._put(
        {
            "apiVersion": POD.api_version,
            "kind": POD.kind,
            "metadata": metadata,
            "status": {"phase": "Running"},
        }
    )


def found(
    digest: str = NEW, f1: float | None = None, *, changed: bool = True, **parts: Any
) -> dict[str, Any]:
    """What a trainer reports of a check; without an F1 nothing was measured."""
    numbers = {"f1": f1, "precision": f1, "recall": f1, "confidenceInterval": {"low": 0.0, "high": 1.0}}
    measured = {"metrics": {"entities": numbers | {"documents": 30}}, "modelCalls": 30}
    why = "NoHeldOutData" if changed else "Unchanged"
    return {
        "dataDigest": digest,
        "changed": changed,
        "dataset": {"samples": 80, "digest": digest},
        **(measured if f1 is not None else {"unmeasured": why}),
        **parts,
    }


def report(world: World, **parts: Any) -> None:
    """The check's trainer reports; parts are those of the report."""
    attempt = int(check_job(world)["metadata"]["labels"][LABEL_ATTEMPT])
    text = json.dumps({"run": started(world).number, "attempt": attempt} | parts)
    body = world.get(CONFIG_MAP, check_report_name("docs"))
    world._put(body | {"data": {REPORT_KEY: text}})


def end(world: World, kind: str = "Complete") -> None:
    """The check's Job ends, and its pod with it."""
    job = check_job(world)
    world._put(job | {"status": {"conditions": [{"type": kind, "status": "True"}]}})
    world.cluster.objects.pop((POD, "team", job["metadata"]["name"]), None)


def answer(world: World, given: dict[str, Any]) -> None:
    """The check that is due runs to its end with this report, and the controller sees it."""
    world.settle()
    run_check_pod(world)
    world.settle()
    report(world, check=given)
    end(world)
    world.settle()
    world.settle()


def drift(world: World) -> dict[str, Any]:
    """status.drift."""
    told: dict[str, Any] = world.resource["status"]["drift"]
    return told


def findings(world: World) -> tuple[str | None, str | None]:
    """What status says was found of data and model."""
    told = world.resource["status"].get("drift", {})
    return told.get("data", {}).get("finding"), told.get("model", {}).get("finding")


def left(world: World) -> list[str]:
    """What is there of checks beside the record."""
    return sorted(
        name
        for (kind, _, name), obj in world.cluster.objects.items()
        if name.startswith("docs-check")
        and obj["metadata"].get("labels", {}).get(LABEL_NAME) == "docs"
        and (kind, name) != (CONFIG_MAP, "docs-check")
    )
