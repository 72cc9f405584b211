"""Short words for what the tests do with DomainTrainings named docs, each in a namespace of its own."""

from __future__ import annotations

import json
from typing import Any, Protocol

from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY, Cluster

SAMPLES = (REPOSITORY / "crds" / "samples" / "tech-docs.jsonl").read_text(encoding="utf-8")
GROUP = "/apis/training.aegisrag.io/v1alpha1"
Json = dict[str, Any]


class HasCluster(Protocol):
    """The sandbox, or the product on a real node."""

    @property
    def cluster(self) -> Cluster:
        """The cluster that the operator runs in."""


def apply(sandbox: HasCluster, space: str, **spec: Any) -> None:
    """`kubectl apply` of a DomainTraining named docs."""
    data = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
    body = {
        "apiVersion": "training.aegisrag.io/v1alpha1",
        "kind": "DomainTraining",
        "metadata": {"name": "docs", "namespace": space},
        "spec": {"dataset": data, "auto": "light"} | spec,
    }
    sandbox.cluster.kubectl("apply", "--filename=-", input=json.dumps(body))


def allow_pods(sandbox: HasCluster, space: str, number: str) -> None:
    """A quota of pods, or a change of it."""
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    body = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": number}}}
    if sandbox.cluster.api.find(f"{quotas}/team"):
        sandbox.cluster.api.patch(f"{quotas}/team", body)
        return
    sandbox.cluster.api.create(quotas, body)
    wait_for("the quota", lambda: sandbox.cluster.api.get(f"{quotas}/team").get("status", {}).get("hard"))


def status(sandbox: HasCluster, space: str) -> Json:
    """The status now."""
    found = sandbox.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/docs")
    return dict(found.get("status") or {})


def condition(sandbox: HasCluster, space: str, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty where there is none."""
    for one in status(sandbox, space).get("conditions", []):
        if one["type"] == kind:
            return one["status"], one["reason"], one["message"]
    return "", "", ""


def ready(sandbox: HasCluster, space: str) -> Json:
    """The status once the prompt is served."""
    wait_for("Ready", lambda: condition(sandbox, space, "Ready")[0] == "True", seconds=240)
    return status(sandbox, space)


def jobs(sandbox: HasCluster, space: str) -> list[str]:
    """Names of the Jobs."""
    return [
        one["metadata"]["name"]
        for one in sandbox.cluster.api.items(f"/apis/batch/v1/namespaces/{space}/jobs")
    ]


def config_map(sandbox: HasCluster, space: str, name: str) -> Json:
    """Data of a ConfigMap."""
    return dict(sandbox.cluster.api.get(f"/api/v1/namespaces/{space}/configmaps/{name}")["data"])
