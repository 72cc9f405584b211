"""Rows of a sample file, each with the line it begins at: streamed, bounded, strict about UTF-8 and JSON.

What is wrong is a row as well, with a fixed wording that holds nothing of the file: samples must not
come into a message.
"""

import codecs
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Literal, NoReturn

from domaintraining.trainer.data.limits import MAX_FILE, MAX_LINES, MAX_ROW, MEBIBYTE
from domaintraining.trainer.data.rows import (
    DECODER,
    FILE_TOO_LARGE,
    NOT_JSON,
    NOT_UTF8,
    ROW_TOO_LONG,
    TOO_MANY_LINES,
    Row,
)
from domaintraining.trainer.data.table import looks_like_table, table_rows

__all__ = ["Row", "detect_format", "read_rows"]

Format = Literal["jsonl", "json", "csv"]

_CHUNK: Final = 4 * MEBIBYTE
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NO_LIST: Final = 'is neither a list of samples nor {"samples": [...]}'


class _FaultError(Exception):
    """Something after which the rest of the file can't be read."""

    def __init__(self, line: int, fault: str) -> None:
        super().__init__(fault)
        self.line = line
        self.fault = fault


def read_rows(file: BinaryIO, name: str, file_format: str) -> Iterator[Row]:
    """The rows of a file in their order.

    Args:
        file: opened at its beginning, seekable.
        name: its name, for the format.
        file_format: jsonl, json (a list of samples, or an object whose key `samples` is one; its other
            keys are ignored), csv (see `table`) or auto.

    Yields:
        One row for each sample. A line that can't be read is a row with a fault, and reading goes on;
        after a fault within a JSON document, or past the limit, it ends. A byte order mark is allowed.
    """
    if file_format == "auto":
        head = file.read(MAX_ROW)
        file.seek(0)
        file_format = detect_format(name, head)
    readers = {"jsonl": _jsonl_rows, "json": _json_rows, "csv": table_rows}
    yield from readers[file_format](file)


def detect_format(name: str, head: bytes) -> Format:
    """Format of a file by its name and first bytes (1 MiB at most).

    A list at the beginning is json whatever the name says. `.jsonl` and `.ndjson` are jsonl, `.csv` is csv.
    Else it is jsonl where the first line is a whole object without a list `samples`, and csv where it names
    columns.
    """
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"["):
        return "json"
    if name.lower().endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if name.lower().endswith(".csv") or looks_like_table(head):
        return "csv"
    try:
        first = DECODER.decode(head.partition(b"\n")[0].decode())
    except (ValueError, RecursionError):
        return "json"
    return "jsonl" if isinstance(first, dict) and not isinstance(first.get("samples"), list) else "json"


def _jsonl_rows(file: BinaryIO) -> Iterator[Row]:
    for line in itertools.count(1):
        raw = file.readline(MAX_ROW + 1)
        if not raw:
            return
        if line > MAX_LINES:
            yield Row(line, None, TOO_MANY_LINES)
            return
        too_long = len(raw) > MAX_ROW and not raw.endswith(b"\n")
        if too_long:
            _skip_line(file)
        if file.tell() > MAX_FILE:
            yield Row(line, None, FILE_TOO_LARGE)
            return
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if too_long:
            yield Row(line, None, ROW_TOO_LONG)
        elif raw and not raw.isspace():
            yield _row(line, raw)


def _skip_line(file: BinaryIO) -> None:
    while file.tell() <= MAX_FILE:
        more = file.readline(MAX_ROW)
        if not more or more.endswith(b"\n"):
            return


def _row(line: int, raw: bytes) -> Row:
    try:
        return Row(line, DECODER.decode(raw.decode()))
    except UnicodeDecodeError:
        return Row(line, None, NOT_UTF8)
    except (ValueError, RecursionError):
        return Row(line, None, NOT_JSON)


def _json_rows(file: BinaryIO) -> Iterator[Row]:
    window = _Window(file)
    try:
        if window.peek() == "[":
            yield from _list_rows(window)
        elif window.peek() == "{":
            yield from _object_rows(window)
        else:
            window.fail(_NO_LIST)
        if window.peek():
            window.fail("has more after the end of the JSON document")
    except _FaultError as error:
        yield Row(error.line, None, error.fault)


def _object_rows(window: "_Window") -> Iterator[Row]:
    found = False
    window.skip("{")
    while True:
        if window.peek() != '"':
            window.fail(NOT_JSON if found else _NO_LIST)
        key = window.take()
        window.skip(":")
        if key != "samples":
            window.take()
        elif found or window.peek() != "[":
            window.fail("samples: is given twice" if found else "samples: is no list")
        else:
            found = True
            yield from _list_rows(window)
        if window.peek() == "}":
            break
        window.skip(",")
    if not found:
        window.fail(_NO_LIST)
    window.skip("}")


def _list_rows(window: "_Window") -> Iterator[Row]:
    window.skip("[")
    while window.peek() != "]":
        line, begin = window.line, window.offset
        value = window.take()
        too_long = window.offset - begin > MAX_ROW
        yield Row(line, None, ROW_TOO_LONG) if too_long else Row(line, value)
        if window.peek() == "]":
            break
        window.skip(",")
        if window.peek() == "]":
            window.fail(NOT_JSON)
    window.skip("]")


class _Window:
    """A sliding view of a JSON file, so that only a few MiB of it are in memory.

    Ahead of its place there is always more than one row may have, or the end of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.line = 1
        self.offset = 0
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False

    def fail(self, fault: str) -> NoReturn:
        """Gives the file up, at this place."""
        raise _FaultError(self.line, fault)

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._fill()
            space = _SPACE.match(self._text, self._at)
            assert space
            self._move(space.end())
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]

    def skip(self, expected: str) -> None:
        """Goes past one character, or fails where another one stands."""
        if self.peek() != expected:
            self.fail(NOT_JSON)
        self._move(self._at + 1)

    def take(self) -> Any:
        """The JSON value that begins here."""
        self.peek()
        try:
            value, end = DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                self.line += self._text.count("\n", self._at, error.pos)
            self.fail(NOT_JSON if self._ended else f"{NOT_JSON}, or {ROW_TOO_LONG}")
        self._move(end)
        return value

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self.offset += to - self._at
        self._at = to

    def _fill(self) -> None:
        while not self._ended and len(self._text) - self._at <= MAX_ROW:
            raw = self._file.read(_CHUNK)
            self._ended = not raw
            if self._file.tell() > MAX_FILE:
                self.fail(FILE_TOO_LARGE)
            self._text = self._text[self._at :] + self._decode(raw)
            self._at = 0

    def _decode(self, raw: bytes) -> str:
        try:
            return self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            read = self._text.count("\n", self._at) + error.object.count(b"\n", 0, error.start)
            raise _FaultError(self.line + read, NOT_UTF8) from None
