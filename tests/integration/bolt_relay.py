"""A relay in front of Neo4j that can lose one commit, on its way there or the answer on its way back."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Self

BEGIN: Final = b"\xb1\x11"
"""The start of a BEGIN message: https://neo4j.com/docs/bolt/current/bolt/message/"""
COMMIT: Final = b"\x00\x02\xb0\x12\x00\x00"
"""A whole COMMIT message, one chunk and its end."""
BYTES: Final = 65_536
Lost = Literal["request", "answer"]


@dataclass
class _Order:
    """What is to be lost: the commit of the transaction whose requests hold all of these."""

    words: list[bytes]
    lost: Lost
    then: Callable[[], object]


class BoltRelay:
    """Leads every connection to one server; without an order it changes nothing.

    Args:
        upstream: the server's port on loopback.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._order: _Order | None = None
        self.carried_out = threading.Event()
        """Set once the order was."""
        self.shut = False
        """Whether nobody is led to the server; true from the moment that an order is carried out."""

    @property
    def uri(self) -> str:
        """Where drivers find the server."""
        return f"bolt://127.0.0.1:{self._listening.getsockname()[1]}"

    def lose(self, words: list[str], lost: Lost, then: Callable[[], object]) -> None:
        """Lose the next commit of what holds all of this: the request, or its answer once there is one.

        `then` is called at that instant, the connection is closed, and no other is led until `shut` is false.
        """
        self.carried_out.clear()
        self._order = _Order([word.encode() for word in words], lost, then)

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),  # a client is refused by an end right away
            socket.create_connection(("127.0.0.1", self._upstream)) as server,
        ):
            if not self.shut:
                self._lead(client, server)

    def _lead(self, client: socket.socket, server: socket.socket) -> None:
        """Both directions, up to an end or to what is lost."""
        since, losing = b"", None
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(BYTES)
                if not data or (losing and ready is server):
                    return self._carry_out(losing) if data and losing else None
                if ready is server:
                    client.sendall(data)
                    continue
                since += data
                order = self._order_for(since) if COMMIT in data else None
                if order and order.lost == "request":
                    return self._carry_out(order)
                losing = losing or order
                server.sendall(data)
                since = b"" if COMMIT in data else since

    def _order_for(self, requests: bytes) -> _Order | None:
        order = self._order
        transaction = requests.rpartition(BEGIN)[2]  # one that was rolled back may be in front of it
        if not order or not all(word in transaction for word in order.words):
            return None
        self._order = None
        return order

    def _carry_out(self, order: _Order) -> None:
        self.shut = True
        order.then()
        self.carried_out.set()
