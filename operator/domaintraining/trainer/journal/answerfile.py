"""A file of answers: a header and one JSON object a line, each with its checksum. Bytes only, no locks.

A line is `{"crc":"<8 hex digits>","k":"<64 hex digits>",…}`: crc is CRC-32 of all that follows it up to the
end of the line, so that a line that was torn or spoilt is told from a whole one without reading its JSON.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO, Final, NamedTuple

from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.fingerprint import hash_of, model_digests

FORMAT: Final = 1
WHAT: Final = "answers of a model server to one training run; append-only, first line of a key counts"
MAX_LINE: Final = 8 * 1024 * 1024
"""Most bytes of a line; an answer of 32,768 tokens has about 200,000."""
MAX_HEADER: Final = 64 * 1024
MAX_COUNT: Final = 1_000_000_000
START: Final = re.compile(rb'\{"crc":"([0-9a-f]{8})","k":"([0-9a-f]{64})",')
CHECKED_FROM: Final = len('{"crc":"00000000",')
BEGINNING: Final = b'{"crc":"'
"""Stands nowhere else in a line: within a JSON string its quotes have backslashes."""


class Line(NamedTuple):
    """One line of a file."""

    key: str | None
    """Key of the answer; None: no whole record."""
    offset: int
    """Byte that it begins at."""
    length: int
    """Bytes with its end."""


class Header(NamedTuple):
    """What the first line of a file says."""

    created: str
    """When the file was begun, ISO 8601 in UTC."""
    hash: str
    """Hash over the parts of the fingerprint."""
    digests: frozenset[str]
    """Digests of the models that answered."""
    length: int
    """Bytes of the line."""


def header_line(parts: Mapping[str, Any], created: datetime) -> bytes:
    """The first line of a file for a run with a fingerprint of these parts."""
    values = {"journal": WHAT, "format": FORMAT, "created": created.isoformat(timespec="seconds")}
    return json.dumps(values | {"fingerprint": dict(parts)}).encode() + b"\n"


def read_header(file: BinaryIO) -> Header | None:
    """The header of a file that is read from its start; None: it has none that is understood here."""
    line = file.readline(MAX_HEADER)
    values = _object(line) if line.endswith(b"\n") else {}
    parts, created = values.get("fingerprint"), values.get("created")
    if values.get("format") != FORMAT or not isinstance(parts, dict) or not isinstance(created, str):
        return None
    with suppress(RecursionError):
        return Header(created, hash_of(parts), model_digests(parts), len(line))
    return None


def record_line(key: str, answer: ChatAnswer) -> bytes:
    """The line of an answer.

    Raises:
        ValueError: it is longer than 8 MiB.
    """
    values = {"k": key, **answer._asdict()}
    try:
        rest = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        rest = json.dumps(values, separators=(",", ":")).encode()
    line = b'{"crc":"%08x",%b\n' % (zlib.crc32(rest[1:]), rest[1:])
    if len(line) > MAX_LINE:
        raise ValueError(f"{len(line)} bytes, more than {MAX_LINE}")
    return line


def key_of(line: bytes) -> str | None:
    """The key of a line that is whole; None: it is not."""
    start = START.match(line)
    if start is None or not line.endswith(b"\n"):
        return None
    if int(start[1], 16) != zlib.crc32(memoryview(line)[CHECKED_FROM:-1]):
        return None
    return start[2].decode()


def read_record(line: bytes, key: str) -> ChatAnswer | None:
    """The answer in a line; None: the line is not whole, or not one of this key."""
    if key_of(line) != key:
        return None
    values = _object(line)
    texts = [values.get(name) for name in ("content", "done_reason", "model")]
    counts = [values.get(name) for name in ("prompt_tokens", "answer_tokens")]
    if not all(isinstance(text, str) for text in texts):
        return None
    if not all(type(count) is int and 0 <= count <= MAX_COUNT for count in counts):
        return None
    return ChatAnswer(**{name: values[name] for name in ChatAnswer._fields})


def read_lines(file: BinaryIO, offset: int) -> Iterator[Line]:
    """The lines of a file from where it stands, which is `offset`, on; only one is in memory at a time.

    A whole line behind one that has no end of its own is a line as well.
    """
    while line := file.readline(MAX_LINE):
        key = key_of(line)
        lost = 0 if key is not None else max(0, line.rfind(BEGINNING))
        if lost:
            yield Line(None, offset, lost)
            key = key_of(line[lost:])
        yield Line(key, offset + lost, len(line) - lost)
        offset += len(line)


def _object(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
