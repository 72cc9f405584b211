"""A server on loopback that sends bytes as they are, also such as no server should."""

from __future__ import annotations

import socket
import threading

from tests.unit.listening import Listening


class RawServer(Listening):
    """Sends one script after the other, the last one for ever, each on a connection of its own.

    Args:
        scripts: whole replies with their heads.
        greets: whether it sends them before it is asked.
        drips: so many of the first ones are sent byte by byte, ever so slowly.
    """

    def __init__(self, *scripts: bytes, greets: bool = False, drips: int = 0) -> None:
        self._greets, self._drips = greets, drips
        self._left, self._lock = threading.Event(), threading.Lock()
        self.heads: list[str] = []
        self._scripts = list(scripts)
        super().__init__(self._talk)
        self.url = f"http://127.0.0.1:{self.port}"

    def _next(self) -> tuple[bytes, bool]:
        """What the next connection gets, and whether it drips."""
        with self._lock:
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            self._drips -= 1
            return script, self._drips >= 0

    def _talk(self, client: socket.socket) -> None:
        script, drips = self._next()
        head = b""
        while not self._greets and b"\r\n\r\n" not in head and (piece := client.recv(65_536)):
            head += piece
        self.heads.append(head.decode("latin-1"))
        for piece in (script[at : at + 1] for at in range(len(script))) if drips else [script]:
            client.sendall(piece)
            if drips and self._left.wait(0.01):
                return
        client.shutdown(socket.SHUT_WR)

    def __exit__(self, *ending: object) -> None:
        self._left.set()
        super().__exit__(*ending)


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole reply; a Content-Length of its own where none is given."""
    named = {"Content_Length": str(len(body)), **headers}
    lines = [
        f"HTTP/1.1 {status} Said",
        *(f"{name.replace('_', '-')}: {value}" for name, value in named.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
