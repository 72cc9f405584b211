"""Samples from CSV: cells as RFC 4180 has them, and errors with the line that an editor shows."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data import table
from domaintraining.trainer.data.dataset import Samples, read_samples
from tests.unit.trainer.scripted import parsed, samples

SECRET = "Zanzibar"
"""Stands for all that is in a sample: no message may hold it."""
HEAD = "text,entities,relations\n"


def cells(rows: list[dict[str, Any]], *columns: str) -> str:
    """Rows as Python's own writer has them."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(
            [row[name] if name in ("text", "group") else json.dumps(row[name]) for name in columns]
        )
    return out.getvalue()


def read(folder: Path, text: str | bytes, written: str = "csv", name: str = "samples.csv") -> Samples:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_samples(file, "configmap x, key y", written)


def fault(folder: Path, text: str | bytes) -> str:
    """What is said of a file, without its name and without anything of its samples."""
    with pytest.raises(DomainTrainingError) as raised:
        read(folder, text)
    assert SECRET not in raised.value.message
    return raised.value.message.removeprefix("configmap x, key y: ")


@pytest.mark.parametrize("order", [("text", "entities", "relations"), ("relations", "text", "entities")])
def test_it_says_what_json_says(tmp_path: Path, order: tuple[str, ...]) -> None:
    """The same samples, the same digest, whatever the order of the columns."""
    rows = samples(8)
    lines = tmp_path / "samples.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    found = read(tmp_path, cells(rows, *order))
    assert list(found.samples) == parsed(8)
    assert found.digest == read_samples(lines, "x", "auto").digest


@pytest.mark.parametrize("name", ["samples.csv", "samples.CSV", "export", "samples.txt", "samples.csv.gz"])
def test_it_is_told_by_name_and_content(tmp_path: Path, name: str) -> None:
    """Also with a byte order mark, CRLF and names of columns in quotes."""
    text = '\ufeff"text","entities"\r\nA,[]\r\n'
    assert read(tmp_path, text, "auto", name).samples[0].text == "A"


def test_what_is_empty_is_not_labelled_and_a_list_without_items_is(tmp_path: Path) -> None:
    """As in JSON, where the key is missing or the list is empty; a group may be left out."""
    found = read(tmp_path, "text,entities,relations,group\nA,[],,g\nB,,[],\n")
    first, second = found.samples
    assert (first.entities, first.relations, first.group) == ([], None, "g")
    assert (second.entities, second.relations, second.group) == (None, [], None)


def test_line_ends_quotes_and_commas_stand_in_quotes(tmp_path: Path) -> None:
    """And lines without anything are no samples."""
    found = read(tmp_path, HEAD + '\n"He said ""hm"", and\r\nleft.","[]","[]"\n\n')
    assert found.samples[0].text == 'He said "hm", and\r\nleft.'
    assert found.lines[found.samples[0].text] == 3


def test_older_forms_and_unknown_columns_are_as_in_json(tmp_path: Path) -> None:
    """Entities as plain strings; a column of its own counts once for each row."""
    found = read(tmp_path, 'text,entities,score\nA b,"[""A""]",3\nB,[],4\n')
    assert found.samples[0].entities is not None
    assert found.samples[0].entities[0].type == "CONCEPT"
    assert found.warnings == ("unknown keys are ignored: 2 (line 2; line 3)",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no samples"),
        (HEAD, "holds no samples"),
        (f"{SECRET},[],[]\n", "line 1: names no column text; the first line must name the columns, text, "),
        (f"Text,Entities\n{SECRET},[]\n", "line 1: names no column text; "),
        ("text;entities;relations\nA;[];[]\n", "line 1: names no column text; "),
        (f"text,label\n{SECRET},x\n", "line 1: names neither entities nor relations; "),
        ("text,entities,entities\nA,[],[]\n", "line 1: names a column twice"),
        (HEAD + f"{SECRET},[]\n", "line 2: has 2 cells; the first line names 3 columns"),
        (HEAD + f"{SECRET},[],[],[]\n", "line 2: has 4 cells; the first line names 3 columns"),
        (HEAD + f"A,[{SECRET}],[]\n", "line 2: entities: is not JSON"),
        (HEAD + "A,[],NaN\n", "line 2: relations: is not JSON"),
        (HEAD + "A,{},[]\n", "line 2: entities: is no list"),
        (HEAD + ",[],[]\n", "line 2: text: is empty"),
        (HEAD + f'"a\nb",[],[]\n"c\n\nd",[],[]\nA,[{SECRET}],[]\n', "line 7: entities: is not JSON"),
        (HEAD + f'"a\nb",[{SECRET},[]\nA,[],[]\nB,[x,[]\n', "line 2: entities: is not JSON; line 5: "),
        (HEAD + f'A,[],[]\n"B"{SECRET},[],[]\n', "line 3: is not CSV: quotes must stand around"),
        (HEAD + f'A,[],[]\n"{SECRET},[],[]\nC,[],[]\n', "line 3: is not CSV: quotes must stand around"),
        (HEAD.encode() + b"A,[],[]\n\xff,[],[]\n", "line 3: is not UTF-8"),
        (HEAD.encode() + b'"A\nB\xff",[],[]\n', "line 3: is not UTF-8"),
        (HEAD + 'A,"[""x"",]",[]\n', "line 2: entities: is not JSON"),
        (HEAD + "A," + "[" * 5000 + ",[]\n", "line 2: entities: is not JSON"),
        (
            HEAD + 'A,[],"[{""source"":""x"",""type"":""T"",""target"":""y""}]"\n',
            "line 2: relations[0].source: ",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    """The line that an editor shows, also behind cells with line ends."""
    assert fault(tmp_path, text).startswith(said)


@pytest.mark.parametrize(
    "row",
    ["x" * 200 + ",[],[]\n", '"' + "x\n" * 100 + '",[],[]\n', '"' + "x" * 60 + '","' + "\n" * 60 + '",[]\n'],
    ids=["a line", "a cell of many lines", "cells together"],
)
def test_what_is_too_long_is_told_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    """However it comes to be: a line, a cell whose quotes never end, or a row."""
    monkeypatch.setattr(table, "MAX_ROW", 100)
    assert "is longer than 1 MiB" in fault(tmp_path, HEAD + row)


def test_a_file_that_is_too_large_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with JSON lines."""
    monkeypatch.setattr(table, "MAX_FILE", 60)
    assert "line 4: the file is larger than 64 MiB" in fault(tmp_path, HEAD + "Abcdefg,[],[]\n" * 9)


def test_a_row_of_many_lines_is_no_longer_than_one_of_one_line(tmp_path: Path) -> None:
    """Each of its lines is short and each cell too: a packed file of a few KiB would fill the memory."""
    lines = b'ab,"\n",' * 200_000
    assert fault(tmp_path, b"text,entities\n" + lines + b"x\n").startswith("line 2: is longer than 1 MiB")


def test_rows_together_may_be_longer_than_one_row_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is counted by itself."""
    monkeypatch.setattr(table, "MAX_ROW", 60)
    rows = "".join(f'"a\n{number}",[]\n' for number in range(12))
    assert len(read(tmp_path, f"text,entities\n{rows}").samples) == 12
