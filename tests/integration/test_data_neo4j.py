"""Samples from a real Neo4j: rows are samples, the server refuses what writes, every end has its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.reasons import REASONS, Reason
from domaintraining.reach import Reach
from domaintraining.trainer.data.sources import neo4j as source
from tests.integration.test_reach import TlsFront
from tests.sandbox.neo4j.server import Neo4j
from tests.unit.authority import AUTHORITY
from tests.unit.trainer.data.sources.fetching import CANARY, ROWS, Fetch, run_of, secret
from tests.unit.trainer.data.sources.raw import RawServer

READ = (
    "MATCH (s:Sample) RETURN s.text AS text, s.entities AS entities, s.relations AS relations ORDER BY s.at"
)
ONE = "RETURN 'Ada' AS text, [{name: 'Ada', type: 'PERSON'}] AS entities"


def graph(server: Neo4j, query: str, uri: str = "", **data: Any) -> Any:
    """A run whose data are rows of a query."""
    access = {"uri": uri or server.uri, "credentialsSecretRef": {"name": "graph"}}
    return run_of({"neo4j": {**access, "query": query}}, **data)


def access(folder: Path, server: Neo4j, **changes: str) -> Path:
    """The Secret of the namespace; other parts of it are nobody's."""
    return secret(
        folder, **{"username": server.user, "password": server.password, "token": CANARY, **changes}
    )


@pytest.fixture
def fetch(tmp_path: Path, neo4j: Neo4j) -> Fetch:
    """With the right password, and samples in the graph."""
    neo4j.query(
        "UNWIND $rows AS row CREATE (:Sample {at: row.at, text: row.text, entities: row.entities, "
        "relations: row.relations})",
        rows=[
            {
                "at": at,
                "text": row["text"],
                **{key: json.dumps(row[key]) for key in ("entities", "relations")},
            }
            for at, row in enumerate(ROWS)
        ],
    )
    return Fetch(credentials=access(tmp_path, neo4j))


def test_rows_are_samples(neo4j: Neo4j, fetch: Fetch) -> None:
    """With lists as JSON, which is what a property can hold; their version is the same in any order."""
    found, version = fetch.samples(graph(neo4j, READ))
    assert [one.text for one in found.samples] == [row["text"] for row in ROWS]
    assert found.warnings == ()
    assert fetch.samples(graph(neo4j, f"{READ} DESC"))[1] == version
    assert fetch.unchanged(graph(neo4j, READ), version)
    neo4j.query("MATCH (s:Sample {at: 3}) SET s.text = s.text + ' Then she left.'")
    assert fetch.samples(graph(neo4j, READ))[1] != version


def test_lists_of_maps_groups_and_missing_labels(neo4j: Neo4j, fetch: Fetch) -> None:
    """A null is not labelled; what is no column of samples is counted as an unknown key."""
    query = (
        "UNWIND [{t: 'Ada met Bob.', r: [{source: 'Ada', type: 'MET', target: 'Bob'}]}, "
        "{t: 'Nobody.', r: null}] AS row RETURN row.t AS text, "
        "[{name: 'Ada', type: 'PERSON'}, {name: 'Bob', type: 'PERSON'}] AS entities, "
        "row.r AS relations, 'doc ' + row.t AS group, datetime() AS since"
    )
    found, _ = fetch.samples(graph(neo4j, query))
    first, second = found.samples
    assert first.relations is not None
    assert (first.relations[0].target, first.group) == ("Bob", "doc Ada met Bob.")
    assert second.relations is None
    assert found.warnings == ("unknown keys are ignored: 2 (row 1; row 2)",)


def test_a_routed_uri_is_asked_directly(neo4j: Neo4j, fetch: Fetch) -> None:
    """The server that is named, and none that it names."""
    assert fetch.samples(graph(neo4j, READ, neo4j.uri.replace("bolt:", "neo4j:")))


