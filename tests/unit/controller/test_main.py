"""The process: wrong settings are told, everything is looked at now and then, and no end is silent."""

import asyncio
from collections.abc import Mapping
from typing import Any

import kopf
import pytest

from domaintraining.api.names import LABEL_ATTEMPT, LABEL_MANAGED_BY, LABEL_NAME, LABEL_RUN, MANAGER
from domaintraining.controller import main as controller
from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import DOMAIN_TRAINING, ClusterError, JsonObject
from domaintraining.controller.main import _code, main, resync, watch, work
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.objects import Kind
from domaintraining.controller.settings import Settings
from domaintraining.controller.workqueue import Key, WorkQueue
from tests.unit.simulated_ollama.virtual import run


def test_wrong_settings_end_the_process_with_their_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is connected to."""
    monkeypatch.delenv("TRAINER_IMAGE", raising=False)
    monkeypatch.setenv("DSPY_AUTO_MODE", "manual")
    assert main([]) == 2
    said = capsys.readouterr().err
    assert "TRAINER_IMAGE" in said
    assert "DSPY_AUTO_MODE" in said


def test_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Settings come from the environment alone."""
    assert main(["--verbose"]) == 2
    assert "environment" in capsys.readouterr().err


def training(namespace: str) -> dict[str, Any]:
    """A DomainTraining in a namespace."""
    return {
        "apiVersion": DOMAIN_TRAINING.api_version,
        "kind": DOMAIN_TRAINING.kind,
        "metadata": {"namespace": namespace, "name": "docs"},
    }


class Failing(MemoryCluster):
    """A cluster that refuses to list namespace a."""

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        """All but that one."""
        if namespace == "a":
            raise ClusterError(403, "Forbidden", "no right")
        return await super().find(kind, namespace, labels)


def resynced(cluster: MemoryCluster, *namespaces: str) -> set[Key]:
    """The keys that two rounds put on the queue."""
    seen: set[Key] = set()

    async def reconcile(key: Key) -> None:
        seen.add(key)

    async def rounds() -> None:
        queue = WorkQueue(reconcile)
        settings = Settings(trainer_image="i", resync_seconds=60, namespaces=namespaces)
        tasks = [asyncio.create_task(queue.run()), asyncio.create_task(resync(cluster, queue, settings))]
        await asyncio.sleep(59)
        assert seen == set(), "the watches tell what is there at the start"
        await asyncio.sleep(70)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(rounds())
    return seen


def test_everything_is_looked_at_now_and_then() -> None:
    """In all namespaces, or in those that are watched; one that can't be listed does not hide the others."""
    everywhere = [training(name) for name in ("a", "b", "c")]
    assert resynced(MemoryCluster(*everywhere)) == {("a", "docs"), ("b", "docs"), ("c", "docs")}
    assert resynced(MemoryCluster(*everywhere), "b") == {("b", "docs")}
    assert resynced(Failing(*everywhere), "a", "b") == {("b", "docs")}


def test_what_is_left_of_a_deleted_resource_goes_with_the_resync() -> None:
    """After a complete list of the resources there; without one nothing is removed."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": "a",
            "name": "docs-r1-a1",
            "creationTimestamp": "2020-01-01T00:00:00Z",
            "labels": {LABEL_NAME: "docs", LABEL_MANAGED_BY: "domaintraining"}
            | {LABEL_RUN: "1", LABEL_ATTEMPT: "1"},
        },
    }
    for kind, kept in ((MemoryCluster, 0), (Failing, 1)):
        cluster = kind(job)
        assert resynced(cluster, "a") == set()
        assert len(cluster.objects) == kept


class Slow(MemoryCluster):
    """A cluster that accepts each question and leaves it for two minutes."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """After a while, nothing."""
        await asyncio.sleep(120)
        return await super().get(kind, namespace, name)

    async def rest(self) -> None:
        """Nothing is open."""


def test_no_resource_is_looked_at_before_the_api_servers_addresses_were() -> None:
    """No model server has them. It is waited for here, where the probes are served meanwhile."""
    seen: list[float] = []

    async def reconcile(_: Key) -> None:
        seen.append(asyncio.get_running_loop().time())

    async def start() -> None:
        queue = WorkQueue(reconcile)
        queue.add(("team", "docs"))
        task = asyncio.create_task(work(queue, ApiServer(Slow(), {})))
        await asyncio.sleep(200)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(start())
    assert seen == [120.0]


def test_the_probes_are_served_while_the_api_server_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the kubelet kills the process before it could go on by itself."""
    served = asyncio.Event()

    class Connected(Slow):
        """A client that is connected to it."""

        ping = watch_session = close = Slow.rest

        @classmethod
        async def connect(cls, _environ: Mapping[str, str]) -> "Connected":
            return cls()

    async def probes(*_: Any) -> None:
        served.set()
        await asyncio.Event().wait()

    async def operator(**given: Any) -> None:
        await given["stop_flag"].wait()

    monkeypatch.setattr(controller, "KubeCluster", Connected)
    monkeypatch.setattr(controller, "serve", probes)
    monkeypatch.setattr(kopf, "operator", operator)

    async def start() -> None:
        task = asyncio.create_task(controller.run(Settings(trainer_image="i")))
        async with asyncio.timeout(5):
            await served.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(start())


def test_a_task_that_ends_by_itself_ends_the_process_with_an_error() -> None:
    """A controller that only looks alive would be left alone; a signal is no error."""

    async def ends() -> None:
        pass

    async def fails() -> None:
        raise ValueError("watch")

    async def code(work: Any, name: str) -> int:
        task = asyncio.create_task(work, name=name)
        await asyncio.wait([task])
        return _code({task})

    assert asyncio.run(code(ends(), "stop")) == 0
    assert asyncio.run(code(ends(), "watch")) == 1
    assert asyncio.run(code(fails(), "queue")) == 1


def test_a_user_without_a_name_can_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image's user is a number; kopf would look its name up and end with a KeyError."""
    told: dict[str, Any] = {}

    async def operator(**given: Any) -> None:
        told.update(given)

    async def nothing(_: Key) -> None:
        pass

    monkeypatch.setattr(kopf, "operator", operator)
    asyncio.run(watch(WorkQueue(nothing), Settings(trainer_image="i"), asyncio.Event()))
    assert told["identity"] == MANAGER
