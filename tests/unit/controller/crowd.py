"""Many DomainTrainings in a cluster in memory, with a controller of several workers that watches it.

What kopf does is played: each write wakes the resource that it is about, and a new controller looks at all.
"""

import asyncio
import copy
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from domaintraining.api.names import LABEL_NAME
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB, ClusterError, JsonObject
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.objects import Kind, address_of
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.reconcile import Reconciler
from domaintraining.controller.settings import Settings
from domaintraining.controller.workqueue import Key
from tests.unit.controller.world import NOW, SPEC, Killed, MortalCluster

PAGE: Final = 200
INFO: Final = ModelInfo("sha256:1", frozenset({"completion"}))


class WatchedCluster(MortalCluster):
    """A cluster that counts what it is asked and tells of what changes."""

    def __init__(self, *objects: JsonObject) -> None:
        self.changed: dict[Key, None] = {}
        """What is to be looked at, in order, each once."""
        self.calls: Counter[str] = Counter()
        self.most_active = 0
        self.unreadable: set[Key] = set()
        """DomainTrainings of which the API server knows nothing but an error."""
        self.forbidden: set[str | None] = set()
        """Namespaces in which nothing may be listed; None: in all at once."""
        super().__init__(*objects)

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        self.calls["get"] += 1
        if kind == DOMAIN_TRAINING and (namespace, name) in self.unreadable:
            raise ClusterError(500, "InternalError", "etcd")
        return await super().get(kind, namespace, name)

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        if namespace in self.forbidden:
            raise ClusterError(403, "Forbidden", f"cannot list {kind.plural} in {namespace}")
        found = await super().find(kind, namespace, labels)
        self.calls["list"] += 1 + len(found) // (PAGE + 1)
        return found

    async def post_event(self, obj: JsonObject) -> None:
        self.calls["event"] += 1
        await super().post_event(obj)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        found = self.objects.get((kind, namespace, name))
        await super().delete(kind, namespace, name, uid=uid)
        if found is not None:
            self._tell(found)

    async def _write(self, verb: str, obj: JsonObject) -> tuple[Kind, str, str]:
        self.calls[verb] += 1
        return await super()._write(verb, obj)

    def _store(self, address: tuple[Kind, str, str], obj: JsonObject) -> None:
        super()._store(address, obj)
        self._tell(obj)
        self.most_active = max(self.most_active, len(self.active()))

    def _tell(self, obj: JsonObject) -> None:
        kind, namespace, name = address_of(obj)
        owner = name if kind == DOMAIN_TRAINING else (obj["metadata"].get("labels") or {}).get(LABEL_NAME)
        if owner:
            self.changed[namespace, owner] = None

    def active(self) -> list[Key]:
        """The Jobs that neither ended nor are suspended, by namespace and name."""
        return sorted(
            (namespace, name)
            for (kind, namespace, name), job in self.objects.items()
            if kind == JOB and not job.get("status") and not job["spec"].get("suspend")
        )


