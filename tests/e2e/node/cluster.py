"""A Kubernetes cluster whose one node is this machine: real containers, services and names."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final
from urllib.request import urlopen

from tests.e2e.node import components, leftovers, network, pause_image
from tests.e2e.node.network import API_PORT, API_SERVICE, NODE_ADDRESS
from tests.e2e.node.programs import Programs
from tests.e2e.node.requirements import PATH
from tests.e2e.node.runtime import Runtime
from tests.sandbox import kubeconfig
from tests.sandbox.build import cache_folder
from tests.sandbox.cluster import MARKER, START_SECONDS, Cluster
from tests.sandbox.components import Ports, free_ports, new_token
from tests.sandbox.daemons import Daemon, recorded
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say

NODE_DAEMONS: Final = ("kubelet", "kube-proxy", "coredns")
KUBELET_HEALTH_PORT: Final = 10248
USERS: Final = {"kube-proxy": components.PROXY_USER, "coredns": components.DNS_USER}


class RealCluster(Cluster):
    """One control plane and one real node. Its addresses exist on this machine only.

    Another RealCluster of the same folder finds its programs again, as with the sandbox's. Images stay in
    the user's cache. Needs what `requirements.obstacle` asks for; one at a time on a machine.
    """

    node = components.NODE
    daemon_path = PATH

    def __init__(self, state: Path, programs: Programs) -> None:
        super().__init__(state)
        self._programs = programs
        self.runtime = Runtime(self.state, e2e_folder() / "containerd")
        self._network_record = self.state / "network.json"

    def up(self, images: Mapping[str, Path], say: Say) -> None:
        """Starts everything and returns when the node is Ready and the images are loaded: about 10 s.

        Args:
            images: tars of images by name; those that are loaded already are left alone.
            say: gets a line for each stage.

        Raises SandboxError with the end of the log of what did not start; then nothing is left behind.
        """
        say("starting the control plane and containerd")
        with ThreadPoolExecutor(1) as beside:
            self.start(self._programs.controlplane)
            try:
                loading = beside.submit(self._load, images)
                say("starting kubelet, kube-proxy and DNS")
                for name in ("kube-proxy", "coredns"):
                    self.start_component(name)
                self.start_kubelet()
                self._wait(f"node {self.node}", self.node_is_ready)
                loading.result()
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Ends containers and programs and gives the machine its settings back; no effect without a node."""
        if not (self.state / MARKER).exists():
            return
        for name in NODE_DAEMONS:
            Daemon(name, self.state).stop(signal.SIGKILL)
        if self.component("containerd").running() and self.runtime.serves():
            self.runtime.end_containers()
        self.component("containerd").stop()
        for daemon in recorded(self.state):
            daemon.stop(signal.SIGKILL)
        leftovers.kill_containers(self.runtime.running)
        leftovers.end_shims(self.runtime.socket, self.runtime.running)
        leftovers.forget_networks(network.POD_NETWORK)
        leftovers.remove_control_groups()
        network.down(self._network_record)
        leftovers.unmount_below(self.state)
        shutil.rmtree(self.state, ignore_errors=True)

    def restart_services(self) -> None:
        """Stops kubelet and containerd and starts them again; containers run on meanwhile."""
        for name in ("kubelet", "containerd"):
            self.component(name).stop()
        self.start_component("containerd")
        self.start_kubelet()

    def start_kubelet(self) -> None:
        """Starts the kubelet and returns when it is up; one that ends meanwhile is started again.

        containerd answers before its part for kubelets does, and a kubelet that does not find that ends.
        Raises SandboxError with the end of its log when it does not come up.
        """
        deadline = time.monotonic() + START_SECONDS
        kubelet = self.component("kubelet")
        while not kubelet_is_up():
            if time.monotonic() > deadline:
                raise SandboxError(f"the kubelet does not come up; the end of its log:\n{kubelet.tail()}")
            if not kubelet.running():
                self.start_component("kubelet")
            time.sleep(0.1)

    def node_is_ready(self) -> bool:
        """Whether the API server takes the node for ready."""
        found = self.api.find(f"/api/v1/nodes/{self.node}") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _load(self, images: Mapping[str, Path]) -> None:
        pause = pause_image.write_image(self._programs.pause, self.state / "pause.tar")
        self.runtime.import_images({pause_image.NAME: pause, **images})

    def _prepare(self) -> None:
        network.up(self._network_record)
        super()._prepare()
        self.runtime.prepare()
        self.start_component("containerd")
        self.runtime.plugins.joinpath("10-pods.conflist").write_text(
            network.plugin_configuration(self.state), encoding="utf-8"
        )
        components.write_files(self.state, self.runtime.socket)
        with (self.state / "tokens.csv").open("a", encoding="utf-8") as tokens:
            for name, user in USERS.items():
                token = new_token()
                tokens.write(f"{token},{user},{name}\n")
                kubeconfig.write(self.state / f"{name}.kubeconfig", self._access(token))

    def _install(self) -> None:
        for path, body in components.objects():
            self.api.create(path, body)
        self._wait("containerd", self.runtime.serves)

    @property
    def _node_kubeconfig(self) -> Path:
        return self.state / "kubelet.kubeconfig"

    @property
    def _server(self) -> str:
        return f"https://{NODE_ADDRESS}:{API_PORT}"

    def _addresses(self) -> Sequence[str]:
        return (NODE_ADDRESS, API_SERVICE)

    def _new_ports(self) -> Ports:
        return Ports(api=API_PORT, etcd=free_ports().etcd)

    def _commands(self) -> Mapping[str, Sequence[str]]:
        configuration = self.runtime.configuration
        return components.commands(self._programs, self.state, self._ports, configuration)


def kubelet_is_up() -> bool:
    """Whether a kubelet of this node says that it is well."""
    try:
        with urlopen(f"http://{NODE_ADDRESS}:{KUBELET_HEALTH_PORT}/healthz", timeout=2):
            return True
    except OSError:
        return False


def e2e_folder() -> Path:
    """What the end-to-end tests keep in the user's cache."""
    return cache_folder(os.environ) / "e2e"


def state_folder() -> Path:
    """Where the machine's one node is, whoever has started it: what is left of it is found there."""
    return e2e_folder() / "node"


@contextlib.contextmanager
def only_node(say: Say) -> Iterator[None]:
    """Holds the machine's one place for a node; waits where another one has it."""
    folder = e2e_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "node.lock").open("w") as lock:
        _wait_for(lock, say)
        yield


def _wait_for(lock: IO[str], say: Say) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another node runs on this machine: waiting for its end")
        fcntl.flock(lock, fcntl.LOCK_EX)
