"""The product on a real node: model server and operator, as a team that runs a cluster has them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import yaml

from tests.e2e import images
from tests.e2e.node.cluster import RealCluster
from tests.integration.waiting import wait_for
from tests.sandbox.build import helm_binary
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import CONTROLLER, NAMESPACE
from tests.sandbox.progress import Say

Json = dict[str, Any]
CHART: Final = REPOSITORY / "charts" / "domaintraining"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
MODEL: Final = "qwen3:32b"
SLOTS: Final = 4
TRAININGS_AT_ONCE: Final = 24
MODEL_NAMESPACE: Final = "ollama"
SIMULATED: Final = "simulated-ollama"
ENDPOINT: Final = "http://ollama.ollama:11434"
PORT: Final = 11434
USER: Final = 65532


class Product:
    """Operator and simulated model server on a running node."""

    def __init__(self, cluster: RealCluster) -> None:
        self.cluster = cluster

    def start(self, say: Say) -> None:
        """Starts the model server and installs the operator with helm; returns when both serve."""
        say(f"starting the SIMULATED model server as {ENDPOINT}: its answers come from no model")
        create_namespace(self.cluster, MODEL_NAMESPACE)
        for path, body in model_server_objects():
            self.cluster.api.create(path, body)
        say("installing the chart with helm")
        create_namespace(self.cluster, NAMESPACE)
        self.install(say)
        wait_for("the model server", lambda: available(self.cluster, MODEL_NAMESPACE, SIMULATED), 60)
        wait_for("the operator", lambda: available(self.cluster, NAMESPACE, CONTROLLER), 60)

    def install(self, say: Say) -> None:
        """`helm upgrade --install` of the chart with the images and settings of the tests."""
        values = self.cluster.state / "values.yaml"
        values.write_text(yaml.safe_dump(chart_values()), encoding="utf-8")
        self.helm(
            say,
            *("upgrade", "--install", "domaintraining", str(CHART), f"--namespace={NAMESPACE}"),
            *(f"--values={values}", "--wait", "--timeout=90s"),
        )

    def helm(self, say: Say, *arguments: str) -> str:
        """Runs helm as admin and gives its output. Raises AssertionError with what it said when it fails."""
        done = subprocess.run(
            [helm_binary(say), *arguments],
            env={
                "PATH": os.defpath,
                "HOME": str(self.cluster.state),
                "KUBECONFIG": str(self.cluster.admin_kubeconfig),
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def asked(self) -> Json:
        """What the model server was asked so far, as its own counts have it."""
        with urlopen(f"{self.model_server}/simulated/stats", timeout=10) as answer:
            counts: Json = json.load(answer)
        return counts

    def calls(self) -> int:
        """Chat calls that the model server has got so far."""
        return int(self.asked()["calls"].get("/api/chat", 0))

    def order_faults(self, **faults: Any) -> None:
        """What goes wrong at the model server from now on; nothing, without arguments."""
        body = json.dumps(faults).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.model_server}/simulated/faults", body, headers), timeout=10):
            return

    @property
    def model_server(self) -> str:
        """URL of the model server's pod as the machine reaches it."""
        path = f"/api/v1/namespaces/{MODEL_NAMESPACE}/services/ollama"
        address = self.cluster.api.get(path)["spec"]["clusterIP"]
        return f"http://{address}:{PORT}"


def create_namespace(cluster: RealCluster, name: str) -> None:
    """A namespace that takes restricted pods only; returns when pods can be created in it."""
    path = f"/api/v1/namespaces/{name}"
    cluster.api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": RESTRICTED}})
    wait_for("its service account", lambda: cluster.api.find(f"{path}/serviceaccounts/default"))
    wait_for("the CA for its pods", lambda: cluster.api.find(f"{path}/configmaps/kube-root-ca.crt"))


def available(cluster: RealCluster, namespace: str, deployment: str) -> bool:
    """Whether a Deployment has an available pod."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
    found = cluster.api.find(path) or {}
    return bool(found.get("status", {}).get("availableReplicas"))


def restricted_container(**fields: Any) -> Json:
    """A container that Pod Security lets into a restricted namespace."""
    return {
        "imagePullPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **fields,
    }


def chart_values() -> Json:
    """The chart's values of the tests: local images, the simulated server, many trainings at once."""
    return {
        "images": {
            "controller": _image(images.CONTROLLER) | {"pullPolicy": "Never"},
            "trainer": _image(images.TRAINER),
        },
        "model": {"name": MODEL, "endpoint": ENDPOINT},
        # Names of a team's own choice: where they lead is what the operator checks then.
        "allowed": {"endpoints": ["http://ollama-astray.*:443"]},
        "modelServers": [{"endpoint": ENDPOINT, "requests": SLOTS, "trainings": TRAININGS_AT_ONCE}],
    }


def _image(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag}


def model_server_objects() -> list[tuple[str, Json]]:
    """Deployment and Service of the simulated server, with the paths to create them at."""
    labels = {"app.kubernetes.io/name": SIMULATED}
    container = restricted_container(
        name="ollama",
        image=images.SIMULATED_OLLAMA,
        args=[f"--slots={SLOTS}", f"--model={MODEL}"],
        ports=[{"containerPort": PORT}],
        readinessProbe={"httpGet": {"path": "/api/version", "port": PORT}, "periodSeconds": 1},
    )
    deployment = {
        "metadata": {"name": SIMULATED, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "automountServiceAccountToken": False},
            },
        },
    }
    service = {"metadata": {"name": "ollama"}, "spec": {"selector": labels, "ports": [{"port": PORT}]}}
    return [
        (f"/apis/apps/v1/namespaces/{MODEL_NAMESPACE}/deployments", deployment),
        (f"/api/v1/namespaces/{MODEL_NAMESPACE}/services", service),
    ]


def make_writable(path: Path) -> None:
    """Makes a folder of the machine that a pod's user may write into."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, USER, USER)
