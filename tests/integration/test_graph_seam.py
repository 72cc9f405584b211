"""The real Neo4j behind the controller's seam: what it is told stands there once, failures have words."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.controller.graph.cypher import CALL_SECONDS, Neo4jGraph
from domaintraining.controller.graph.memory import MemoryGraph
from domaintraining.controller.graph.model import (
    MOST_LINES,
    UNTOLD,
    Graph,
    GraphDownError,
    Log,
    Owner,
    Verdict,
    Wanted,
)
from domaintraining.controller.settings import GraphSettings
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import Reach
from tests.sandbox.neo4j.server import Neo4j

T = TypeVar("T")
OWNER = Owner("team", "docs", "uid-1", "2026-11-23T11:00:00Z")
TRAINED = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
WANTED = Wanted(
    domain="docs",
    owner=OWNER,
    rank=2_000_001,
    properties={"status": "pending", "deletion_policy": "Retain"},
    created={"id": "id-of-docs", "description": "", "entity_examples": "[]"},
    logs=(
        Log(
            "log-1", {"run": 1, "status": "pending", "progress_percent": 0, "error_message": None}, ("began",)
        ),
    ),
)
PROMPT = 'Braces {{"a": 1}}, {text} and “quotes”\n' * 2000


def later(wanted: Wanted = WANTED, **changes: Any) -> Wanted:
    """The same with changes."""
    return dataclasses.replace(wanted, **changes)


def settings_of(server: Neo4j, **changes: Any) -> GraphSettings:
    """Where the server is."""
    return GraphSettings(**({"uri": server.uri, "password": server.password} | changes))


def asked(settings: GraphSettings, question: Callable[[Graph], Awaitable[T]]) -> T:
    """What a graph says to one question, in a loop of its own."""

    async def ask() -> T:
        graph = Neo4jGraph(settings, Reach())
        try:
            return await question(graph)
        finally:
            await graph.close()

    return asyncio.run(ask())


@pytest.fixture(params=["real", "fake"])
def write(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """Writes into the real graph or the shipped fake: the tests of the seam hold for both."""
    if request.param == "fake":
        fake = MemoryGraph()
        request.node.graph = fake
        return lambda wanted, given=False, cluster="here": asyncio.run(
            fake.write(wanted, cluster, given=given)
        )[0]
    server = request.getfixturevalue("neo4j")
    request.node.graph = server
    return lambda wanted, given=False, cluster="here": asked(
        settings_of(server), lambda graph: graph.write(wanted, cluster, given=given)
    )[0]


def domain_of(graph: Neo4j | MemoryGraph) -> dict[str, Any]:
    """Properties of the domain docs."""
    if isinstance(graph, MemoryGraph):
        return graph.domains["docs"]
    (row,) = graph.query("MATCH (d:Domain {name: 'docs'}) RETURN properties(d) AS properties")
    return dict(row["properties"])


def logs_of(graph: Neo4j | MemoryGraph) -> list[dict[str, Any]]:
    """Properties of its logs."""
    if isinstance(graph, MemoryGraph):
        return sorted(graph.logs.values(), key=lambda log: int(log["run"]))
    rows = graph.query(
        "MATCH (:Domain {name: 'docs'})-[:HAS_TRAINING_LOG]->(l:TrainingLog) "
        "RETURN properties(l) AS properties ORDER BY l.run"
    )
    return [dict(row["properties"]) for row in rows]


def test_a_state_is_written_once_and_changes_are(
    write: Callable[..., Verdict], request: pytest.FixtureRequest
) -> None:
    """Domain and log are found again by name and id; lines are appended once and bounded."""
    assert [write(WANTED), write(WANTED)] == [Verdict.WRITE, Verdict.UNCHANGED]
    graph = request.node.graph
    assert domain_of(graph)["owner"] == "team/docs"
    ended = Log(
        "log-1",
        {"run": 1, "status": "ready", "progress_percent": 100, "completed_at": TRAINED},
        ("began", *(f"line {number}" for number in range(MOST_LINES))),
    )
    end = later(
        rank=3_000_000,
        properties={
            "status": "ready",
            "deletion_policy": "Retain",
            "entity_prompt": PROMPT,
            "trained_at": TRAINED,
        },
        logs=(ended, Log("log-2", {"run": 2, "status": "pending"})),
    )
    assert [write(end), write(end)] == [Verdict.WRITE, Verdict.UNCHANGED]
    found, (first, second) = domain_of(graph), logs_of(graph)
    assert (found["status"], found["entity_prompt"], found["id"]) == ("ready", PROMPT, "id-of-docs")
    assert (first["status"], second["status"]) == ("ready", "pending")
    assert first["log_messages"][0] == "line 0", "the oldest goes"
    assert (len(first["log_messages"]), first["log_messages"][-1]) == (MOST_LINES, f"line {MOST_LINES - 1}")


def test_a_late_write_of_an_earlier_run_changes_nothing(
    write: Callable[..., Verdict], request: pytest.FixtureRequest
) -> None:
    """Nor one of a resource that a later one of its name followed, whose runs have logs of their own."""
    newer = later(rank=4_000_001, properties={"status": "training", "deletion_policy": "Retain"})
    again = later(owner=dataclasses.replace(OWNER, uid="uid-2", created="2026-11-23T11:30:00Z"))
    assert [write(newer), write(WANTED)] == [Verdict.WRITE, Verdict.NEWER]
    assert domain_of(request.node.graph)["status"] == "training"
    assert [write(again), write(newer)] == [Verdict.WRITE, Verdict.NEWER]
    restored = dataclasses.replace(OWNER, uid="uid-3", created="2026-11-23T12:00:00Z")
    assert [write(later(owner=restored, adopted=True)), write(newer)] == [Verdict.WRITE, Verdict.NEWER]
    assert domain_of(request.node.graph)["owner_uid"] == "uid-3"
    assert [one["run"] for one in logs_of(request.node.graph)] == [1, 1]


def test_runs_that_nobody_tells_of_any_more_have_failed(
    write: Callable[..., Verdict], request: pytest.FixtureRequest
) -> None:
    """Of an owner before; those that ended stay as they are."""
    ended = Log("log-0", {"run": 0, "status": "ready", "completed_at": TRAINED})
    write(later(logs=(ended, *WANTED.logs, Log("log-2", {"run": 2, "status": "training"}))))
    going = Log("log-3", {"run": 3, "status": "training"})
    assert write(later(rank=9_000_000, logs=(going,))) is Verdict.WRITE
    found = [(one["status"], one.get("error_message")) for one in logs_of(request.node.graph)]
    assert found == [("ready", None), ("failed", UNTOLD), ("failed", UNTOLD), ("training", None)]
    assert write(later(rank=9_000_001, logs=())) is Verdict.WRITE
    assert logs_of(request.node.graph)[3]["status"] == "failed"


def test_anothers_domain_is_not_touched(
    write: Callable[..., Verdict], request: pytest.FixtureRequest
) -> None:
    """Of another namespace, another name, another cluster."""
    write(WANTED)
    before = domain_of(request.node.graph)
    other = dataclasses.replace(OWNER, namespace="other")
    assert write(later(owner=other)) is Verdict.NOT_OWNED
    assert write(later(owner=dataclasses.replace(OWNER, name="more")), given=True) is Verdict.NOT_OWNED
    assert write(later(rank=9_000_000), cluster="there") is Verdict.NOT_OWNED
    assert domain_of(request.node.graph) == before
    assert len(logs_of(request.node.graph)) == 1


def test_a_domain_without_owner_is_taken_where_it_is_given(neo4j: Neo4j) -> None:
    """It keeps its id, its model and its embedding; without that it stays to the letter."""
    neo4j.query(
        "CREATE (:Domain {name: 'docs', id: 'theirs', llm_model: 'm', description_embedding: [0.5, 0.5]})"
    )
    before = domain_of(neo4j)

    def written(*, given: bool) -> Verdict:
        return asked(settings_of(neo4j), lambda graph: graph.write(WANTED, "here", given=given))[0]

    assert written(given=False) is Verdict.NOT_OWNED
    assert domain_of(neo4j) == before
    assert written(given=True) is Verdict.WRITE
    assert domain_of(neo4j).items() >= before.items()
    assert written(given=False) is Verdict.UNCHANGED


def set_log(graph: Neo4j | MemoryGraph, change: str) -> None:
    """Remove the only log, or say that its run goes."""
    if isinstance(graph, Neo4j):
        graph.query(f"MATCH (l:TrainingLog) {change}")
    elif change.startswith("SET"):
        graph.logs["log-1"]["status"] = "training"
    else:
        graph.logs.clear()


def test_what_somebody_changed_is_written_again(
    write: Callable[..., Verdict], request: pytest.FixtureRequest
) -> None:
    """A status that was left, or a prompt that was edited; a log that was edited or is gone."""
    graph = request.node.graph
    write(WANTED)
    if isinstance(graph, Neo4j):
        graph.query("MATCH (d:Domain) SET d.status = 'training'")
    else:
        graph.domains["docs"]["status"] = "training"
    assert [write(WANTED), write(WANTED)] == [Verdict.WRITE, Verdict.UNCHANGED]
    assert domain_of(graph)["status"] == "pending"
    for change in ("SET l.status = 'training'", "DETACH DELETE l"):
        set_log(graph, change)
        assert [write(WANTED), write(WANTED)] == [Verdict.WRITE, Verdict.UNCHANGED]
        (log,) = logs_of(graph)
        assert (log["run"], log["status"], log["log_messages"]) == (1, "pending", ["began"])


def test_ten_at_once_are_one_domain_with_one_log(neo4j: Neo4j) -> None:
    """Two controllers, or one whose predecessor's last write comes late."""

    async def write_all(graph: Graph) -> list[Verdict]:
        await graph.constrain()
        done = await asyncio.gather(*(graph.write(WANTED, "here", given=False) for _ in range(10)))
        return [verdict for verdict, _ in done]

    verdicts = asked(settings_of(neo4j), write_all)
    assert sorted(one.name for one in verdicts) == ["UNCHANGED"] * 9 + ["WRITE"]
    assert neo4j.query("MATCH (n) RETURN count(n) AS nodes") == [{"nodes": 2}]


