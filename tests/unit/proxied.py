"""A real proxy and a real TLS server on loopback."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.authority import SERVER
from tests.unit.listening import Listening
from tests.unit.trainer.loopback import Loopback

QUIET_SECONDS = 20.0


class LoopbackProxy(Listening):
    """An HTTP proxy that leads every request to one server, wherever it was meant to go.

    Args:
        upstream: URL of that server; empty: every request is refused.
    """

    def __init__(self, upstream: str = "") -> None:
        self.asked: list[str] = []
        """The first lines of the requests."""
        host, _, port = upstream.rpartition("/")[2].partition(":")
        self._upstream = (host, int(port)) if upstream else None
        super().__init__(self._lead)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _lead(self, client: socket.socket) -> None:
        line, _, rest = _head(client).partition(b"\r\n")
        if not rest:
            return
        self.asked.append(line.decode())
        if self._upstream is None:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(self._upstream) as server:
            method, target, version = line.split(b" ")
            if method == b"CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = b"/" + target.split(b"/", 3)[3]
                server.sendall(b" ".join((method, path, version)) + b"\r\n" + rest)
            _pipe(client, server)


@contextmanager
def secured(loopback: Loopback, folder: Path) -> Iterator[str]:
    """The server over TLS, with the certificate of `authority`; gives its URL.

    Args:
        loopback: not started yet.
        folder: for the certificate's file.
    """
    file = folder / "server.pem"
    file.write_text(SERVER, encoding="ascii")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    server = loopback._server
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with loopback:
        yield loopback.url.replace("http:", "https:")


def _head(client: socket.socket) -> bytes:
    """A request as far as it has come, at least to the end of its headers; empty: its client left before."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(65_536)
        if not piece:
            return b""
        head += piece
    return head


def _pipe(one: socket.socket, other: socket.socket) -> None:
    while True:
        readable, _, _ = select.select([one, other], [], [], QUIET_SECONDS)
        if not readable:
            return
        for source in readable:
            try:
                piece = source.recv(65_536)
            except OSError:
                return
            if not piece:
                return
            (other if source is one else one).sendall(piece)
