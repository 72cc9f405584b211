"""The relay loses the commit that was ordered, and no other: what is judged by it depends on that."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.integration.bolt_relay import BEGIN, COMMIT, BoltRelay

ROLLBACK = b"\x00\x02\xb0\x13\x00\x00"


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    """A server that the test plays."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        yield listening


def test_the_commit_of_a_transaction_behind_one_that_was_rolled_back_is_led_on(
    upstream: socket.socket,
) -> None:
    """The words were said in the first; the relay goes by those of the transaction that commits."""
    lost: list[str] = []
    with BoltRelay(upstream.getsockname()[1]) as relay:
        relay.lose(["run 1 ended"], "request", lambda: lost.append("the commit"))
        with socket.create_connection(("127.0.0.1", int(relay.uri.rpartition(":")[2]))) as client:
            server, _ = upstream.accept()
            with server:
                server.settimeout(5)
                rolled_back = BEGIN + b"run 1 ended" + ROLLBACK
                for told in (rolled_back, BEGIN + b"run 1 began", COMMIT):
                    client.sendall(told)
                    assert server.recv(len(told), socket.MSG_WAITALL) == told
                assert not lost
                client.sendall(BEGIN + b"run 1 ended" + COMMIT)
                assert relay.carried_out.wait(5)
                assert server.recv(1) == b""
    assert lost == ["the commit"]
