"""The controller at work on a real API server, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from domaintraining.api.names import report_name
from domaintraining.api.report import REPORT_KEY
from tests.integration.trainings import GROUP, SAMPLES
from tests.integration.waiting import wait_for
from tests.sandbox.api import ApiError
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.components import free_ports
from tests.sandbox.environment import CONTROLLER, CRD, NAMESPACE, operator_objects
from tests.unit.trainer.loopback import Loopback, Received, Reply

Json = dict[str, Any]
MODEL = "bench:1b"
SPACE = "bench"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{CONTROLLER}"
HANDS = 8
"""Requests of the bench itself in flight."""
BODY: Json = {
    "apiVersion": "training.aegisrag.io/v1alpha1",
    "kind": "DomainTraining",
    "spec": {"dataset": {"configMap": {"name": "samples", "key": "samples.jsonl"}}, "auto": "light"},
}


@dataclass(frozen=True)
class Asked:
    """A request of the controller."""

    verb: str
    resource: str
    """With its subresource."""
    name: str
    at: datetime

    @classmethod
    def of(cls, event: Json) -> Asked:
        """As the audit log has it; requests about no object, such as pings, have their path as resource."""
        about = event.get("objectRef") or {"resource": event["requestURI"].partition("?")[0]}
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        at = datetime.fromisoformat(event["requestReceivedTimestamp"])
        return cls(event["verb"], resource, about.get("name", ""), at)


def model_server(request: Received) -> Reply:
    """Answers as an Ollama server that has the one model."""
    if request.path == "/api/version":
        return Reply({"version": "0.0.0-stub"})
    if request.path == "/api/show":
        return Reply({"capabilities": ["completion"]})
    return Reply({"models": [{"name": MODEL, "digest": "0" * 64}]})


class Stage:
    """A cluster, and the controller as a process beside it."""

    def __init__(
        self, cluster: Cluster, process: subprocess.Popen[bytes], port: int, server: Loopback
    ) -> None:
        self.cluster, self.process, self._port, self.server = cluster, process, port, server

    def memory(self) -> tuple[float, float]:
        """What the controller holds now, and the most that it ever held, in MB of 10^6 bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in text.splitlines())
        now, most = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
        return now, most

    def seconds_of_processor(self) -> float:
        """What it has used so far."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ready(self) -> bool:
        """Whether all its watches are on."""
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def asked(self) -> list[Asked]:
        """Its requests so far; watches count when they are over."""
        return [Asked.of(one) for one in self.cluster.audited() if one["user"]["username"] == OPERATOR]

    def create(self, count: int, **spec: Any) -> dict[str, datetime]:
        """Makes so many resources as fast as it can; gives when each was there, by its name."""
        path = f"{GROUP}/namespaces/{SPACE}/domaintrainings"

        def one(name: str) -> tuple[str, datetime]:
            named = {"metadata": {"name": name, "namespace": SPACE}}
            self.cluster.api.create(path, BODY | named | {"spec": BODY["spec"] | spec})
            return name, datetime.now(UTC)

        with ThreadPoolExecutor(HANDS) as hands:
            return dict(hands.map(one, [f"t{number:04}" for number in range(count)]))

    def jobs(self) -> list[str]:
        """Names of the Jobs."""
        found = self.cluster.api.items(f"/apis/batch/v1/namespaces/{SPACE}/jobs")
        return [one["metadata"]["name"] for one in found]

    def run_pods(self) -> None:
        """Has all pods run, as far as the API server can tell."""
        pods = f"/api/v1/namespaces/{SPACE}/pods"
        status = {"status": {"phase": "Running"}}
        for pod in self.cluster.api.items(pods):
            self.cluster.api.patch(f"{pods}/{pod['metadata']['name']}/status", status)

    def report(self, name: str, percent: int) -> None:
        """What the trainer of a first attempt says of its progress."""
        report = {"run": 1, "attempt": 1, "progress": {"percent": percent, "modelCalls": percent}}
        path = f"/api/v1/namespaces/{SPACE}/configmaps/{report_name(name, 1)}"
        self.cluster.api.patch(path, {"data": {REPORT_KEY: json.dumps(report)}})

    def stalled(self, name: str) -> tuple[str, str]:
        """Why a resource needs a person: reason and message; empty where it does not."""
        found = self.cluster.api.get(f"{GROUP}/namespaces/{SPACE}/domaintrainings/{name}")
        for one in found.get("status", {}).get("conditions", []):
            if one["type"] == "Stalled" and one["status"] == "True":
                return one["reason"], one["message"]
        return "", ""

    def percents(self) -> dict[str, int]:
        """The progress in each status."""
        found = self.cluster.api.items(f"{GROUP}/namespaces/{SPACE}/domaintrainings")
        return {
            one["metadata"]["name"]: one.get("status", {}).get("progress", {}).get("percent", 0)
            for one in found
        }


@contextmanager
def stage(cluster: Cluster, log: Path, **settings: str) -> Iterator[Stage]:
    """The controller on a cluster that runs, until the block ends; then its resources go.

    Args:
        cluster: without an operator.
        log: file for what the controller says.
        settings: further ones of its environment.
    """
    with Loopback(model_server) as server:
        _install(cluster, server.url)
        port = free_ports().api
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "KUBECONFIG": str(cluster.kubeconfig_for(CONTROLLER, NAMESPACE)),
            "TRAINER_IMAGE": "none",
            "OLLAMA_BASE_URL": server.url,
            "OLLAMA_MODEL_GENERATION": MODEL,
            "TRAININGS_PER_SERVER": "1000",
            "HEALTH_PORT": str(port),
            **settings,
        }
        command = [sys.executable, "-m", "domaintraining", "controller"]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            here = Stage(cluster, process, port, server)
            try:
                wait_for("the controller", here.ready)
                yield here
                delete_all(here)
            finally:
                process.kill()


def _install(cluster: Cluster, model_server: str) -> None:
    """All that users install but the Deployment, and a namespace with samples."""
    cluster.define(CRD)
    objects = [one for one in operator_objects(model_server) if one["kind"] != "Deployment"]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    samples = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "samples", "namespace": SPACE},
        "data": {"samples.jsonl": SAMPLES},
    }
    whole = {"apiVersion": "v1", "kind": "List", "items": [*objects, space, samples]}
    cluster.kubectl("apply", "--filename=-", input=json.dumps(whole))


def delete_all(here: Stage) -> None:
    """Removes all resources, and waits until what was made for them is gone."""
    here.cluster.api.delete(f"{GROUP}/namespaces/{SPACE}/domaintrainings")
    owned = "training.aegisrag.io/name"
    made = f"/api/v1/namespaces/{SPACE}/configmaps"
    wait_for("the end of all Jobs", lambda: not here.jobs(), seconds=300)
    wait_for("the rest", lambda: not here.cluster.api.items(made, labelSelector=owned), seconds=300)


def answers(cluster: Cluster) -> bool:
    """Whether the API server takes all requests, also after it was started anew."""
    try:
        return cluster.api.text("/readyz") == "ok"
    except (OSError, ApiError):
        return False


def by_kind(asked: list[Asked]) -> Counter[str]:
    """How many requests of each verb and resource."""
    return Counter(f"{one.verb} {one.resource}" for one in asked)
