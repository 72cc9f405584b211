"""How the server is reached, and what is said of its errors."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

import neo4j
import pytest
from neo4j.exceptions import AuthError, ClientError, Neo4jError, ServiceUnavailable, TransientError

from domaintraining.api.reasons import Reason
from domaintraining.controller.graph.cypher import HELD, READ, Neo4jGraph, _state, _tls, explained
from domaintraining.controller.graph.model import GraphDownError, Log, Owner, Wanted, seeded
from domaintraining.controller.settings import GraphSettings
from domaintraining.reach import Reach
from tests.unit.authority import AUTHORITY
from tests.unit.controller.graph.bolt import VERSION, Forbidding, Saying, listening

CANARY = "canary-of-the-graph"
SETTINGS = GraphSettings(uri="bolt://graph:7687", password=CANARY)


def coded(kind: type[Neo4jError], code: str) -> Exception:
    """An error as the server sends it."""

    class Coded(kind):  # type: ignore[valid-type, misc]
        @property
        def code(self) -> str:
            return code

    return Coded(f"a value was {CANARY}")


@pytest.mark.parametrize(
    ("error", "reason", "down"),
    [
        (coded(AuthError, "Neo.ClientError.Security.Unauthorized"), Reason.GRAPH_REFUSED, True),
        (coded(ClientError, "Neo.ClientError.Security.Forbidden"), Reason.GRAPH_REFUSED, True),
        (coded(ClientError, "Neo.ClientError.Statement.TypeError"), Reason.GRAPH_REFUSED, False),
        (
            coded(ClientError, "Neo.ClientError.Schema.ConstraintValidationFailed"),
            Reason.GRAPH_UNAVAILABLE,
            True,
        ),
        (
            coded(TransientError, "Neo.TransientError.General.DatabaseUnavailable"),
            Reason.GRAPH_UNAVAILABLE,
            True,
        ),
        (ServiceUnavailable(f"Couldn't connect with {CANARY}\x1b[31m"), Reason.GRAPH_UNAVAILABLE, True),
        (TimeoutError(), Reason.GRAPH_UNAVAILABLE, True),
        (ConnectionResetError(104, "Connection reset by peer"), Reason.GRAPH_UNAVAILABLE, True),
    ],
)
def test_errors_are_told_by_their_code_and_without_values(
    error: Exception,
    reason: Reason,
    down: bool,  # noqa: FBT001
) -> None:
    """What stops everybody is apart from what is wrong with one domain."""
    told = explained(error, SETTINGS)
    assert told.reason is reason
    assert isinstance(told, GraphDownError) is down
    assert CANARY not in told.message
    assert "\x1b" not in told.message
    assert told.message.startswith("Neo4j at bolt://graph:7687 ")


def test_the_operators_authorities_count_where_the_server_is_checked() -> None:
    """With +s; +ssc checks nothing, and without TLS there is nothing to check."""
    reach = Reach(authorities=AUTHORITY)
    uri, context = _tls("neo4j+s://graph.example.com:7687", reach)
    assert uri == "neo4j://graph.example.com:7687"
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    for plain in ("bolt://graph", "bolt+ssc://graph"):
        assert _tls(plain, reach) == (plain, None)
    assert _tls("bolt+s://graph", Reach()) == ("bolt+s://graph", None)


def test_an_error_that_the_driver_does_not_know_is_told_by_its_kind() -> None:
    """Its words may be anything, such as a part of what was to be written."""
    told = explained(ValueError(CANARY), SETTINGS)
    assert isinstance(told, GraphDownError)
    assert (told.reason, told.message) == (
        Reason.GRAPH_UNAVAILABLE,
        "Neo4j at bolt://graph:7687 does not answer as Neo4j does (ValueError)",
    )


def constrained(server: Forbidding | Saying) -> str:
    """What comes of making names unique at a server."""

    async def constrain() -> str:
        async with listening(server) as uri:
            graph = Neo4jGraph(dataclasses.replace(SETTINGS, uri=uri), Reach())
            try:
                return await graph.constrain()
            finally:
                await graph.close()

    return asyncio.run(constrain())


def test_a_user_that_may_make_no_constraints_is_told_so_and_nothing_else() -> None:
    """That right alone may lack: the graph is neither down nor refused for it."""
    server = Forbidding(b"CONSTRAINT")
    assert "Neo.ClientError.Security.Forbidden" in constrained(server)
    assert "COMMIT" not in server.seen


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x63",
        b"\x00\x00\x01\xff" + b"\xff" * 30,
        VERSION + b"\x00\x02\xff\xff\x00\x00xx",
        VERSION + b"\x00\x02\xb0\x11\x00\x00",
        VERSION + b"\x00\x03\xb1\x70\xc1\x00\x00",
        VERSION + b"\x00\x01\x01\x00\x00",
    ],
)
def test_a_server_that_is_no_neo4j_is_away(answer: bytes) -> None:
    """Whatever the driver raises then: it ends no controller."""
    with pytest.raises(GraphDownError) as raised:
        constrained(Saying(answer))
    assert raised.value.reason is Reason.GRAPH_UNAVAILABLE


def test_a_value_that_cant_be_sent_is_no_fault_of_the_server() -> None:
    """Others are written meanwhile."""
    owner = Owner("team", "docs", "uid", "2026-11-23T11:00:00Z")
    odd = Wanted("docs", owner, 1, {"description": "\ud800"}, {})

    async def write() -> None:
        async with listening(Forbidding(b"nothing")) as uri:
            graph = Neo4jGraph(dataclasses.replace(SETTINGS, uri=uri), Reach())
            try:
                await graph.write(odd, "here", given=False)
            finally:
                await graph.close()

    with pytest.raises(UnicodeEncodeError):
        asyncio.run(write())


class Row(dict[str, Any]):
    """A record of the driver."""

    def data(self) -> dict[str, Any]:
        return self


class Answering:
    """A transaction of a server that has the domain and so many of the wanted logs."""

    def __init__(self, domain: dict[str, Any], held: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self._rows = {READ: Row(domain), HELD: Row(held=held)}

    async def run(self, statement: str, **parameters: Any) -> AsyncIterator[Row]:
        self.asked.append(parameters)
        await asyncio.sleep(0)
        return self._all(self._rows[statement])

    @staticmethod
    async def _all(row: Row) -> AsyncIterator[Row]:
        yield row


@pytest.mark.parametrize(
    ("written", "intact", "held", "expected"),
    [
        (True, True, 2, True),
        (True, True, 1, False),
        (True, False, 2, False),
        (False, True, 0, True),
    ],
)
def test_a_domain_is_intact_with_all_its_logs(
    written: bool,  # noqa: FBT001
    intact: bool,  # noqa: FBT001
    held: int,
    expected: bool,  # noqa: FBT001
) -> None:
    """They are asked about by the ids that they have there, and only where all was written before."""
    owner = Owner("team", "docs", "uid", "2026-11-23T11:00:00Z")
    logs = tuple(Log(f"log-{run}", {"run": run, "status": "ready"}) for run in (1, 2))
    wanted = Wanted("docs", owner, 1, {"status": "ready"}, {}, logs)
    digest = wanted.digest if written else "of another state"
    row = {"name": "docs", "uid": "uid", "seed": "seed", "written": digest, "intact": intact}
    transaction = Answering(row, held)
    found = asyncio.run(_state(cast("neo4j.AsyncTransaction", transaction), wanted))
    assert found is not None
    assert found.intact is expected
    ids = [[log["id"] for log in one["logs"]] for one in transaction.asked[1:]]
    assert ids == ([[log.id for log in seeded(logs, "seed")]] if written else [])
