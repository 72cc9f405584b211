"""What becomes of domains whose resource is gone, trains another one, or leaves the graph out."""

import asyncio
import dataclasses
from typing import Any

import pytest

from domaintraining.controller.cluster import DOMAIN_TRAINING, ClusterError
from domaintraining.controller.graph.model import UNTOLD, Log
from domaintraining.controller.graph.told import sweep
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.settings import GraphSettings
from tests.unit.controller.graph.test_sync import DOWN, SETTINGS, Queue, wanted


def training(name: str, uid: str, **spec: Any) -> dict[str, Any]:
    """A DomainTraining."""
    return {
        "apiVersion": DOMAIN_TRAINING.api_version,
        "kind": DOMAIN_TRAINING.kind,
        "metadata": {"namespace": "team", "name": name, "uid": uid},
        "spec": spec,
    }


def kept_after(
    cluster: MemoryCluster, listed: list[dict[str, Any]], settings: GraphSettings = SETTINGS
) -> set[str]:
    """What a sweep leaves of four: their resource is gone (both policies), moved, another cluster's."""
    queue = Queue(settings)
    policies = {"gone": "Delete", "kept": "Retain", "moved": "Delete"}
    for name, policy in policies.items():
        queue.offer(wanted(name, properties={"status": "training", "deletion_policy": policy}))
    queue.work()
    other = wanted("other", properties={"deletion_policy": "Delete"})
    asyncio.run(queue.graph.write(other, "there", given=False))
    sweep(queue.sync, cluster, None, listed)
    queue.work()
    statuses = {name: node.get("status") for name, node in queue.graph.domains.items()}
    assert statuses.get("kept") in {"failed", "training"}
    return set(queue.graph.domains)


def test_a_sweep_removes_what_is_gone_and_nothing_of_others() -> None:
    """By the policy that was written; a resource that trains another domain left its first one."""
    there = training("moved", "uid-moved", domain="elsewhere")
    assert kept_after(MemoryCluster(there), [there]) == {"kept", "other"}


def test_nothing_is_removed_on_a_guess() -> None:
    """A resource that is there after all; a cluster that has no name; an API server that fails."""
    all_there = [training(name, f"uid-{name}") for name in ("gone", "kept", "moved")]
    everything = {"gone", "kept", "moved", "other"}
    assert kept_after(MemoryCluster(*all_there), []) == everything
    assert kept_after(MemoryCluster(), [], dataclasses.replace(SETTINGS, cluster="")) == everything

    class Failing(MemoryCluster):
        async def get(self, *_: Any) -> None:
            raise ClusterError(500, "InternalError", "etcd")

    assert kept_after(Failing(), []) == everything


def test_a_sweep_that_comes_late_goes_by_what_is_there_then() -> None:
    """The graph was away since the list was made, and the resource trains another domain meanwhile."""
    first = training("docs", "uid-docs", domain="first")
    cluster = MemoryCluster(training("docs", "uid-docs", domain="second"))
    both = {"status": "training", "deletion_policy": "Delete"}
    queue = Queue()
    queue.offer(wanted(domain="first", properties=both))
    queue.work()
    queue.graph.error = DOWN
    queue.offer(wanted(domain="second", properties=both))
    queue.work()
    sweep(queue.sync, cluster, None, [first])
    queue.graph.error, queue.now = None, 60.0
    queue.work()
    assert "second" in queue.graph.domains
    sweep(queue.sync, cluster, None, [cluster.objects[DOMAIN_TRAINING, "team", "docs"]])
    queue.work()
    assert set(queue.graph.domains) == {"second"}


@pytest.mark.parametrize("left", ["gone", "moved", "disabled"])
def test_no_log_says_for_ever_that_a_run_goes(left: str) -> None:
    """Also where the domain is served meanwhile, and it is said once."""
    spec = {"domain": "elsewhere"} if left == "moved" else {"graph": {"enabled": False}}
    there = [] if left == "gone" else [training("docs", "uid-docs", **spec)]
    queue = Queue()
    going = Log("log", {"run": 2, "status": "training"})
    state = wanted(properties={"status": "ready", "deletion_policy": "Retain"}, logs=(going,))
    queue.offer(state)
    queue.work()
    queue.graph.domains["docs"]["trained_at"] = "2026-11-23T11:30:00Z"
    for _ in range(2):
        sweep(queue.sync, MemoryCluster(*there), None, there)
        queue.work()
    assert (queue.graph.domains["docs"]["status"], queue.graph.logs["log"]["status"]) == ("ready", "failed")
    assert queue.graph.logs["log"]["error_message"] == UNTOLD
    assert queue.graph.calls.count("leave docs") == 1
    queue.sync.forget(state.owner.key)
    queue.offer(state)
    queue.work()
    assert queue.graph.logs["log"]["status"] == "training", "it is there again, with its run"


def test_a_domain_that_was_removed_is_not_told_as_written() -> None:
    """Its resource comes back between the question and the removal, and is written anew."""
    queue = Queue()
    state = wanted(properties={"status": "training", "deletion_policy": "Delete"})
    queue.offer(state)
    queue.work()
    sweep(queue.sync, MemoryCluster(), None, [])
    queue.work()
    assert not queue.graph.domains
    assert queue.woken == [("team", "docs")] * 2
    assert queue.offer(state) is None
    queue.work()
    assert set(queue.graph.domains) == {"docs"}