def test_names_are_made_unique_once_and_a_refusal_is_told(neo4j: Neo4j) -> None:
    """Also beside the constraint that AegisRAG makes itself."""
    where = settings_of(neo4j)
    for _ in range(2):
        assert not asked(where, lambda graph: graph.constrain())
    neo4j.empty()
    neo4j.query("CREATE (:Domain {name: 'docs'}) CREATE (:Domain {name: 'docs'})")
    assert "Neo.DatabaseError.Schema.ConstraintCreationFailed" in asked(
        where, lambda graph: graph.constrain()
    )
    with pytest.raises(DomainTrainingError, match="several domains docs") as several:
        asked(where, lambda graph: graph.write(WANTED, "here", given=True))
    assert several.value.reason is Reason.DOMAIN_NOT_OWNED


def test_a_domain_is_removed_or_ended_only_as_it_was_read(neo4j: Neo4j) -> None:
    """With its logs, and nothing of others."""
    where = settings_of(neo4j)
    neo4j.query("CREATE (:Domain {name: 'theirs'}), (:TrainingLog {id: 'theirs'})")
    going = Log("log-1", {"run": 1, "status": "training"})
    state = later(properties={"status": "training", "deletion_policy": "Delete"}, logs=(going,))
    asked(where, lambda graph: graph.write(state, "here", given=False))
    assert asked(where, lambda graph: graph.owned("there")) == []
    (found,) = asked(where, lambda graph: graph.owned("here"))
    assert (found.name, found.uid, found.policy, found.status) == ("docs", "uid-1", "Delete", "training")
    stale = dataclasses.replace(found, written="what was there before")
    asked(where, lambda graph: graph.leave(stale, remove=True))
    asked(where, lambda graph: graph.leave(found, remove=False))
    assert (domain_of(neo4j)["status"], logs_of(neo4j)[0]["status"]) == ("failed", "failed")
    assert asked(where, lambda graph: graph.write(state, "here", given=False))[0] is Verdict.WRITE
    neo4j.query("MATCH (d:Domain {name: 'docs'}) SET d.status = 'ready', d.trained_at = datetime()")
    (found,) = asked(where, lambda graph: graph.owned("here"))
    assert (found.status, found.going) == ("ready", True)
    asked(where, lambda graph: graph.leave(found, remove=False))
    assert (domain_of(neo4j)["status"], logs_of(neo4j)[0]["status"]) == ("ready", "failed")
    (found,) = asked(where, lambda graph: graph.owned("here"))
    assert not found.going
    asked(where, lambda graph: graph.leave(found, remove=True))
    rows = neo4j.query("MATCH (n) RETURN coalesce(n.name, n.id) AS which")
    assert [row["which"] for row in rows] == ["theirs", "theirs"]


