"""Rows of a CSV file: the columns text, entities and relations, the last two JSON, and group.

As RFC 4180 has it: cells with commas, quotes or line ends stand in quotes, a quote in them is doubled.
Columns come in any order; what else there is counts as unknown keys. An empty cell means not labelled, `[]`
labelled and none.
"""

import codecs
import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from domaintraining.trainer.data.limits import MAX_FILE, MAX_LINES, MAX_ROW
from domaintraining.trainer.data.rows import (
    DECODER,
    FILE_TOO_LARGE,
    NOT_JSON,
    NOT_UTF8,
    ROW_TOO_LONG,
    TOO_MANY_LINES,
    Row,
)

TEXT: Final = "text"
JSON_COLUMNS: Final = ("entities", "relations")
COLUMNS: Final = "text, entities, relations and group"
_QUOTES: Final = "is not CSV: quotes must stand around a whole cell and be doubled within it"


class _FaultError(Exception):
    """Something after which the rest of the file can't be read."""


def looks_like_table(head: bytes) -> bool:
    """Whether the first line of a file names columns of samples."""
    first = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
    names = {cell.strip().strip(b'"') for cell in first.split(b",")}
    return TEXT.encode() in names and any(name.encode() in names for name in JSON_COLUMNS)


def table_rows(file: BinaryIO) -> Iterator[Row]:
    """The rows below the one with the columns' names, each with the line of the file that it begins at.

    A row with a wrong number of cells, or a cell that is not JSON, is a row with a fault and reading goes
    on; after wrong quotes, an unreadable line, or past a limit, it ends.
    """
    csv.field_size_limit(MAX_ROW)
    lines = _Lines(file)
    cells = csv.reader(lines, strict=True)
    columns: list[str] = []
    while True:
        line = cells.line_num + 1
        try:
            row = next(cells, None)
        except _FaultError as error:
            of_row = str(error) == ROW_TOO_LONG
            yield Row(line if of_row else cells.line_num + 1, None, str(error))
            return
        except csv.Error as error:
            yield Row(line, None, ROW_TOO_LONG if "limit" in str(error) else _QUOTES)
            return
        if row is None:
            return
        lines.row_ends()
        if not row:
            continue
        if not columns:
            columns = [name.strip() for name in row]
            if fault := _wrong_columns(columns):
                yield Row(line, None, fault)
                return
        else:
            yield _row(line, columns, row)


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) != len(columns):
        return Row(line, None, f"has {len(cells):,} cells; the first line names {len(columns):,} columns")
    if sum(map(len, cells)) > MAX_ROW:
        return Row(line, None, ROW_TOO_LONG)
    value: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if column in JSON_COLUMNS and cell.strip():
            try:
                value[column] = DECODER.decode(cell)
            except (ValueError, RecursionError):
                return Row(line, None, f"{column}: {NOT_JSON}")
        elif column == TEXT or cell.strip():
            value[column] = cell
    return Row(line, value)


def _wrong_columns(columns: list[str]) -> str:
    """What is wrong with the names, without saying them: a file without any has samples there."""
    if TEXT not in columns:
        return f"names no column text; the first line must name the columns, {COLUMNS}, separated by commas"
    if not set(JSON_COLUMNS) & set(columns):
        return f"names neither entities nor relations; the columns are {COLUMNS}, separated by commas"
    return "names a column twice" if len(set(columns)) < len(columns) else ""


class _Lines:
    """The lines of a file with their ends, as text; no more than a row is in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = self._length = 0

    def row_ends(self) -> None:
        """The next line begins a row: many short cells would take far more memory than a long one."""
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_ROW + 1)
        if not raw:
            raise StopIteration
        self._length += len(raw)
        if self._length > MAX_ROW + raw.endswith(b"\n"):
            raise _FaultError(ROW_TOO_LONG)
        if self._file.tell() > MAX_FILE:
            raise _FaultError(FILE_TOO_LARGE)
        self._count += 1
        if self._count > MAX_LINES:
            raise _FaultError(TOO_MANY_LINES)
        if self._count == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise _FaultError(NOT_UTF8) from None