def test_tls_is_checked_by_the_name(neo4j: Neo4j, fetch: Fetch, tmp_path: Path) -> None:
    """Though the connection goes to the address that was checked."""
    with TlsFront(neo4j.uri, tmp_path) as front:
        port = front.url.rpartition(":")[2]
        fetch.look_up = lambda _host, _port, /: ["127.0.0.1"]
        fetch.reach = Reach(authorities=AUTHORITY)
        assert fetch.samples(graph(neo4j, READ, f"neo4j+s://gpu.example:{port}"))
        wrong = fetch.error(graph(neo4j, READ, f"bolt+s://other.example:{port}"))
        fetch.reach = Reach()
        unknown = fetch.error(graph(neo4j, READ, f"bolt+s://gpu.example:{port}"))
    assert "its certificate is not trusted (Hostname mismatch" in wrong.message
    assert "see CA_BUNDLE" in unknown.message


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("CREATE (s:Sample {text: 'x'}) RETURN s.text AS text, [] AS entities", "it writes"),
        ("MATCH (s:Sample) SET s.text = '' RETURN s.text AS text, [] AS entities", "it writes"),
        ("MATCH (s:Sample) DETACH DELETE s RETURN 'x' AS text, [] AS entities", "it writes"),
        ("MERGE (s:Sample {at: 0}) REMOVE s.text RETURN 'x' AS text, [] AS entities", "it writes"),
        ("CREATE INDEX FOR (s:Sample) ON (s.text)", "it writes"),
        ("ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'b'", "is refused"),
        ("TERMINATE TRANSACTIONS 'neo4j-transaction-1'", "is refused"),
        ("LOAD CSV FROM 'file:///x.csv' AS line RETURN line[0] AS text, [] AS entities", "LOAD CSV is"),
        ("LOAD CSV FROM 'http://192.0.2.1/x' AS line RETURN line[0] AS text, [] AS entities", "LOAD CSV is"),
        ("load/* */\nCSV FROM 'file:///x.csv' AS line RETURN line[0] AS text, [] AS entities", "LOAD CSV is"),
        ("LOAD \\u0043SV FROM 'file:///x.csv' AS l RETURN l[0] AS text, [] AS entities", "character itself"),
        ("CALL dbms.killConnection('bolt-1')", "CALL dbms.kill… is"),
        ("CALL db.createLabel('Gone')", "it writes"),
        (f"CALL {{ {ONE} }} IN TRANSACTIONS RETURN text, entities", "is refused"),
        ("MATCH (s:Sample RETURN s", "SyntaxError in line 1, column 17"),
        ("MATCH (s:Sample) RETURN missing.text AS text", "SyntaxError in line 1, column 25"),
        ("RETURN $who AS text, [] AS entities", "ParameterMissing"),
        ("CALL no.such.procedure()", "ProcedureNotFound"),
        (f"RETURN 1/0 AS text, '{CANARY}' AS entities", "ArithmeticError"),
        (
            f"MATCH (s:Sample) WITH s.text + '{CANARY}' AS t RETURN date(t) AS text, [] AS entities",
            "is refused",
        ),
        ("RETURN 'x' AS sentence, [] AS entities", "returns no columns text and entities or relations"),
        ("RETURN 'x' AS text, [] AS labels", "returns no columns text and entities or relations"),
    ],
)
def test_a_query_that_does_not_do_is_refused(neo4j: Neo4j, fetch: Fetch, query: str, words: str) -> None:
    """At once, and without effect; the place in the query is told, words that may quote data are not."""
    error = fetch.error(graph(neo4j, query))
    assert error.reason is Reason.DATASET_QUERY_INVALID
    assert words in error.message
    assert error.remedy == REASONS[Reason.DATASET_QUERY_INVALID].remedy
    assert fetch.clock.slept == []
    assert neo4j.query("MATCH (s:Sample) WHERE s.text <> '' RETURN count(s) AS all") == [{"all": len(ROWS)}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("MATCH (s:Nothing) RETURN s.text AS text, [] AS entities", "holds no samples"),
        (f"RETURN 'x' AS text, '[{CANARY}' AS entities", "row 1: entities: is not JSON"),
        (
            "UNWIND ['a', 'b'] AS t RETURN t AS text, [] AS entities, '{' AS relations",
            "row 1: relations: is not",
        ),
        ("RETURN 'x' AS text, {name: 'x'} AS entities", "row 1: entities: is no list"),
        ("RETURN 7 AS text, [] AS entities", "row 1: text: is no string"),
        ("RETURN null AS text, [] AS entities", "row 1: text: is missing"),
        ("RETURN '' AS text, [] AS entities", "row 1: text: is empty"),
        ("MATCH (s:Sample) RETURN s AS text, [] AS entities", "row 1: holds a node, a time or another value"),
        ("MATCH (s:Sample) RETURN s.text AS text, [s] AS entities", "row 1: holds a node, a time or another"),
        ("RETURN 'x' AS text, [{name: 'x', type: date()}] AS entities", "row 1: holds a node, a time or"),
        ("RETURN 'x' AS text, [{name: 'x', type: 0.0/0.0}] AS entities", "row 1: holds a node, a time or"),
        (
            "UNWIND ['a', 'b'] AS t RETURN t AS text, [{name: t}] AS entities",
            "row 1: entities[0].type: is missing",
        ),
    ],
)
def test_rows_that_are_no_samples_are_told_by_their_number(
    neo4j: Neo4j, fetch: Fetch, query: str, words: str
) -> None:
    """And by their column, without a word of them."""
    error = fetch.error(graph(neo4j, query))
    assert error.reason is Reason.DATASET_INVALID
    assert words in error.message


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        (
            {"username": "nobody"},
            Reason.DATASET_ACCESS_DENIED,
            "refuses the user of Secret graph (Unauthorized)",
        ),
        ({"password": ""}, Reason.DATASET_SECRET_INVALID, "Secret graph: key password is empty"),
        ({"password": f"{CANARY}\n"}, Reason.DATASET_SECRET_INVALID, "key password holds a line end"),
    ],
)
def test_credentials_that_do_not_do(
    neo4j: Neo4j, tmp_path: Path, changes: dict[str, str], reason: Reason, words: str
) -> None:
    """Are told by the Secret's name, and not tried again within the pod: servers lock out who insists."""
    fetch = Fetch(credentials=access(tmp_path, neo4j, **changes))
    error = fetch.error(graph(neo4j, READ))
    assert error.reason is reason
    assert words in error.message
    assert fetch.clock.slept == []


