"""The queue of the graph: latest state, one worker, nobody waits for others, nobody is told twice."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.controller.cluster import ClusterError
from domaintraining.controller.graph.memory import MemoryGraph
from domaintraining.controller.graph.model import Domain, GraphDownError, Log, Owner, Value, Verdict, Wanted
from domaintraining.controller.graph.sync import GraphSync, Said
from domaintraining.controller.graph.told import cluster_id
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.settings import GraphSettings
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

SETTINGS = GraphSettings(uri="bolt://graph:7687", cluster="here")
DOWN = GraphDownError(Reason.GRAPH_UNAVAILABLE, "away")


def wanted(name: str = "docs", **changes: Any) -> Wanted:
    """A state of a resource that trains the domain of its name."""
    owner = Owner("team", name, f"uid-{name}", "2026-11-23T11:00:00Z")
    one = Wanted(name, owner, 1, {"status": "pending", "deletion_policy": "Retain"}, {"id": name})
    return dataclasses.replace(one, **changes)


class Queue:
    """A queue over a graph in memory, with a clock of its own."""

    def __init__(self, settings: GraphSettings = SETTINGS, graph: MemoryGraph | None = None) -> None:
        self.graph = graph or MemoryGraph()
        self.woken: list[Key] = []
        self.now = 0.0
        self.sync = GraphSync(self.graph, settings, self._cluster, self.woken.append, lambda: self.now)

    async def _cluster(self) -> str:
        return ""

    def offer(self, one: Wanted) -> Said | None:
        """Offer a state."""
        return self.sync.offer(one)

    def work(self) -> float | None:
        """All that is due; gives when the next is."""

        async def work() -> float | None:
            while (left := await self.sync.step()) == 0:
                pass
            return left

        return asyncio.run(work())


def test_only_the_latest_state_is_written() -> None:
    """What came between is no news to anybody."""
    queue = Queue()
    for rank in range(1, 9):
        assert queue.offer(wanted(rank=rank)) is None
    assert queue.work() is None
    assert queue.graph.calls == ["constrain", "write docs"]
    assert queue.graph.domains["docs"]["owner_rank"] == 8
    assert queue.woken == [("team", "docs")]
    said = queue.offer(wanted(rank=8))
    assert said is not None
    assert (said.status, said.reason) == (True, Reason.GRAPH_SYNCED)


def test_what_is_on_its_way_is_told_until_it_is_there() -> None:
    """Not as synced: whoever waits for it would read the state before."""
    queue = Queue()
    queue.offer(wanted())
    queue.work()
    said = queue.offer(wanted(rank=2))
    assert said is not None
    assert (said.status, said.reason) == (None, Reason.GRAPH_PENDING)
    queue.work()
    assert queue.woken == [("team", "docs")] * 2


def test_progress_waits_and_is_no_news() -> None:
    """Every few seconds, without a word to the resource."""
    queue = Queue()
    going = wanted(logs=(Log("log", {"status": "training", "progress_percent": 1}),))
    further = wanted(logs=(Log("log", {"status": "training", "progress_percent": 2}),))
    queue.offer(going)
    queue.work()
    said = queue.offer(further)
    assert said is not None
    assert said.status is True
    assert queue.work() == pytest.approx(5.0)
    queue.now = 5.0
    assert queue.work() is None
    assert queue.graph.logs["log"]["progress_percent"] == 2
    assert queue.woken == [("team", "docs")]


def test_one_request_tries_a_server_that_is_down_for_all() -> None:
    """Two hundred resources are no two hundred requests, and each is told once."""
    queue = Queue()
    queue.graph.error = DOWN
    for number in range(200):
        queue.offer(wanted(f"docs{number}"))
    for second in range(60):
        queue.now = float(second)
        queue.work()
    assert len(queue.graph.calls) <= 6
    assert len(queue.woken) == len(set(queue.woken)) == 200
    queue.graph.error = None
    queue.now = 200.0
    queue.work()
    assert len(queue.graph.domains) == 200
    assert queue.sync.offer(wanted("docs7")) is not None


def test_one_domain_that_cant_be_written_stops_no_other() -> None:
    """What is wrong with it is told to its resource, whatever kind of error that is."""

    class Picky(MemoryGraph):
        async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
            if wanted.domain == "odd":
                raise UnicodeEncodeError("utf-8", "secret", 0, 1, "surrogates not allowed")
            return await super().write(wanted, cluster, given=given)

    queue = Queue(graph=Picky())
    queue.offer(wanted("odd"))
    queue.offer(wanted("docs"))
    queue.work()
    assert list(queue.graph.domains) == ["docs"]
    said = queue.offer(wanted("odd"))
    assert said is not None
    assert (said.reason, said.message) == (
        Reason.GRAPH_REFUSED,
        "the request can't be made (UnicodeEncodeError)",
    )


def test_a_write_that_hangs_is_followed_by_others() -> None:
    """It goes behind them, so that one large prompt holds up nobody for ever."""

    class Slow(MemoryGraph):
        async def write(self, wanted: Wanted, cluster: str, *, given: bool) -> tuple[Verdict, Domain | None]:
            if wanted.domain == "large":
                raise DOWN
            return await super().write(wanted, cluster, given=given)

    queue = Queue(graph=Slow())
    queue.offer(wanted("large"))
    queue.offer(wanted("docs"))
    queue.work()
    queue.now = 10.0
    queue.work()
    assert list(queue.graph.domains) == ["docs"]


def test_questions_go_before_writes_and_their_answers_hold_for_a_moment() -> None:
    """A reconcile that is late is woken."""
    queue = Queue()
    queue.graph.domains["docs"] = {"name": "docs", "llm_model": "m"}

    async def ask() -> Domain | None:
        work = asyncio.create_task(queue.sync.run())
        found = [await queue.sync.domain(("team", "docs"), "docs") for _ in range(3)]
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return found[2]

    found = asyncio.run(ask())
    assert found is not None
    assert found.llm_model == "m"
    assert queue.graph.calls == ["constrain", "read docs"]
    assert queue.woken == []
    queue.now = 60.0
    queue.graph.error = DOWN
    with pytest.raises(DomainTrainingError, match="away"):
        asyncio.run(ask())
    queue.graph.error = None
    queue.now = 70.0
    queue.work()
    assert queue.woken == [("team", "docs")]


def test_what_somebody_changed_is_written_again_at_the_next_look() -> None:
    """A domain, a log that was edited, removed or taken off its domain; what is as it was is left alone."""
    queue = Queue()
    properties: dict[str, Value] = {"run": 1, "status": "ready", "error_message": None}
    state = wanted(logs=(Log("log", properties, ("ended",)),))
    edits: list[Callable[[MemoryGraph], object]] = [
        lambda graph: graph.domains["docs"].update(status="training"),
        lambda graph: graph.logs["log"].update(status="training"),
        lambda graph: graph.logs["log"].update(error_message="odd"),
        lambda graph: graph.logs["log"].update(domain="other"),
        lambda graph: graph.logs.clear(),
        lambda graph: graph.calls.clear(),
    ]
    writes = []
    for edit in edits:
        queue.offer(state)
        queue.work()
        edit(queue.graph)
        queue.now += 301
        before = queue.graph.writes
        queue.offer(state)
        queue.work()
        writes.append(queue.graph.writes - before)
        log = {"domain": "docs", "log_messages": ["ended"], **properties}
        assert (queue.graph.domains["docs"]["status"], queue.graph.logs) == ("pending", {"log": log})
    assert writes == [1, 1, 1, 1, 1, 0]


def test_a_domain_is_handed_over_to_an_older_resource_too() -> None:
    """As the documentation says it; between two of one name in a cluster the later one counts."""
    queue = Queue()
    queue.offer(wanted("new"))
    queue.work()
    queue.graph.domains["new"] |= {"owner": "team/old", "owner_cluster": ""}
    older = dataclasses.replace(wanted("old").owner, created="2026-01-01T00:00:00Z")
    taken = wanted("old", domain="new", owner=older)
    queue.offer(taken)
    queue.work()
    said = queue.offer(taken)
    assert said is not None
    assert (said.status, queue.graph.domains["new"]["owner_uid"]) == (True, "uid-old")
    queue.offer(dataclasses.replace(taken, owner=dataclasses.replace(older, uid="uid", created="2025")))
    queue.work()
    assert queue.graph.domains["new"]["owner_uid"] == "uid-old"


def test_a_cluster_is_told_by_its_own_endpoint_slice() -> None:
    """Where there is none it has no name; where it can't be read nothing is written meanwhile."""
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "default", "name": "kubernetes", "uid": "uid-of-the-cluster"},
    }
    assert asyncio.run(cluster_id(MemoryCluster(slices))) == "uid-of-the-cluster"
    assert not asyncio.run(cluster_id(MemoryCluster()))

    class Failing(MemoryCluster):
        async def get(self, *_: Any) -> None:
            raise ClusterError(403, "Forbidden", "no right")

    with pytest.raises(GraphDownError, match="GRAPH_CLUSTER"):
        asyncio.run(cluster_id(Failing()))
