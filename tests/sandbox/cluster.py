"""A Kubernetes cluster on loopback ports that lives in one folder: start, use, stop from any process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.sandbox import components, kubeconfig, proc
from tests.sandbox.api import Api, ApiError
from tests.sandbox.components import Ports
from tests.sandbox.daemons import Daemon, recorded
from tests.sandbox.errors import SandboxError
from tests.sandbox.kubeconfig import Access

Json = dict[str, Any]
REPOSITORY = Path(__file__).resolve().parents[2]
NODE = "simulated-node-1"
MARKER = "sandbox.json"
START_SECONDS = 60.0
# Measured: 570 MB in all instead of 690 (at 200), the start takes the same 3 s.
GO_ENVIRONMENT = {"GOGC": "50"}


class Cluster:
    """One control plane and its simulated node, kept in a state folder of its own.

    The programs live on when the process that started them ends; a Cluster made with the same folder finds
    them again. Everything listens on 127.0.0.1 only.
    """

    node = NODE
    """The name of its node."""
    daemon_path = os.defpath
    """PATH of the components."""

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self.admin_kubeconfig = self.state / "admin.kubeconfig"

    def start(self, binary: Path) -> None:
        """Starts the control plane and returns when pods can be created (about 3 s), without any node yet.

        Raises SandboxError where the folder holds something else or a running cluster, and with the end of a
        component's log when that component fails; then nothing is left behind.
        """
        self._claim_folder(binary)
        try:
            self._prepare()
            for name in ("etcd", "kube-apiserver"):
                self.start_component(name)
            self._wait("the API server", self._serves)
            for name in ("kube-controller-manager", "kube-scheduler"):
                self.start_component(name)
            self._install()
            self._wait("the controllers", self._accepts_pods)
        except BaseException:
            self.stop()
            raise

    def start_node(
        self, images: Mapping[str, str], *, pythonpath: Sequence[Path] = (), options: Sequence[str] = ()
    ) -> None:
        """Starts the simulated node, which runs pods as processes, and returns when it is Ready.

        `images` maps the beginning of image names to a command: a Python interpreter, and after it the words
        of the image's entry point ("/venv/bin/python -m domaintraining"). `pythonpath` is the pods'.
        """
        command = [sys.executable, "-m", "tests.sandbox.node", f"--name={NODE}"]
        command += [f"--kubeconfig={self._node_kubeconfig}", f"--state-dir={self.state / 'node'}"]
        command += [f"--certificates={self.state / 'certificates'}"]
        command += [f"--image={prefix}={words}" for prefix, words in images.items()]
        command += [f"--pythonpath={folder.resolve()}" for folder in pythonpath]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(REPOSITORY)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        before = self._node_renewal()
        Daemon(NODE, self.state).start([*command, *options], environment, REPOSITORY)
        self._wait(f"node {NODE}", lambda: self._node_renewal() != before)

    def stop(self) -> None:
        """Ends every program of this folder, pods first, and removes it; no effect without a cluster."""
        if not (self.state / MARKER).exists():
            return
        for daemon in recorded(self.state):
            if daemon.name == NODE:
                daemon.stop(signal.SIGKILL)
        end_pods(self.state / "node")
        for daemon in recorded(self.state):
            daemon.stop(signal.SIGKILL)  # the data are thrown away: nothing to end gracefully
        shutil.rmtree(self.state, ignore_errors=True)

    def running(self) -> dict[str, int]:
        """The running programs' process ids by name: components and node."""
        found = {daemon.name: daemon.running() for daemon in recorded(self.state)}
        return {name: process.pid for name, process in found.items() if process}

    def component(self, name: str) -> Daemon:
        """A component or the node by name, to stop it or to read its log."""
        return Daemon(name, self.state)

    def start_component(self, name: str) -> None:
        """Starts a component of the control plane, or starts it again after it was stopped."""
        environment = {"PATH": self.daemon_path, "HOME": str(self.state), **GO_ENVIRONMENT}
        Daemon(name, self.state).start(self._commands()[name], environment, self.state)

    @cached_property
    def api(self) -> Api:
        """The API server as admin."""
        return Api(kubeconfig.read(self.admin_kubeconfig))

    @property
    def kubectl_program(self) -> Path:
        """The kubectl of the same release as the API server."""
        return self._binary.with_name("kubectl")

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - subprocess' word for it
        """Runs kubectl as admin and gives its output. Raises SandboxError with what it said when it fails."""
        answer = subprocess.run(
            [self.kubectl_program, *arguments],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.state),
                "KUBECONFIG": str(self.admin_kubeconfig),
            },
            input=input,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if answer.returncode:
            raise SandboxError(f"kubectl {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def define(self, crd: Path) -> None:
        """Applies a CRD and returns when its resources are served; SandboxError otherwise.

        No `kubectl wait`: it fails on a CRD that has no conditions yet.
        """
        self.kubectl("apply", "--server-side", f"--filename={crd}")
        name = self.kubectl("get", f"--filename={crd}", "--output=jsonpath={.metadata.name}")
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"

        def established() -> bool:
            conditions = (self.api.get(path).get("status") or {}).get("conditions") or []
            return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

        self._wait("the CRD", established)

    def kubeconfig_for(self, service_account: str, namespace: str, *, hours: int = 24) -> Path:
        """A kubeconfig with a token of an existing service account, and this namespace as its default."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.api.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {**request, "spec": {"expirationSeconds": hours * 3600}},
        )
        access = self._access(answer["status"]["token"], namespace)
        return kubeconfig.write(self.state / "kubeconfigs" / f"{namespace}_{service_account}", access)

    def audited(self) -> Iterator[Json]:
        """What service accounts asked the API server for so far, as audit events (level Metadata).

        Beyond 64 MB the older ones are in another file and left out.
        """
        with (self.state / "audit.log").open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # the last one may be half written
                    yield json.loads(line)

    @cached_property
    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.state / MARKER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SandboxError(f"there is no sandbox in {self.state}: start one first") from None
        return record

    @property
    def _binary(self) -> Path:
        return Path(self._record["binary"])

    @property
    def _ports(self) -> Ports:
        return Ports(**self._record["ports"])

    @property
    def _node_kubeconfig(self) -> Path:
        return self.state / f"{self.node}.kubeconfig"

    def _claim_folder(self, binary: Path) -> None:
        if self.running():
            raise SandboxError(f"a sandbox is running in {self.state}: stop it first")
        self.stop()  # what a machine that went down has left
        if self.state.exists() and any(self.state.iterdir()):
            raise SandboxError(f"{self.state} holds something that is not a sandbox: choose another folder")
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.__dict__.pop("api", None)  # an earlier cluster's port and token
        self._record = {"binary": str(binary), "ports": self._new_ports().record()}
        (self.state / MARKER).write_text(json.dumps(self._record), encoding="utf-8")

    def _prepare(self) -> None:
        certificates = self.state / "certificates"
        command = [str(self._binary), "certificates", f"--dir={certificates}"]
        command += [f"--address={address}" for address in self._addresses()]
        subprocess.run(command, check=True, timeout=60)
        admin, node = components.new_token(), components.new_token()
        tokens = self.state / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(components.tokens_csv(admin, {self.node: node}), encoding="utf-8")
        (self.state / "audit-policy.json").write_text(json.dumps(components.AUDIT_POLICY), encoding="utf-8")
        kubeconfig.write(self.admin_kubeconfig, self._access(admin))
        kubeconfig.write(self._node_kubeconfig, self._access(node))

    def _access(self, token: str, namespace: str = "default") -> Access:
        authority = (self.state / "certificates" / "ca.crt").read_text(encoding="ascii")
        return Access(server=self._server, authority=authority, token=token, namespace=namespace)

    @property
    def _server(self) -> str:
        return f"https://127.0.0.1:{self._ports.api}"

    def _addresses(self) -> Sequence[str]:
        """Where the API server and the node are reached beside loopback."""
        return ()

    def _new_ports(self) -> Ports:
        return components.free_ports()

    def _commands(self) -> Mapping[str, Sequence[str]]:
        return components.commands(self._binary, self.state, self._ports)

    def _install(self) -> None:
        """Creates what the controllers of a sandbox need to find."""
        self.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", components.RIGHTS)
        self.api.create("/apis/storage.k8s.io/v1/storageclasses", components.STORAGE_CLASS)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            for daemon in recorded(self.state):
                daemon.expect_running()
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {daemon.name}\n{daemon.tail()}" for daemon in recorded(self.state))
                raise SandboxError(f"{what} not ready after {START_SECONDS:.0f} s; the logs' ends:\n{tails}")
            time.sleep(0.03)

    def _serves(self) -> bool:
        try:
            return self.api.text("/readyz") == "ok"
        except (OSError, ApiError):
            return False

    def _accepts_pods(self) -> bool:
        """Pods are refused until their namespace has its service account and the CA they trust."""
        default = "/api/v1/namespaces/default"
        needed = (f"{default}/serviceaccounts/default", f"{default}/configmaps/kube-root-ca.crt")
        return all(self.api.find(path) for path in needed)

    def _node_renewal(self) -> str:
        """When the node last said that it lives; it does so right after it has said that it is Ready."""
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        lease = self.api.find(f"{leases}/{NODE}")
        return str(lease["spec"]["renewTime"]) if lease else ""


def end_pods(node_state: Path) -> None:
    """Kills all processes of a node's pods, also those that left their session or whose parents are gone."""
    marker = f"SIMULATED_NODE_STATE={node_state}"
    for _ in range(50):  # a process may start another one while we look
        found = list(proc.with_environment(marker))
        for process in found:
            proc.send(process, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.02)