class Crowd:
    """The world with all of them.

    Args:
        limit: trainings at once on each server.
        workers: resources looked at at the same time.
    """

    def __init__(self, limit: int = 2, workers: int = 4) -> None:
        self.cluster = WatchedCluster()
        self.settings = Settings(trainer_image="domaintraining:1", trainings_per_server=limit)
        self.models = ScriptedModels({"qwen3:32b": INFO, "llama": INFO})
        self.now = NOW
        self.runner = asyncio.Runner()
        """One event loop for all looks; whoever makes a crowd closes it."""
        self._workers = workers
        self._due: dict[Key, datetime] = {}
        self.start()

    # what people and machines do

    def start(self) -> None:
        """A new controller: it knows nothing, and looks at everything."""
        self._due.clear()
        self.controller = Reconciler(
            self.cluster,
            self.models,
            Pulls(),
            self.settings,
            wake=lambda key: self.cluster.changed.update({key: None}),
            now=lambda: self.now,
        )
        self.resync()

    def resync(self) -> None:
        """Everything is looked at, at the next rest."""
        found = [key[1:] for key in self.cluster.objects if key[0] == DOMAIN_TRAINING]
        self.cluster.changed.update(dict.fromkeys(found))

    def add(self, namespace: str, name: str, labels: dict[str, str] | None = None, **spec: Any) -> None:
        """`kubectl apply` of one."""
        self.put(
            {
                "apiVersion": DOMAIN_TRAINING.api_version,
                "kind": DOMAIN_TRAINING.kind,
                "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
                "spec": SPEC | spec,
            }
        )

    def change(self, namespace: str, name: str, **spec: Any) -> None:
        """Another spec of one that is there."""
        body = self.get(DOMAIN_TRAINING, namespace, name)
        self.put(body | {"spec": SPEC | spec})

    def remove(self, namespace: str, name: str) -> None:
        """`kubectl delete` of one; the garbage collector takes its Jobs a moment later."""
        self.runner.run(self.cluster.delete(DOMAIN_TRAINING, namespace, name))
        self.settle()
        for _, job in [one for one in self.cluster.active() if one[1].startswith(f"{name}-r")]:
            self.runner.run(self.cluster.delete(JOB, namespace, job))

    def end(self, namespace: str, job: str, kind: str = "Failed") -> None:
        """A Job ends."""
        end = {"type": kind, "status": "True", "lastTransitionTime": self.now.isoformat()}
        self.put(self.get(JOB, namespace, job) | {"status": {"conditions": [end]}})

    def put(self, obj: JsonObject) -> None:
        """Write as somebody else."""
        self.cluster._store(address_of(obj), copy.deepcopy(obj))

    def kill_after(self, writes: int | None) -> None:
        """The controller dies after so many writes; None: never."""
        self.cluster.dies_after = writes

    def pass_time(self, seconds: float) -> None:
        """Time passes, second by second; what is due is looked at."""
        for _ in range(int(seconds)):
            self.now += timedelta(seconds=1)
            due = [key for key, when in self._due.items() if when <= self.now]
            self.cluster.changed.update(dict.fromkeys(due))
            self.settle()

    def settle(self) -> None:
        """Look at all that changed, several at once, until nothing does; who dies comes back."""
        self.runner.run(self._settled())

    async def _settled(self) -> None:
        for _ in range(10_000):
            batch = list(self.cluster.changed)[: self._workers]
            if not batch:
                return
            for key in batch:
                del self.cluster.changed[key]
            try:
                async with asyncio.TaskGroup() as group:
                    for key in batch:
                        group.create_task(self._look(key))
            except* Killed:
                self.start()
        raise AssertionError("no rest")

    async def _look(self, key: Key) -> None:
        self._due.pop(key, None)
        try:
            again = await self.controller.reconcile(key)
        except ClusterError:
            again = 30.0
        if again is not None:
            self._due[key] = self.now + timedelta(seconds=again)

    # what is there

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject:
        """An object that is there."""
        return copy.deepcopy(self.cluster.objects[kind, namespace, name])

    def ready(self, namespace: str, name: str) -> tuple[str, str]:
        """Reason and message of Ready."""
        conditions = self.get(DOMAIN_TRAINING, namespace, name)["status"]["conditions"]
        return next((one["reason"], one.get("message", "")) for one in conditions if one["type"] == "Ready")

    def position(self, namespace: str, name: str) -> str:
        """`3 of 12`; empty where it does not wait."""
        reason, words = self.ready(namespace, name)
        return words.partition(" waiting")[0] if reason == "Queued" and " waiting for " in words else ""


class Gathering(Protocol):
    """Makes crowds."""

    def __call__(self, number: int = 0, limit: int = 2, namespaces: str = "a") -> Crowd:
        """So many, one a second, in turn in each namespace; all looked at."""