def test_a_secret_without_password_is_told(neo4j: Neo4j, tmp_path: Path) -> None:
    """By the key that it lacks."""
    error = Fetch(credentials=secret(tmp_path, username="neo4j", Password=CANARY)).error(graph(neo4j, READ))
    assert error.message == "Secret graph: has no key password"


@pytest.mark.parametrize("leads", ["public", "private"])
def test_an_address_that_is_not_allowed_is_not_asked(neo4j: Neo4j, fetch: Fetch, leads: Any) -> None:
    """As with files behind URLs."""
    error = fetch.error(graph(neo4j, READ, leads=leads))
    assert error.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED
    assert "this machine (loopback)" in error.message


def test_what_is_no_neo4j_is_told(neo4j: Neo4j, fetch: Fetch) -> None:
    """A server that speaks something else, one that hangs up, a port where nobody listens."""
    with RawServer(b"HTTP/1.1 400 Bad Request\r\n\r\n", greets=True) as other:
        port = other.port
        error = fetch.error(graph(neo4j, READ, f"bolt://127.0.0.1:{port}"))
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert fetch.waited
    assert fetch.error(graph(neo4j, READ, f"bolt://127.0.0.1:{port}")).reason is Reason.DATASET_UNREACHABLE


def test_a_server_that_is_away_is_waited_for(neo4j: Neo4j, fetch: Fetch) -> None:
    """And asked again when it is back."""
    neo4j.kill()
    sleep, started = fetch.clock.sleep, list[bool]()

    def back(seconds: float) -> None:
        sleep(seconds)
        if not started:
            started.append(True)
            neo4j.start(print)

    fetch.clock.sleep = back  # type: ignore[method-assign]
    assert len(fetch.samples(graph(neo4j, READ))[0].samples) == len(ROWS)
    assert fetch.waited[-1] == ""


def test_a_server_that_falls_silent_is_left(
    neo4j: Neo4j, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver alone would wait for ever."""
    monkeypatch.setattr(source, "REACH_SECONDS", 1.0)
    run = graph(neo4j, READ)
    with neo4j.paused():
        error = fetch.error(run)
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert "silent for 1 s" in error.message


def test_a_query_that_takes_too_long_is_ended_by_the_server(
    neo4j: Neo4j, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own fault: it is told, not tried again."""
    monkeypatch.setattr(source, "QUERY_SECONDS", 1.0)
    slow = "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b WITH count(*) AS c"
    error = fetch.error(graph(neo4j, f"{slow} RETURN 'x' AS text, [] AS entities"))
    assert error.reason is Reason.DATASET_QUERY_INVALID
    assert "it takes longer than 1 s" in error.message