def test_failures_have_words_without_the_password(neo4j: Neo4j) -> None:
    """A wrong password, nobody who listens, a name that does not resolve, TLS where there is none."""
    canary = "canary-of-the-graph"
    cases = [
        ({"password": canary}, Reason.GRAPH_REFUSED, "refuses user neo4j"),
        ({"password": ""}, Reason.GRAPH_REFUSED, "refuses user neo4j"),
        ({"uri": "bolt://127.0.0.1:1", "password": canary}, Reason.GRAPH_UNAVAILABLE, "does not answer"),
        ({"uri": "neo4j://nowhere.invalid", "password": canary}, Reason.GRAPH_UNAVAILABLE, "does not answer"),
        ({"uri": neo4j.uri.replace("bolt:", "bolt+s:")}, Reason.GRAPH_UNAVAILABLE, "does not answer"),
        ({"database": "none-of-this-name"}, Reason.GRAPH_UNAVAILABLE, "DatabaseNotFound"),
    ]
    for changes, reason, words in cases:
        with pytest.raises(GraphDownError, match=words) as raised:
            asked(settings_of(neo4j, **changes), lambda graph: graph.read("docs"))
        assert raised.value.reason is reason
        assert canary not in str(raised.value)
        assert neo4j.password not in str(raised.value)


def test_a_server_that_hangs_is_given_up_and_used_again_afterwards(neo4j: Neo4j) -> None:
    """Within the time that a call has, by the same driver."""

    async def through(graph: Graph) -> float:
        assert (await graph.write(WANTED, "here", given=False))[0] is Verdict.WRITE
        with neo4j.paused():
            started = time.monotonic()
            with pytest.raises(GraphDownError):
                await graph.read("docs")
            took = time.monotonic() - started
        assert (await graph.write(WANTED, "here", given=False))[0] is Verdict.UNCHANGED
        neo4j.kill()
        with pytest.raises(GraphDownError):
            await graph.read("docs")
        neo4j.start(print)
        assert (await graph.read("docs")) is not None
        return took

    assert asked(settings_of(neo4j), through) <= CALL_SECONDS + 2
