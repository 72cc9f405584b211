"""The life of one container: from waiting for what it needs, over restarts, to its end."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sandbox.api import ApiError
from tests.sandbox.node import environment, launch, probes, quantity
from tests.sandbox.node.client import UNREACHABLE
from tests.sandbox.node.environment import Image, MissingReference
from tests.sandbox.node.launch import Launch, Place
from tests.sandbox.node.program import Program
from tests.sandbox.node.status import (
    ContainerView,
    Running,
    Terminated,
    Waiting,
    restarts,
    timestamp,
)
from tests.sandbox.node.volumes import Source, mounted_folders

Json = dict[str, Any]
RETRY_SECONDS = 1.0
BACKOFF_SECONDS = 10.0
BACKOFF_LIMIT = 300.0
# A run of this length shows that the container works: its next back-off starts small again.
STEADY_SECONDS = 600.0
CANNOT_START = 128
SERVER_SIDE = (ApiError, *UNREACHABLE)


@dataclass
class Surroundings:
    """What containers of a node share."""

    source: Source
    images: list[Image]
    place: Place
    authority: str
    backoff: float = BACKOFF_SECONDS


class Container:
    """One container of a pod. `changed` is called with an event (type, reason, message) or None."""

    def __init__(
        self,
        spec: Json,
        folder: Path,
        around: Surroundings,
        changed: Callable[[tuple[str, str, str] | None], None],
    ) -> None:
        self.spec = spec
        self.view = ContainerView(spec["name"], spec["image"], passes_probe="readinessProbe" not in spec)
        self.program = Program(spec["name"], folder)
        self.memory_limit = _memory_limit(spec)
        self._folder = folder
        self._around = around
        self._changed = changed
        self._ending = asyncio.Event()
        self._probes = probes.Probes(spec, self._probed)

    async def live(self, pod: Json, policy: str) -> None:
        """Runs the container until it has ended for good or `end` was called."""
        delay = self._around.backoff if self.view.restarts else 0.0
        if self.program.record:
            await self._run_out()
        while not self._ending.is_set():
            if isinstance(self.view.state, Terminated):
                if not restarts(policy, self.view.state.exit_code):
                    return
                await self._back_off(pod, delay)
                delay = min(2 * delay or self._around.backoff, BACKOFF_LIMIT)
            started = time.monotonic()
            if await self._start(pod):
                await self._run_out()
            if time.monotonic() - started > STEADY_SECONDS:
                delay = 0.0

    def end(self) -> None:
        """No restart from now on, and SIGTERM to what runs."""
        self._ending.set()
        if self.program.process:
            self.program.terminate()

    def restore(self, status: Json) -> None:
        """Goes on from what an earlier node program has started and told; `status` may be empty."""
        self.view.restarts = status.get("restartCount", 0)
        self.view.container_id = status.get("containerID", "")
        self.view.passes_probe |= status.get("ready", False)
        ended = (status.get("state") or {}).get("terminated")
        before = (status.get("lastState") or {}).get("terminated")
        self.view.last = _terminated(before) if before else None
        record = self.program.adopt()
        if record and ended and record.restarts == self.view.restarts:
            record = None  # its end has been told
        self.program.record = record
        if record:
            self._take_over()
        elif ended:
            self.view.state = _terminated(ended)

    async def _start(self, pod: Json) -> bool:
        image = environment.find_image(self.spec["image"], self._around.images)
        if image is None:
            return await self._refuse_image()
        try:
            plan = await self._plan(pod, image)
        except (MissingReference, *SERVER_SIDE) as missing:
            self._wait_for("CreateContainerConfigError", str(missing))
            await self._pause(RETRY_SECONDS)
            return False
        if self._ending.is_set():
            return False
        previous = self.view.state if isinstance(self.view.state, Terminated) else self.view.last
        self.view.restarts += 1 if previous else 0
        self.view.last = previous
        return self._launch(plan, pod)

    async def _plan(self, pod: Json, image: Image) -> Launch:
        objects = {}
        for kind, name in environment.references(self.spec):
            data = await self._around.source.data(kind, pod["metadata"]["namespace"], name)
            text = {key: value.decode(errors="replace") for key, value in (data or {}).items()}
            objects[kind, name] = None if data is None else text
        return launch.launch(
            pod,
            self.spec,
            image=image,
            objects=objects,
            place=self._around.place,
            pod_folder=self._folder,
        )

    def _launch(self, plan: Launch, pod: Json) -> bool:
        self.view.container_id = f"process://{pod['metadata']['uid']}/{self.view.name}/{self.view.restarts}"
        try:
            self._find_program(plan)
            self._write_kubeconfig(pod)
            self.program.start(plan.words, plan.environment, plan.folder, self.view.restarts)
        except OSError as error:
            now = timestamp()
            self.view.state = Terminated(CANNOT_START, "StartError", now, now, str(error))
            self._changed(("Warning", "Failed", f"Error: {error}"))
            return False
        self._take_over()
        self._changed(("Normal", "Started", f"Container started: {self.view.name}"))
        return True

    def _find_program(self, plan: Launch) -> None:
        if not plan.words:
            raise OSError("no command specified, and the image has no entry point")
        if not shutil.which(plan.words[0], path=plan.environment["PATH"]):
            raise OSError(f'exec: "{plan.words[0]}": executable file not found in $PATH')

    def _write_kubeconfig(self, pod: Json) -> None:
        folders = mounted_folders(self.spec, self._folder / "volumes")
        if launch.SERVICE_ACCOUNT not in folders:
            return
        token = f"{folders[launch.SERVICE_ACCOUNT]}/token"
        text = launch.service_account_kubeconfig(pod, self._around.place, self._around.authority, token)
        self.program.folder.mkdir(parents=True, exist_ok=True)
        (self.program.folder / "kubeconfig").write_text(text, encoding="utf-8")

    def _take_over(self) -> None:
        assert self.program.record
        self.view.state = Running(self.program.record.started_at)
        self.view.restarts = self.program.record.restarts

    async def _run_out(self) -> None:
        probing = asyncio.create_task(self._probes.watch())
        try:
            code = await self.program.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        policy = self.spec.get("terminationMessagePolicy") or "File"
        self.view.state = self.program.ended(code, policy, self.view.container_id)
        self.view.passes_probe = "readinessProbe" not in self.spec
        self._changed(None)

    def _probed(self, kind: str, passes: bool, message: str) -> None:  # noqa: FBT001 - what a probe tells
        if kind == "readinessProbe":
            self.view.passes_probe = passes
        elif not passes:
            self.program.terminate()
        self._changed(None if passes else ("Warning", "Unhealthy", message))

    async def _refuse_image(self) -> bool:
        name = self.spec["image"]
        if self.spec.get("imagePullPolicy") == "Never":
            self._wait_for(
                "ErrImageNeverPull", f'Container image "{name}" is not present with pull policy of Never'
            )
        else:
            problem = f'failed to pull and unpack image "{name}": not an image of this simulated node'
            self._wait_for("ErrImagePull", problem)
            await self._pause(RETRY_SECONDS)
            self._wait_for("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {problem}')
        await self._ending.wait()
        return False

    def _wait_for(self, reason: str, message: str) -> None:
        if isinstance(self.view.state, Terminated):
            self.view.last = self.view.state
        if not isinstance(self.view.state, Waiting) or self.view.state.reason != reason:
            self.view.state = Waiting(reason, message)
            self._changed(("Warning", "Failed", f"Error: {reason}: {message}"))

    async def _back_off(self, pod: Json, delay: float) -> None:
        if not delay:
            return
        metadata = pod["metadata"]
        where = f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        message = f"back-off {delay:.0f}s restarting failed container={self.view.name} {where}"
        self.view.last = self.view.state if isinstance(self.view.state, Terminated) else self.view.last
        self.view.state = Waiting("CrashLoopBackOff", message)
        self._changed(("Warning", "BackOff", message))
        await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return


def _memory_limit(spec: Json) -> int:
    limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    return int(quantity.parse(limit)) if limit else 0


def _terminated(found: Json) -> Terminated:
    names = ("startedAt", "finishedAt", "message", "containerID")
    started, finished, message, container_id = (found.get(name, "") for name in names)
    reason = found.get("reason", "")
    return Terminated(found["exitCode"], reason, started, finished, message, container_id)
