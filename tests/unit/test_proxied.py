"""The proxy of the tests: a client may go away at any moment."""

from __future__ import annotations

import socket

import pytest

from tests.unit.proxied import LoopbackProxy


@pytest.mark.parametrize(
    "said", [b"", b"CONNECT gpu.example", b"CONNECT gpu.example:443 HTTP/1.1\r\nHost: x"]
)
def test_who_leaves_in_the_middle_of_a_request_has_asked_nothing(said: bytes) -> None:
    """The connection is closed; an exception in its thread would fail this test."""
    with LoopbackProxy() as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert not proxy.asked
