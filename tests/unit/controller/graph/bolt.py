"""A server that says what a test scripts over Bolt 5.4, down to bytes that no Neo4j sends."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Final

VERSION: Final = bytes.fromhex("00000405")
HELLO, RESET, RUN = 0x01, 0x0F, 0x10
NAMES: Final = {
    HELLO: "HELLO",
    RESET: "RESET",
    RUN: "RUN",
    0x11: "BEGIN",
    0x12: "COMMIT",
    0x13: "ROLLBACK",
}
IGNORED: Final = b"\x00\x02\xb0\x7e\x00\x00"


def _text(text: str) -> bytes:
    raw = text.encode()
    return (bytes([0x80 + len(raw)]) if len(raw) < 16 else b"\xd0" + bytes([len(raw)])) + raw


def _message(kind: int, **facts: str | bytes) -> bytes:
    told = b"".join(_text(key) + (_text(one) if isinstance(one, str) else one) for key, one in facts.items())
    raw = b"\xb1" + bytes([kind, 0xA0 + len(facts)]) + told
    return struct.pack(">H", len(raw)) + raw + b"\x00\x00"


class Forbidding:
    """Lets everything through but statements that hold some words, and keeps what it was sent."""

    def __init__(self, words: bytes) -> None:
        self.seen: list[str] = []
        self._words = words
        self._failed = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await reader.readexactly(20)
            writer.write(VERSION)
            while True:
                request = await _received(reader)
                self.seen.append(NAMES.get(request[1], "other"))
                writer.write(self._answer(request))
        writer.close()

    def _answer(self, request: bytes) -> bytes:
        kind = request[1]
        self._failed = self._failed and kind != RESET
        if self._failed:
            return IGNORED
        if kind == HELLO:
            return _message(0x70, server="Neo4j/5.26.0", connection_id="one")
        if kind == RUN and self._words in request:
            self._failed = True
            return _message(0x7F, code="Neo.ClientError.Security.Forbidden", message="no right")
        return _message(0x70, fields=b"\x90") if kind == RUN else _message(0x70)


class Saying:
    """Says the same to everybody and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await reader.readexactly(20)
            writer.write(self._answer)
            await writer.drain()
        writer.close()


async def _received(reader: asyncio.StreamReader) -> bytes:
    request = b""
    while size := struct.unpack(">H", await reader.readexactly(2))[0]:
        request += await reader.readexactly(size)
    return request or await _received(reader)


@contextlib.asynccontextmanager
async def listening(server: Forbidding | Saying) -> AsyncIterator[str]:
    """A server on this machine; gives its bolt:// URI."""
    async with await asyncio.start_server(server, "127.0.0.1", 0) as opened:
        yield f"bolt://127.0.0.1:{opened.sockets[0].getsockname()[1]}"
