"""The real Neo4j of the tests: it keeps what was written, and can be lost, slow and back."""

from __future__ import annotations

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, ServiceUnavailable

from tests.sandbox.neo4j.artifacts import version
from tests.sandbox.neo4j.server import Neo4j


def test_it_is_the_community_edition_and_asks_for_its_password(neo4j: Neo4j) -> None:
    """Of the release that the pom names."""
    (told,) = neo4j.query("CALL dbms.components() YIELD versions, edition RETURN versions, edition")
    assert told == {"versions": [version()], "edition": "community"}
    with (
        GraphDatabase.driver(neo4j.uri, auth=(neo4j.user, "wrong")) as driver,
        pytest.raises(AuthError),
    ):
        driver.verify_connectivity()


def test_what_was_written_outlives_a_kill(neo4j: Neo4j) -> None:
    """At the same address, with the same password."""
    address, password = neo4j.uri, neo4j.password
    neo4j.query("CREATE (node:Note {text: 'kept'})")
    neo4j.kill()
    with pytest.raises(ServiceUnavailable):
        neo4j.query("RETURN 1")
    neo4j.start(print)
    assert (neo4j.uri, neo4j.password) == (address, password)
    assert neo4j.query("MATCH (node:Note) RETURN node.text AS text") == [{"text": "kept"}]


def test_while_it_is_paused_it_takes_connections_and_does_not_answer(neo4j: Neo4j) -> None:
    """And answers as before afterwards."""
    access = (neo4j.user, neo4j.password)
    with (
        neo4j.paused(),
        GraphDatabase.driver(neo4j.uri, auth=access, connection_acquisition_timeout=1.0) as driver,
        pytest.raises(ServiceUnavailable),
    ):
        driver.verify_connectivity()
    assert neo4j.query("RETURN 1 AS one") == [{"one": 1}]


def test_each_test_finds_it_empty(neo4j: Neo4j) -> None:
    """Without the nodes, constraints and indexes of others."""
    neo4j.query("CREATE CONSTRAINT one FOR (node:Note) REQUIRE node.text IS UNIQUE")
    neo4j.query("CREATE INDEX two FOR (node:Note) ON (node.other)")
    neo4j.query("CREATE (:Note {text: 'a'})-[:NEXT]->(:Note {text: 'b'})")
    neo4j.empty()
    assert neo4j.query("MATCH (node) RETURN count(node) AS nodes") == [{"nodes": 0}]
    assert neo4j.query("SHOW CONSTRAINTS YIELD name") == []
