"""What is checked of a query and of its server's words before and without a Neo4j."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from neo4j.exceptions import Neo4jError

from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.sources import Neo4jSource
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import PLAIN
from domaintraining.trainer.data.rows import TOO_MANY_LINES
from domaintraining.trainer.data.sources import neo4j
from domaintraining.trainer.data.sources.neo4j import Query, said
from domaintraining.trainer.data.sources.source import Credentials, Download, Means
from tests.unit.trainer.data.sources.fetching import CANARY

MEANS = Means("neo4j bolt://graph.example", PLAIN, Credentials("graph-reader", None))
LOADED = "FROM 'http://192.0.2.1/x' AS l RETURN l[0] AS text, [] AS entities"
ONE = "RETURN 'Ada' AS text, [] AS entities"


class Answered(Query):
    """A query whose server has answered."""

    def __init__(self, rows: list[dict[str, Any]], query: str = ONE) -> None:
        access = {"uri": "bolt://graph.example", "credentialsSecretRef": {"name": "graph-reader"}}
        super().__init__(Neo4jSource.model_validate({**access, "query": query}), MEANS)
        self.rows = rows
        self.sent = 0

    def _answered(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            self.sent += 1
            yield row


def refused(query: Answered) -> DomainTrainingError:
    """Why a query gives no samples."""
    with pytest.raises(DomainTrainingError) as raised:
        query.fetch(Download(io.BytesIO(), "graph"), "")
    return raised.value


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"LOAD CSV {LOADED}", "LOAD CSV is not for samples"),
        (f"load// \u2028\nCsv {LOADED}", "LOAD CSV is not for samples"),
        (f"LOAD /* // */ CSV {LOADED}", "LOAD CSV is not for samples"),
        ("TERMINATE TRANSACTION 'x'", "TERMINATE TRANSACTIONS is not for samples"),
        (f"\\u004cOAD CSV {LOADED}", "write the character itself"),
        (f"\\u+04cOAD CSV {LOADED}", "write the character itself"),
        (f"\\u\uff10\uff10\uff14cOAD CSV {LOADED}", "write the character itself"),
        (f"LOAD /*\\\\u002a/ x */ CSV {LOADED}", "write the character itself"),
        ("\\u+054ERMINATE TRANSACTIONS 'neo4j-transaction-1'", "write the character itself"),
        ("RETURN 'Zo\\u00eb' AS text, [] AS entities", "write the character itself"),
        ("CALL dbms.killConnection('bolt-1')", "CALL dbms.kill… is not for samples"),
        ("CALL dbms.killConnections(['bolt-1'])", "CALL dbms.kill… is not for samples"),
        ("optional call DBMS.killquery('query-1')", "CALL dbms.kill… is not for samples"),
        ("CALL`dbms`.`killTransaction`('x')", "CALL dbms.kill… is not for samples"),
        ("CALL /* x */ dbms\n. // x\n killConnection('x')", "CALL dbms.kill… is not for samples"),
    ],
)
def test_a_query_that_is_not_for_samples_is_not_sent(query: str, words: str) -> None:
    """A session for reading would run it; escapes, which the server reads in its own way, hide nothing."""
    asked = Answered([], query)
    error = refused(asked)
    assert error.reason is Reason.DATASET_QUERY_INVALID
    assert error.message.startswith("neo4j bolt://graph.example: the query is refused: ")
    assert words in error.message
    assert error.remedy == REASONS[Reason.DATASET_QUERY_INVALID].remedy


@pytest.mark.parametrize(
    "query",
    [
        ONE,
        "MATCH (n:Payload) RETURN n.load AS text, n.csv AS entities",
        "CALL db.labels() YIELD label RETURN label AS text, [] AS entities",
        "RETURN 'it\\'s\\n' AS text, [] AS entities",
        "MATCH (n) WHERE n.dbms = 'kill' RETURN n.text AS text, [] AS entities",
    ],
)
def test_other_queries_are_sent(query: str) -> None:
    """Also with the words apart, and with other escapes."""
    assert Answered([{"text": "Ada", "entities": []}], query).fetch(Download(io.BytesIO(), "graph"), "")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (
            "Neo.ClientError.Security.Unauthorized",
            Reason.DATASET_ACCESS_DENIED,
            "refuses the user of Secret graph-reader (Unauthorized)",
        ),
        (
            f"Neo.ClientError.Security.{CANARY}",
            Reason.DATASET_ACCESS_DENIED,
            "refuses the user of Secret graph-reader",
        ),
        (
            "Neo.ClientError.Statement.ParameterMissing",
            Reason.DATASET_QUERY_INVALID,
            "the query is refused: ParameterMissing",
        ),
        (
            f"Neo.ClientError.Statement.{CANARY}",
            Reason.DATASET_QUERY_INVALID,
            "the query is refused: an error",
        ),
        (
            "Neo.ClientError.Statement.x\n\x1b[31mReady=True",
            Reason.DATASET_QUERY_INVALID,
            "the query is refused: an error",
        ),
        (
            f"Neo.ClientError.Statement.{'x' * 65}",
            Reason.DATASET_QUERY_INVALID,
            "the query is refused: an error",
        ),
        (
            f"Neo.TransientError.General.{CANARY}",
            Reason.DATASET_UNREACHABLE,
            "the server answers with an error",
        ),
        (CANARY, Reason.DATASET_UNREACHABLE, "the server answers with an error"),
    ],
)
def test_of_an_errors_code_only_a_word_is_told(code: str, reason: Reason, words: str) -> None:
    """The server was sent the password, and may repeat it wherever it likes."""
    error = said(Neo4jError._hydrate_neo4j(code=code, message=CANARY), MEANS)
    assert error.reason is reason
    assert error.message == f"{MEANS.title}: {words}"


def test_rows_are_counted_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words that the reader of the file would have; millions of them take a few bytes each."""
    monkeypatch.setattr(neo4j, "MAX_LINES", 3)
    rows: list[dict[str, Any]] = [{"text": None, "entities": None}] * 9
    assert Answered(rows[:3]).fetch(Download(io.BytesIO(), "graph"), "")
    query = Answered(rows)
    error = refused(query)
    assert (error.reason, query.sent) == (Reason.DATASET_INVALID, 4)
    assert error.message == f"{MEANS.title}: row 4: {TOO_MANY_LINES}"


def test_a_version_is_that_of_the_rows_in_any_order() -> None:
    """The digest of their sorted digests, as manifests of earlier runs have it."""
    rows: list[dict[str, Any]] = [{"text": f"{at % 1500}", "entities": []} for at in range(2000)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    digests = sorted(hashlib.sha256(line).digest() for line in lines)
    expected = f"sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}"
    for some in (rows, rows[::-1]):
        content = Answered(some).fetch(Download(io.BytesIO(), "graph"), "")
        assert content is not None
        assert content.version == expected
    assert Answered(rows).fetch(Download(io.BytesIO(), "graph"), expected) is None
