"""The node itself: its object at the API server, its heartbeat, and the pods bound to it."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sandbox import proc
from tests.sandbox.node.claims import Provisioner
from tests.sandbox.node.client import NodeApi
from tests.sandbox.node.containers import RETRY_SECONDS, SERVER_SIDE, Container, Surroundings
from tests.sandbox.node.logs import serve_logs
from tests.sandbox.node.memory import watch_memory
from tests.sandbox.node.pods import Pod, folder_name
from tests.sandbox.node.program import MARKER, Program
from tests.sandbox.node.status import POD_ADDRESS, timestamp

Json = dict[str, Any]
LOG = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 10.0
LEASE_SECONDS = 40
PODS = "/api/v1/pods"


@dataclass(frozen=True)
class Capacity:
    """What the node offers to the scheduler, in the API's quantities."""

    cpu: str
    memory: str
    pods: str = "110"


def machine_capacity() -> Capacity:
    """The processors and the memory of this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * proc.PAGE_BYTES // 1024
    return Capacity(cpu=str(os.cpu_count() or 1), memory=f"{memory}Ki")


def node_object(name: str, capacity: Capacity, port: int, now: str) -> Json:
    """The Node, Ready, with the port of its log endpoint."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": machine}
    resources = {"cpu": capacity.cpu, "memory": capacity.memory, "pods": capacity.pods}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "SimulatedNodeReady",
        "message": "pods run as local processes",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    addresses = [{"type": "InternalIP", "address": POD_ADDRESS}, {"type": "Hostname", "address": name}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**labels, "domaintraining.test/simulated": "true"}},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [ready],
            "addresses": addresses,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": _node_info(machine),
        },
    }


def _node_info(machine: str) -> Json:
    told = ("machineID", "systemUUID", "bootID", "osImage", "kubeProxyVersion")
    return {
        **dict.fromkeys(told, ""),
        "kernelVersion": platform.release(),
        "containerRuntimeVersion": "simulated-process://1",
        "kubeletVersion": "v1.0.0-simulated",
        "operatingSystem": "linux",
        "architecture": machine,
    }


class Agent:
    """Keeps the node registered and runs its pods until the program is told to stop; pods go on without."""

    def __init__(
        self, name: str, api: NodeApi, around: Surroundings, certificates: Path, capacity: Capacity
    ) -> None:
        self._name = name
        self._api = api
        self._around = around
        self._certificates = certificates
        self._capacity = capacity
        self._folder = around.place.state / "pods"
        self._pods: dict[str, Pod] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        runner, port = await serve_logs(self._certificates, self._program)
        provisioner = Provisioner(self._api, self._around.place.state / "volumes")
        duties = [
            asyncio.create_task(self._stay_registered(port)),
            asyncio.create_task(self._follow_pods()),
            asyncio.create_task(watch_memory(self._containers)),
            asyncio.create_task(provisioner.run()),
        ]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({*duties, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await runner.cleanup()
        for task in done - {stopped}:
            task.result()  # a duty never returns: this raises what ended it

    async def _stay_registered(self, port: int) -> None:
        while True:
            try:
                await self._register(port)
                await self._renew_lease()
                await asyncio.sleep(HEARTBEAT_SECONDS)
            except SERVER_SIDE as error:
                LOG.warning("node not registered: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _register(self, port: int) -> None:
        wanted = node_object(self._name, self._capacity, port, timestamp())
        if not await self._api.find(f"/api/v1/nodes/{self._name}"):
            await self._api.create("/api/v1/nodes", wanted)
        await self._api.patch(f"/api/v1/nodes/{self._name}/status", {"status": wanted["status"]})

    async def _renew_lease(self) -> None:
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if await self._api.find(f"{leases}/{self._name}"):
            await self._api.patch(f"{leases}/{self._name}", {"spec": spec})
            return
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
        await self._api.create(leases, {**lease, "metadata": {"name": self._name}})

    async def _follow_pods(self) -> None:
        mine = {"fieldSelector": f"spec.nodeName={self._name}"}
        while True:
            try:
                found = await self._api.get(PODS, **mine)
                self._take_all(found["items"])
                version = found["metadata"]["resourceVersion"]
                async for change in self._api.watch(PODS, **mine, resourceVersion=version):
                    if change["type"] == "ERROR":
                        break
                    self._take(change["type"], change["object"])
            except SERVER_SIDE as error:
                LOG.warning("pods not followed: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    def _take_all(self, pods: list[Json]) -> None:
        """After a list: what is missing is gone, also what only an earlier node program knew of."""
        for pod in pods:
            self._take("ADDED", pod)
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in set(self._pods) - present:
            self._pods[uid].vanish()
        known = {pod.folder.name for pod in self._pods.values()}
        for folder in self._folder.glob("*_*_*"):
            if folder.name not in known:
                remove_leftovers(folder)

    def _take(self, change: str, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if change == "DELETED":
            if uid in self._pods:
                self._pods[uid].vanish()
        elif uid in self._pods:
            self._pods[uid].observe(pod)
        else:
            self._begin(uid, pod)

    def _begin(self, uid: str, pod: Json) -> None:
        folder = self._folder / folder_name(pod)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pods[uid] = Pod(pod, folder, self._around, self._api)
        self._lives[uid] = asyncio.create_task(self._pods[uid].run())
        self._lives[uid].add_done_callback(lambda task: self._ended(uid, task))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            LOG.error("pod %s given up: a defect of the simulated node", uid, exc_info=error)
            return
        self._pods.pop(uid, None)
        self._lives.pop(uid, None)

    def _containers(self) -> Iterator[Container]:
        for pod in list(self._pods.values()):
            yield from pod.containers

    def _program(self, namespace: str, pod: str, container: str) -> Program | None:
        for each in self._pods.values():
            metadata = each.object["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, pod):
                return next((c.program for c in each.containers if c.program.name == container), None)
        return None


def remove_leftovers(folder: Path) -> None:
    """Ends what runs for a pod that no longer exists and removes its folder."""
    for run in folder.glob("containers/*"):
        for process in proc.with_environment(f"{MARKER}={run}"):
            proc.send(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
