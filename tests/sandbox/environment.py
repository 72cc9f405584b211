"""The product on one machine: control plane, simulated node, model server, and the operator in a pod."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from tests.sandbox.build import cache_folder, controlplane_binary
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.components import free_ports
from tests.sandbox.daemons import Daemon
from tests.sandbox.errors import SandboxError
from tests.sandbox.neo4j.artifacts import jars
from tests.sandbox.neo4j.server import Neo4j
from tests.sandbox.progress import Say

Json = dict[str, Any]
NAMESPACE = "domaintraining-system"
CONTROLLER = "domaintraining-controller"
GRAPH_SECRET = "neo4j"
# Domains that the demo finds in the graph are its namespace's; others that nobody owns are nobody's here.
GRAPH_SETTINGS = {"GRAPH_CLUSTER": "sandbox", "GRAPH_DOMAINS": "demo=*"}
IMAGE = "domaintraining:sandbox"
MODEL_SERVER = "simulated-ollama"
MODEL = "qwen3:32b"
SLOTS = 4
# Tests run side by side in one cluster and are not to wait for each other.
TRAININGS = 8
# Not there at first, to try pulls with: one takes a second, the other can be watched for ten.
# The third makes embeddings, and is what metric.matching semantic uses; the last three are as good as the
# others, and worse on purpose.
PULLABLE = (
    "qwen3:8b,size=5200000000",
    "qwen2.5:72b,size=47000000000",
    "bge-m3:latest,embedding,size=1200000000",
    "simulated-good:7b,size=400000000",
    "simulated-fair:3b,size=200000000,lapses=0.3",
    "simulated-poor:1b,size=100000000,lapses=0.6",
)
CRD = REPOSITORY / "crds" / "domaintrainings.yaml"
RULES = REPOSITORY / "charts" / "domaintraining" / "files" / "rules.yaml"
MANIFEST = REPOSITORY / "charts" / "kustomize" / "base" / "operator.yaml"
READY_SECONDS = 60.0
PAUSE_SECONDS = 0.1


class Sandbox:
    """A cluster with the operator in it, kept in a state folder; found again there by any process.

    With `graph` there is a real Neo4j, which the operator writes the domains to; `variables` are further
    ones of the operator's, over those of the sandbox.
    """

    def __init__(
        self, state: Path, variables: Mapping[str, str] = MappingProxyType({}), *, graph: bool = False
    ) -> None:
        self.cluster = Cluster(state)
        self.graph = Neo4j(state) if graph else None
        self._variables = variables
        self.own_server = os.environ.get("OLLAMA_BASE_URL", "").rstrip("/")

    @property
    def simulated(self) -> bool:
        """Whether the model is the simulated one, not a server that OLLAMA_BASE_URL names."""
        return not self.own_server

    @property
    def model_server(self) -> str:
        """URL of the model server that runs now."""
        return self.own_server or _first_line(Daemon(MODEL_SERVER, self.cluster.state))

    def up(self, say: Say) -> None:
        """Starts everything and returns when the operator runs; about 10 s once the control plane is built.

        Raises SandboxError with the end of the log of what did not start; then nothing is left behind.
        """
        binary = controlplane_binary(say)
        if self.graph:
            jars(say)
        say("starting the control plane")
        self.cluster.start(binary)
        try:
            say("starting the simulated node")
            images = {"domaintraining": f"{sys.executable} -m domaintraining"}
            self.cluster.start_node(images, pythonpath=[REPOSITORY / "operator"])
            server = self._model_server(say)
            if self.graph:
                say("starting Neo4j")
                self.graph.start(say)
            self._install(server, say)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Ends every program and removes the state folder; no effect where there is none."""
        self.cluster.stop()

    def wait_for(self, what: str, look: Callable[[], Any]) -> None:
        """Returns when `look` gives what is true. Raises SandboxError after a minute, with the log's end."""
        deadline = time.monotonic() + READY_SECONDS
        while not look():
            if time.monotonic() > deadline:
                raise SandboxError(f"{what}: not within {READY_SECONDS:.0f} s\n{self.controller_log()}")
            time.sleep(PAUSE_SECONDS)

    def controller_log(self) -> str:
        """The end of the operator's log, or why there is none."""
        try:
            return self.cluster.kubectl(
                "logs", f"--namespace={NAMESPACE}", f"deploy/{CONTROLLER}", "--tail=40"
            )
        except SandboxError as error:
            return str(error)

    def _model_server(self, say: Say) -> str:
        """The URL of the model server, which is started unless the environment names one."""
        if self.own_server:
            say(f"the model server is the one of OLLAMA_BASE_URL: {self.own_server}")
            return self.own_server
        say(f"starting the SIMULATED model server ({SLOTS} slots): its answers come from no model")
        server = Daemon(MODEL_SERVER, self.cluster.state)
        command = [sys.executable, "-u", "-m", "tests.sandbox.simulated_ollama", f"--slots={SLOTS}"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(REPOSITORY)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        models = [f"--model={MODEL}", *(f"--pullable={model}" for model in PULLABLE)]
        server.start([*command, *models], environment, REPOSITORY)
        self.wait_for("the simulated model server", lambda: _listens(server))
        return self.model_server

    def _install(self, model_server: str, say: Say) -> None:
        say("applying the CRD, the operator's rights and the operator")
        self.cluster.define(CRD)
        items = operator_objects(model_server, self._variables, self.graph)
        objects = {"apiVersion": "v1", "kind": "List", "items": items}
        self.cluster.kubectl("apply", "--filename=-", input=json.dumps(objects))
        self.wait_for("the operator", self._rolled_out)

    def _rolled_out(self) -> bool:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"
        return bool(self.cluster.api.get(path).get("status", {}).get("availableReplicas"))


def default_state() -> Path:
    """Where `make sandbox` keeps its cluster."""
    return cache_folder(os.environ) / "sandbox"


def operator_objects(
    model_server: str, further: Mapping[str, str] = MappingProxyType({}), graph: Neo4j | None = None
) -> list[Json]:
    """What users install, with the sandbox's image, settings and further ones, and a Secret of the graph."""
    objects: list[Json] = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
    (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
    port = free_ports().api  # pods share the machine's network, and there may be another sandbox
    container["ports"] = [{"name": "probes", "containerPort": port}]
    own = {
        "OLLAMA_BASE_URL": model_server,
        "OLLAMA_MODEL_GENERATION": MODEL,
        "OLLAMA_NUM_PARALLEL": str(SLOTS),
        "TRAININGS_PER_SERVER": str(TRAININGS),
        "TRAINER_IMAGE": IMAGE,
        "HEALTH_PORT": str(port),
        **further,
    }
    variables = {one["name"]: one for one in container["env"]}
    variables |= {name: {"name": name, "value": value} for name, value in own.items()}
    if graph:
        access = {"NEO4J_URI": "uri", "NEO4J_USER": "username", "NEO4J_PASSWORD": "password"}
        variables |= {name: _of_secret(name, key) for name, key in access.items()}
        variables |= {name: {"name": name, "value": value} for name, value in GRAPH_SETTINGS.items()}
        objects.insert(1, _graph_secret(graph))  # behind the namespace
    container["image"] = IMAGE
    container["env"] = list(variables.values())
    return objects


def _of_secret(variable: str, key: str) -> Json:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": GRAPH_SECRET, "key": key}}}


def _graph_secret(graph: Neo4j) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": GRAPH_SECRET, "namespace": NAMESPACE},
        "stringData": {"uri": graph.uri, "username": graph.user, "password": graph.password},
    }


def _listens(server: Daemon) -> bool:
    server.expect_running()
    url = _first_line(server)
    if not url.startswith("http"):
        return False
    try:
        with urlopen(f"{url}/api/version", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _first_line(server: Daemon) -> str:
    """The URL, which the server prints first."""
    if not server.log.exists():
        return ""
    line, end, _ = server.log.read_text(encoding="utf-8").partition("\n")
    return line.strip() if end else ""


def path_of_kubectl(cluster: Cluster) -> Path:
    """A folder for PATH that holds this cluster's kubectl and nothing else."""
    folder = cluster.state / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "kubectl").exists():
        (folder / "kubectl").symlink_to(cluster.kubectl_program)
    return folder


def is_installed(program: str) -> bool:
    """Whether PATH has the program."""
    return shutil.which(program) is not None
