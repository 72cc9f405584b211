"""The life of one pod on the simulated node."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from datetime import UTC, datetime
from http.client import CONFLICT, FORBIDDEN, NOT_FOUND
from pathlib import Path
from typing import Any

from tests.sandbox.api import ApiError
from tests.sandbox.node import status, support, volumes
from tests.sandbox.node.client import NodeApi
from tests.sandbox.node.containers import RETRY_SECONDS, SERVER_SIDE, Container, Surroundings
from tests.sandbox.node.environment import MissingReference
from tests.sandbox.node.status import PodView, Verdict, timestamp

Json = dict[str, Any]
LOG = logging.getLogger(__name__)
GRACE_SECONDS = 30
RENEWAL_SECONDS = 30.0


def folder_name(pod: Json) -> str:
    """The name of the pod's folder: namespace_name_uid."""
    metadata = pod["metadata"]
    return f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def path_of(pod: Json) -> str:
    """The pod's path at the API server."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def grace_of(pod: Json) -> float:
    """Seconds that the pod's containers have between SIGTERM and SIGKILL."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    own = pod["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS)
    return float(own if asked is None else asked)


class Pod:
    """Runs one pod from its binding to this node until its object is gone; `run` is its whole life."""

    def __init__(self, pod: Json, folder: Path, around: Surroundings, api: NodeApi) -> None:
        self.object = pod
        self.folder = folder
        self.containers = [
            Container(spec, folder, around, self._changed) for spec in pod["spec"]["containers"]
        ]
        self._around = around
        self._api = api
        self._dirty = asyncio.Event()
        self._deletion = asyncio.Event()
        self._verdict: Verdict | None = None
        self._events: list[tuple[str, str, str]] = []
        self._written: Json = {}
        self._tokens: list[volumes.Token] = []
        self._gone = False
        self._over = False
        self._started = pod.get("status", {}).get("startTime") or timestamp()
        self.observe(pod)

    def observe(self, pod: Json) -> None:
        """Takes the newest state of the pod's object."""
        self.object = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._deletion.set()

    def vanish(self) -> None:
        """The object is gone already (deleted by force): end everything, tell nobody."""
        self._gone = True
        self._deletion.set()

    async def run(self) -> None:
        """Returns when the pod's processes have ended, its object is deleted and its folder removed."""
        telling = asyncio.create_task(self._tell())
        renewing = asyncio.create_task(self._renew())
        try:
            if self.object.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                await self._live()
            await self._deletion.wait()
        finally:
            renewing.cancel()
            self._over = True
            self._dirty.set()
            await asyncio.gather(telling, renewing, return_exceptions=True)
        await self._remove()

    @property
    def view(self) -> PodView:
        """What the status is made of."""
        return PodView(
            [container.view for container in self.containers],
            restart_policy=self.object["spec"].get("restartPolicy", "Always"),
            start_time=self._started,
            deleting=self._deletion.is_set(),
            verdict=self._verdict,
            conditions=self.object.get("status", {}).get("conditions") or (),
        )

    async def _live(self) -> None:
        problem = support.not_simulated(self.object)
        if problem:
            self._judge("NotSimulated", problem)
            return
        self._restore()
        self._dirty.set()
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stop_wanted())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await self._end(working)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        working.result()
        self._dirty.set()

    def _restore(self) -> None:
        before = {each["name"]: each for each in self.object.get("status", {}).get("containerStatuses") or ()}
        for container in self.containers:
            container.restore(before.get(container.view.name, {}))

    async def _work(self) -> None:
        adopted = any(container.program.record for container in self.containers)
        if not await self._volumes() and not adopted:
            return
        policy = self.object["spec"].get("restartPolicy", "Always")
        await asyncio.gather(*(container.live(self.object, policy) for container in self.containers))

    async def _volumes(self) -> bool:
        """Makes the pod's volumes, again and again until all is there; False when the pod is to end."""
        told = ""
        while not self._deletion.is_set() and not self._verdict:
            try:
                place = self.folder / "volumes"
                self._tokens = await volumes.materialise(self.object, place, self._around.source)
            except (MissingReference, *SERVER_SIDE) as missing:
                if str(missing) != told:
                    told = str(missing)
                    self._changed(("Warning", "FailedMount", f"MountVolume.SetUp failed: {told}"))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return True
        return False

    async def _stop_wanted(self) -> None:
        """Returns when the pod is to end: it is deleted, or its time is over."""
        limit = self.object["spec"].get("activeDeadlineSeconds")
        age = (datetime.now(UTC) - datetime.fromisoformat(self._started)).total_seconds()
        try:
            await asyncio.wait_for(self._deletion.wait(), None if limit is None else max(0.0, limit - age))
        except TimeoutError:
            self._verdict = Verdict(
                "DeadlineExceeded", "Pod was active on the node longer than specified deadline"
            )

    async def _end(self, working: asyncio.Task[None]) -> None:
        for container in self.containers:
            if container.program.process:
                self._changed(("Normal", "Killing", f"Stopping container {container.view.name}"))
            container.end()
        await asyncio.wait({working}, timeout=0 if self._gone else grace_of(self.object))
        while not working.done():
            for container in self.containers:
                container.program.kill()
            await asyncio.wait({working}, timeout=1)

    def _judge(self, reason: str, message: str) -> None:
        self._verdict = Verdict(reason, message)
        self._changed(("Warning", reason, message))

    def _changed(self, event: tuple[str, str, str] | None) -> None:
        if event:
            self._events.append(event)
        self._dirty.set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                await volumes.renew(self._tokens, self.object, self._around.source, time.time())
            except SERVER_SIDE:
                continue  # there is a fifth of the token's life to try again

    async def _tell(self) -> None:
        """Writes status and events whenever something changed, until the pod is over."""
        while not (self._gone or (self._over and not self._dirty.is_set())):
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._write_status()
                await self._write_events()
            except SERVER_SIDE as error:
                if isinstance(error, ApiError) and error.status in (NOT_FOUND, CONFLICT):
                    continue  # gone, or another pod of this name: the watch will say
                LOG.warning("%s: status not written: %s", folder_name(self.object), error)
                self._dirty.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _write_status(self) -> None:
        wanted = status.render(self.view, timestamp())
        if wanted != self._written and self._may_write():
            body = {"metadata": {"uid": self.object["metadata"]["uid"]}, "status": wanted}
            self.object = await self._api.patch(f"{path_of(self.object)}/status", body)
            self._written = wanted

    def _may_write(self) -> bool:
        """A pod that has ended keeps its status, whatever an earlier node program left to say."""
        told = self.object.get("status", {}).get("phase")
        return bool(self._written) or told not in ("Succeeded", "Failed")

    async def _write_events(self) -> None:
        while self._events:
            kind, reason, message = self._events[0]
            namespace = self.object["metadata"]["namespace"]
            body = event(self.object, kind, reason, message, timestamp())
            try:
                await self._api.create(f"/api/v1/namespaces/{namespace}/events", body)
            except ApiError as refused:
                if refused.status != FORBIDDEN:
                    raise  # else the namespace is being deleted, and waits for this pod to be gone
            self._events.pop(0)

    async def _remove(self) -> None:
        """Deletes the object for good (only the node may say that nothing runs any more) and the folder."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.object["metadata"]["uid"]}}
        while not self._gone:
            try:
                await self._api.delete(path_of(self.object), options)
                break
            except SERVER_SIDE as error:
                if isinstance(error, ApiError) and error.status in (NOT_FOUND, CONFLICT):
                    break
                await asyncio.sleep(RETRY_SECONDS)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


def event(pod: Json, kind: str, reason: str, message: str, now: str) -> Json:
    """An Event about a pod, Normal or Warning."""
    metadata = pod["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            **{name: metadata[name] for name in ("name", "namespace", "uid")},
        },
        "type": kind,
        "reason": reason,
        "message": message[:1024],
        "source": {"component": "simulated-node", "host": pod["spec"].get("nodeName", "")},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
