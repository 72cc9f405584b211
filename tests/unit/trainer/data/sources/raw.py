"""A server on loopback that sends bytes as they are, also such as no server should."""

from __future__ import annotations

import socket
import threading
from typing import Self


class RawServer:
    """Sends one script after the other, the last one for ever, each on a connection of its own.

    Args:
        scripts: whole replies with their heads.
        greets: whether it sends them before it is asked.
    """

    def __init__(self, *scripts: bytes, greets: bool = False) -> None:
        self._greets = greets
        self.heads: list[str] = []
        self._scripts = list(scripts)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                head = b""
                while not self._greets and b"\r\n\r\n" not in head and (piece := client.recv(65_536)):
                    head += piece
                self.heads.append(head.decode("latin-1"))
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                try:
                    client.sendall(script)
                    client.shutdown(socket.SHUT_WR)
                except OSError:
                    continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole reply; a Content-Length of its own where none is given."""
    named = {"Content_Length": str(len(body)), **headers}
    lines = [
        f"HTTP/1.1 {status} Said",
        *(f"{name.replace('_', '-')}: {value}" for name, value in named.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
