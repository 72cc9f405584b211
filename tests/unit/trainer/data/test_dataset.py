"""Samples are read strictly, in every form the contract names, and errors say where without saying what."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import tracemalloc
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data import dataset, limits, records
from domaintraining.trainer.data.dataset import Samples, canonical_json, read_samples

SOURCE = "configmap x, key y"
SECRET = "Zanzibar"
"""Stands for all that is in a sample: no message may hold it."""

GOOD: dict[str, Any] = {
    "text": "Qdrant stores vectors for RAG.",
    "entities": [{"name": "Qdrant", "type": "TECHNOLOGY"}, {"name": "vectors", "type": "CONCEPT"}],
    "relations": [{"source": "Qdrant", "type": "CONTAINS", "target": "vectors"}],
    "group": "manual",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _lines(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def _read(folder: Path, data: bytes, name: str = "samples.jsonl", file_format: str = "auto") -> Samples:
    path = folder / name
    path.write_bytes(data)
    return read_samples(path, SOURCE, file_format)


def _refused(folder: Path, data: bytes, name: str = "samples.jsonl") -> str:
    with pytest.raises(DomainTrainingError) as caught:
        _read(folder, data, name)
    assert caught.value.reason is Reason.DATASET_INVALID
    message = caught.value.message
    assert len(message) <= 1024
    assert SECRET not in message
    assert caught.value.__cause__ is None, "a cause would bring the sample into a traceback"
    assert message.startswith(f"{SOURCE}: ")
    return message.removeprefix(f"{SOURCE}: ")


def _sample(number: int, **changes: Any) -> dict[str, Any]:
    return {**GOOD, "text": f"{GOOD['text']} {number}", **changes}


def test_reads_today_s_form_whole(folder: Path) -> None:
    """Text, entities, relations, descriptions and group arrive as they stand in the file."""
    row = {**GOOD, "entities": [{"name": "Qdrant", "type": "T", "description": "a store"}], "relations": []}
    (sample,) = _read(folder, _lines(row)).samples
    assert sample.model_dump(exclude_none=True) == row


def test_reads_the_two_older_forms(folder: Path) -> None:
    """Plain strings are entities of type CONCEPT; subject, predicate, object are source, type, target."""
    row = {
        "text": "Qdrant stores vectors.",
        "entities": ["Qdrant", {"name": "vectors", "type": "DATA"}],
        "relations": [{"subject": "Qdrant", "predicate": "stores", "object": "vectors", "description": "d"}],
    }
    (sample,) = _read(folder, _lines(row)).samples
    assert sample.entities is not None
    assert sample.relations is not None
    assert [(entity.name, entity.type) for entity in sample.entities] == [
        ("Qdrant", "CONCEPT"),
        ("vectors", "DATA"),
    ]
    (relation,) = sample.relations
    assert (relation.source, relation.type, relation.target) == ("Qdrant", "stores", "vectors")
    assert relation.description == "d"


@pytest.mark.parametrize("key", ["entities", "relations"])
def test_missing_is_not_labelled_and_empty_is_none(folder: Path, key: str) -> None:
    """A missing key (or null) stays None, `[]` stays an empty list."""
    rows: list[dict[str, Any]] = [
        {"text": "a", "entities": []},
        {"text": "b", "entities": [], key: []},
        {"text": "c", "entities": [], key: None},
    ]
    if key == "entities":
        rows[0].pop("entities")
    missing, empty, null = (getattr(sample, key) for sample in _read(folder, _lines(*rows)).samples)
    assert (missing, empty, null) == (None, [], None)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("samples.jsonl", _lines(GOOD)),
        ("samples.ndjson", _lines(GOOD)),
        ("samples", _lines(GOOD)),
        ("samples.json", _lines(GOOD)),
        ("samples.json", json.dumps([GOOD]).encode()),
        ("samples", json.dumps([GOOD], indent=2).encode()),
        ("samples.jsonl", json.dumps([GOOD]).encode()),
        ("samples.json", json.dumps({"samples": [GOOD]}).encode()),
        ("samples.json", json.dumps({"name": {"a": [1]}, "samples": [GOOD], "more": 2}, indent=1).encode()),
        ("samples", json.dumps({"samples": [GOOD]}).encode()),
        ("samples.jsonl", b"\xef\xbb\xbf" + _lines(GOOD)),
        ("samples.json", b"\xef\xbb\xbf \n" + json.dumps([GOOD]).encode() + b"\n\n"),
        ("samples.jsonl", b"\n  \n" + _lines(GOOD).replace(b"\n", b"\r\n") + b"\r\n"),
    ],
)
def test_auto_goes_by_name_and_content(folder: Path, name: str, data: bytes) -> None:
    """The same sample comes out of every form of file, with or without byte order mark and blank lines."""
    (sample,) = _read(folder, data, name).samples
    assert sample.model_dump(exclude_none=True) == GOOD


def test_a_given_format_wins_over_the_name(folder: Path) -> None:
    """`format: json` reads a list in a file of any name, `format: jsonl` reads lines."""
    assert _read(folder, json.dumps([GOOD]).encode(), "a.jsonl", "json").samples
    assert _read(folder, _lines(GOOD), "a.json", "jsonl").samples


LONG_NAME = SECRET * 80


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({**GOOD, "text": ""}, "text: is empty"),
        ({**GOOD, "text": " \n\t"}, "text: is empty"),
        ({key: GOOD[key] for key in ("entities", "relations")}, "text: is missing"),
        ({**GOOD, "text": 7}, "text: is no string"),
        ({**GOOD, "text": SECRET * 2_501}, "text: is longer than 20,000 characters"),
        ({**GOOD, "text": SECRET + "\ud800"}, "text: holds half of a surrogate pair"),
        ({**GOOD, "text": "\udc00\ud800"}, "text: holds half of a surrogate pair"),
        ({**GOOD, "group": "\ud800"}, "group: holds half of a surrogate pair"),
        ({"text": "a", "entities": ["\udfff"]}, "entities[0]: holds half of a surrogate pair"),
        (
            {"text": "a", "entities": [{"name": "\ud800", "type": "T"}]},
            "entities[0].name: holds half of a surrogate pair",
        ),
        (
            {"text": "a", "entities": [{"name": "b", "type": "\ud800"}]},
            "entities[0].type: holds half of a surrogate pair",
        ),
        (
            {"text": "a", "entities": [{"name": "b", "type": "T", "description": "\ud800"}]},
            "entities[0].description: holds half of a surrogate pair",
        ),
        (
            {**GOOD, "relations": [{"subject": "Qdrant", "predicate": "R", "object": "\ud800"}]},
            "relations[0].object: holds half of a surrogate pair",
        ),
        ({**GOOD, "entities": SECRET}, "entities: is no list"),
        ({**GOOD, "entities": {"name": SECRET}}, "entities: is no list"),
        ({"text": "a", "entities": [7]}, "entities[0]: is no JSON object"),
        ({"text": "a", "entities": [[SECRET]]}, "entities[0]: is no JSON object"),
        ({"text": "a", "entities": [{"name": SECRET}]}, "entities[0].type: is missing"),
        ({"text": "a", "entities": [{"type": "T"}]}, "entities[0].name: is missing"),
        ({"text": "a", "entities": ["b", ""]}, "entities[1]: is empty"),
        ({"text": "a", "entities": ["b", " "]}, "entities[1]: is empty"),
        (
            {"text": "a", "entities": [{"name": LONG_NAME, "type": "T"}]},
            "entities[0].name: is longer than 512 characters",
        ),
        (
            {"text": "a", "entities": [{"name": "b", "type": f"{SECRET}  two"}]},
            "entities[0].type: must be words with one space between, without braces, quotes, backslashes",
        ),
        ({"text": "a", "entities": ["b"] * 257}, "entities: has more than 256 items"),
        ({**GOOD, "relations": [SECRET]}, "relations[0]: is no JSON object"),
        (
            {**GOOD, "relations": [{"source": SECRET, "type": "R", "target": "vectors"}]},
            "relations[0].source: is no entity of the sample",
        ),
        (
            {
                **GOOD,
                "relations": [GOOD["relations"][0], {"source": "Qdrant", "type": "R", "target": SECRET}],
            },
            "relations[1].target: is no entity of the sample",
        ),
        (
            {**GOOD, "relations": [{"source": "qdrant", "type": "R", "target": "vectors"}]},
            "relations[0].source: is no entity of the sample",
        ),
        (
            {**GOOD, "relations": [{"subject": SECRET, "predicate": "R", "object": "vectors"}]},
            "relations[0].subject: is no entity of the sample",
        ),
        (
            {**GOOD, "relations": [{"subject": "Qdrant", "predicate": "R"}]},
            "relations[0].object: is missing",
        ),
        (
            {"text": "a", "relations": [{"source": SECRET, "type": "R", "target": SECRET}]},
            "relations: need the key entities, which lists their ends",
        ),
        ({**GOOD, "group": ""}, "group: is empty"),
        ({**GOOD, "group": 3}, "group: is no string"),
        (
            {**GOOD, "text": f"{SECRET} {dataset.CUSTOM_TYPE_MARKERS[0]}"},
            "text: holds DSPy's marker of a custom type",
        ),
        (
            {"text": "a", "entities": [f"{dataset.CUSTOM_TYPE_MARKERS[1]}{SECRET}"]},
            "entities[0]: holds DSPy's marker of a custom type",
        ),
        ([SECRET], "is no JSON object"),
        (SECRET, "is no JSON object"),
        (None, "is no JSON object"),
    ],
)
def test_names_line_and_field_of_what_is_wrong(folder: Path, row: Any, error: str) -> None:
    """Each kind of error is told with the line and field, in a fixed wording, in both formats."""
    assert _refused(folder, _lines(GOOD, row)) == f"line 2: {error}"
    in_list = b"[\n" + json.dumps(GOOD).encode() + b",\n" + json.dumps(row).encode() + b"\n]"
    assert _refused(folder, in_list, "samples.json") == f"line 3: {error}"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"{" + SECRET.encode() + b"\n", "line 1: is not JSON"),
        (_lines(GOOD) + b'{"text": "Zanzibar', "line 2: is not JSON"),
        (_lines(GOOD) + b'{"text": "\xff Zanzibar"}\n', "line 2: is not UTF-8"),
        (b'{"text": NaN}\n', "line 1: is not JSON"),
        (b'{"text": "a", "more": -Infinity}\n', "line 1: is not JSON"),
        (b'{"text": "a"} {"text": "b"}\n', "line 1: is not JSON"),
        (b'{"text": "a", "more": ' + b"9" * 5000 + b"}\n", "line 1: is not JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 1: is not JSON"),
        (b"", "holds no samples"),
        (b" \n\n", "holds no samples"),
    ],
)
def test_refuses_lines_that_are_no_json(folder: Path, data: bytes, error: str) -> None:
    """Bad bytes, bad JSON, NaN, endless numbers and deep nesting are errors of their line, not crashes."""
    assert _refused(folder, data) == error


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[", "line 1: is not JSON"),
        (b'[\n{"text": "a"}\n', "line 3: is not JSON"),
        (b'[\n{"text": "a"},\n]', "line 3: is not JSON"),
        (b'[{"text": "a"}\n{"text": "b"}]', "line 2: is not JSON"),
        (b'[{"text": "a"}]\n\nZanzibar', "line 3: has more after the end of the JSON document"),
        (b'[\n{"text":\n Zanzibar}]', "line 3: is not JSON"),
        (b'[\n{"text": NaN}]', "line 2: is not JSON"),
        (b'[\n"a",\n"\xff"]', "line 3: is not UTF-8"),
        (b'["\xc3', "line 1: is not UTF-8"),
        (b'{"samples": "Zanzibar"}', "line 1: samples: is no list"),
        (b'{"samples": [], "samples": []}', "line 1: samples: is given twice"),
        (b'{"samples": [{"text": "a"}],}', "line 1: is not JSON"),
        (b'{\n"name": "Zanzibar"\n}', 'line 3: is neither a list of samples nor {"samples": [...]}'),
        (b"{}", 'line 1: is neither a list of samples nor {"samples": [...]}'),
        (b"7", 'line 1: is neither a list of samples nor {"samples": [...]}'),
        (b"[" * 100_000, "line 1: is not JSON"),
        (b"[]", "holds no samples"),
        (b'{"samples": []}', "holds no samples"),
    ],
)
def test_refuses_documents_that_are_no_json(folder: Path, data: bytes, error: str) -> None:
    """A broken JSON document names the line where it breaks."""
    with pytest.raises(DomainTrainingError) as caught:
        _read(folder, data, "samples.json", "json")
    assert caught.value.reason is Reason.DATASET_INVALID
    assert caught.value.message.removeprefix(f"{SOURCE}: ").split("; ")[-1] == error


def test_the_last_of_equal_keys_counts(folder: Path) -> None:
    """Equal keys in one object: the last one is read, as JSON readers do."""
    (sample,) = _read(folder, b'{"text": "a", "text": "b"}').samples
    assert sample.text == "b"


def test_tells_the_first_five_errors_and_counts_the_rest(folder: Path) -> None:
    """Eight errors in seven lines: the first five with line and field, `and 3 more`; reading goes on."""
    broken = {"text": "", "group": 1}
    message = _refused(folder, _lines(GOOD, broken, b"no\n", *[{"text": SECRET, "entities": 1}] * 5))
    assert message == (
        "line 2: text: is empty; line 2: group: is no string; line 3: is not JSON; "
        "line 4: entities: is no list; line 5: entities: is no list; and 3 more"
    )


def test_the_message_is_bounded_whatever_the_source(folder: Path) -> None:
    """With the longest names of ConfigMap and key the message has at most 1,024 characters, and a count."""
    path = folder / "samples.jsonl"
    bad = {"text": "a", "entities": [{"name": "b", "type": '"'}] * 9}
    path.write_bytes(_lines(bad))
    for length in (500, 900, 2000):
        with pytest.raises(DomainTrainingError) as caught:
            read_samples(path, "s" * length, "auto")
        assert len(caught.value.message) <= 1024
    path.write_bytes(_lines(bad))
    with pytest.raises(DomainTrainingError, match=r"; and [0-9] more$"):
        read_samples(path, "s" * 600, "auto")


def test_equal_text_again_is_skipped_and_other_labels_name_both_lines(folder: Path) -> None:
    """The first of equal texts counts; order and repetition of labels are no other labels."""
    reordered = {**GOOD, "entities": list(reversed(GOOD["entities"])), "group": "other"}
    other = {**GOOD, "relations": []}
    read = _read(folder, _lines(GOOD, _sample(1), reordered, other, {"text": GOOD["text"]}))
    assert [sample.text for sample in read.samples] == [GOOD["text"], _sample(1)["text"]]
    assert read.samples[0].group == "manual"
    assert read.skipped == 3
    (warning,) = read.warnings
    assert warning.startswith("samples with other labels on an equal text are skipped, the first counts: ")
    assert warning.endswith(": 2 (lines 1 and 4; lines 1 and 5)")


def test_unknown_keys_are_one_counted_warning(folder: Path) -> None:
    """Unknown keys at any depth don't matter, and are counted without being named."""
    extra = {
        **GOOD,
        "text": "a",
        SECRET: 1,
        "entities": [{"name": "Qdrant", "type": "T", "start": 0, "end": 6}],
    }
    extra["relations"] = []
    read = _read(folder, _lines(GOOD, extra, _sample(2, id=7)))
    assert read.warnings == ("unknown keys are ignored: 4 (line 2; line 3)",)


def test_warnings_stay_short(folder: Path) -> None:
    """A thousand of a kind are one warning with a count and the first places."""
    rows = [_sample(number, id=number) for number in range(1000)]
    others = [_sample(number, entities=None, relations=None) for number in range(1000)]
    read = _read(folder, _lines(*rows, *others))
    assert [warning.partition(": ")[2] for warning in read.warnings] == [
        "1,000 (line 1; line 2; line 3; line 4; line 5; …)",
        "1,000 (lines 1 and 1001; lines 2 and 1002; lines 3 and 1003; lines 4 and 1004; lines 5 and 1005; …)",
    ]
    assert all(len(warning) <= 1024 for warning in read.warnings)


def test_relations_without_entities_are_left_out_aloud(folder: Path) -> None:
    """`relations: []` without entities can't be asked for, so it is a warning that says it is left out."""
    read = _read(folder, _lines({"text": "a", "relations": []}))
    assert read.warnings == (
        "samples without entities are left out of relations, which are empty there: 1 (line 1)",
    )


def test_the_digest_is_of_the_samples_not_of_the_file(folder: Path) -> None:
    """Format, white space, order of keys, older forms and unknown keys change nothing; order does."""
    rows = [_sample(1), {"text": "ä", "entities": ["b"]}]
    read = _read(folder, _lines(*rows))
    text = "".join(canonical_json(sample) + "\n" for sample in read.samples)
    assert read.digest == hashlib.sha256(text.encode()).hexdigest()
    same = [
        {"id": 1, **dict(reversed(rows[0].items()))},
        {"text": "ä", "entities": [{"type": "CONCEPT", "name": "b"}], "relations": None},
    ]
    assert _read(folder, json.dumps(same, indent=3).encode(), "b.json").digest == read.digest
    assert _read(folder, _lines(*reversed(rows))).digest != read.digest
    assert _read(folder, _lines(rows[0])).digest != read.digest


def test_the_canonical_form_is_fixed(folder: Path) -> None:
    """Sorted keys, no white space, no escapes, no empty fields: the digest of old data never changes."""
    (sample,) = _read(folder, _lines({"text": "ä", "entities": ["b"], "group": "g"})).samples
    assert canonical_json(sample) == '{"entities":[{"name":"b","type":"CONCEPT"}],"group":"g","text":"ä"}'


def test_a_line_over_a_mebibyte_is_refused_and_reading_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line after a too long one keeps its number; a line of exactly the limit is read."""
    monkeypatch.setattr(records, "MAX_ROW", 100)
    exact = b'{"text": "' + b"a" * 88 + b'"}'
    assert len(exact) == 100
    assert _read(folder, exact + b"\n" + exact.replace(b"a", b"b")).samples
    long = b'{"text": "' + b"a" * 1000 + b'"}\n'
    assert _refused(folder, exact + b"\n" + long + b"no\n") == (
        "line 2: is longer than 1 MiB; line 3: is not JSON"
    )
    assert _refused(folder, b"[" + long + b",\n7]", "a.json") == (
        "line 1: is longer than 1 MiB; line 3: is no JSON object"
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_file_over_64_mebibytes_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Reading ends at the limit where the size didn't tell, for lines and lists, and in an endless line."""
    monkeypatch.setattr(records, "MAX_FILE", 1000)
    monkeypatch.setattr(records, "MAX_ROW", 400)
    monkeypatch.setattr(records, "_CHUNK", 300)
    many = _lines(*[{"text": f"{number}"} for number in range(100)])
    if name == "a.json":
        many = b"[" + many.strip().replace(b"\n", b",\n") + b"]"
    assert _refused(folder, many, name).endswith("the file is larger than 64 MiB")
    endless = (b'[{"text": "' if name == "a.json" else b'{"text": "') + b"a" * 3000
    assert re.search("64 MiB|1 MiB", _refused(folder, endless, name))


def test_more_than_6_000_samples_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends at the first sample too many; equal texts again don't count, they are not kept."""
    monkeypatch.setattr(dataset, "MAX_SAMPLES", 3)
    three = [*map(_sample, range(3))]
    assert len(_read(folder, _lines(*three, *three)).samples) == 3
    assert _refused(folder, _lines(*map(_sample, range(5)))) == "line 4: the file has more than 3 samples"


def test_more_than_200_000_labels_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities and relations of all samples together have a limit as well: they take the memory."""
    monkeypatch.setattr(dataset, "MAX_LABELS", 6)
    assert len(_read(folder, _lines(_sample(1), _sample(2))).samples) == 2
    message = _refused(folder, _lines(*map(_sample, range(5))))
    assert message == "line 3: the file has more than 6 entities and relations"


def test_a_gigabyte_is_refused_before_it_is_read(folder: Path) -> None:
    """The size alone is enough; the message has it beside the limit."""
    path = folder / "samples.jsonl"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DomainTrainingError) as caught:
        read_samples(path, SOURCE, "auto")
    assert caught.value.reason is Reason.DATASET_INVALID
    assert caught.value.message == (
        f"{SOURCE}: the file has 1,073,741,824 bytes; at most 64 MiB are read. Use fewer or shorter samples"
    )


class _Endless(io.RawIOBase):
    """A file that never ends, as a pipe or one that grows: the same row over and over."""

    def __init__(self, begin: bytes, row: bytes) -> None:
        self.given = 0
        self._begin = begin
        self._row = row

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert (offset, whence) in {(0, 0), (0, 1)}
        self.given = self.given if whence else 0
        return self.given

    def readinto(self, buffer: Any) -> int:
        at = self.given - len(self._begin)
        rest = self._begin[self.given :] if at < 0 else self._row[at % len(self._row) :]
        part = rest[: len(buffer)]
        buffer[: len(part)] = part
        self.given += len(part)
        return len(part)


@pytest.mark.parametrize(
    ("file_format", "begin", "row"),
    [
        ("jsonl", b"", b'{"text": "' + b"a" * 250_000 + b'"}\n'),
        ("jsonl", b'{"text": "', b"a" * 250_000),
        ("json", b"[", b'{"text": "' + b"a" * 250_000 + b'"},\n'),
        ("json", b'{"more": [', b'"' + b"a" * 250_000 + b'",'),
        ("json", b'["', b"a" * 250_000),
        ("json", b" ", b" " * 250_000),
    ],
)
def test_an_endless_file_is_a_stream_that_ends_at_the_limit(
    file_format: str, begin: bytes, row: bytes
) -> None:
    """No more than 64 MiB and one chunk are read, and a few chunks at most are in memory at once."""
    endless = _Endless(begin, row)
    faults = []
    tracemalloc.start()
    try:
        for found in records.read_rows(io.BufferedReader(endless), "samples", file_format):
            faults += [found.fault] if found.fault else []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults[-1] in {"the file is larger than 64 MiB", "is not JSON, or is longer than 1 MiB"}
    assert endless.given <= limits.MAX_FILE + 5 * limits.MEBIBYTE
    assert peak < 24 * limits.MEBIBYTE


def test_the_readme_states_the_limits() -> None:
    """The numbers in the README are those that are kept."""
    readme = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    stated = (
        f"{limits.MAX_SAMPLES:,} samples",
        f"{limits.MAX_LABELS:,} entities and relations",
        f"{limits.MAX_FILE // limits.MEBIBYTE} MiB a file",
        f"{limits.MAX_ROW // limits.MEBIBYTE} MiB a line",
    )
    assert [words for words in stated if words not in " ".join(readme.split())] == []


@pytest.mark.parametrize("path", ["missing.jsonl", "."])
def test_a_file_that_can_t_be_opened_is_not_found(folder: Path, path: str) -> None:
    """The error names the source and the cause, not the path in the pod."""
    with pytest.raises(DomainTrainingError) as caught:
        read_samples(folder / path, SOURCE, "auto")
    assert caught.value.reason is Reason.DATASET_NOT_FOUND
    assert caught.value.message.startswith(f"{SOURCE}: ")
    assert str(folder) not in caught.value.message


def test_a_list_reads_the_same_however_it_is_cut_into_chunks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples and lines don't depend on where a chunk ends, within a character or an escape."""
    source = random.Random(7)
    rows = [{"text": f'{number} äß漢字🙂\n"\\ ' + "x" * source.randrange(40)} for number in range(60)]
    data = json.dumps(rows, ensure_ascii=False, indent=1).encode()
    whole = _read(folder, data, "a.json")
    monkeypatch.setattr(records, "MAX_ROW", 150)
    for chunk in (1, 2, 3, 7, 64, 151):
        monkeypatch.setattr(records, "_CHUNK", chunk)
        assert _read(folder, data, "a.json") == whole
        broken = data.replace(b'"text": "59', b'"text": "\xff')
        line = data[: data.index(b'"text": "59')].count(b"\n") + 1
        assert _refused(folder, broken, "a.json") == f"line {line}: is not UTF-8"


def test_no_random_damage_gets_past_the_errors(folder: Path) -> None:
    """Any damaged file is read or refused as invalid data, never anything else, and never quoted."""
    source = random.Random(11)
    named = {**GOOD, "text": SECRET * 3, "entities": [{"name": SECRET, "type": "T"}], "relations": []}
    originals = [_lines(GOOD, named, _sample(2)), json.dumps({"samples": [named, GOOD]}, indent=1).encode()]
    for round_ in range(600):
        data = bytearray(originals[round_ % 2])
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(data))
            data[at : at + source.randrange(3)] = source.choice(
                [b"", b'"', b"{", b"]", b",", b"\xc3", b"7", b"\n"]
            )
        name = source.choice(["a.jsonl", "a.json", "a"])
        with suppress(DomainTrainingError):
            _read(folder, bytes(data), name)
            continue
        _refused(folder, bytes(data), name)


def test_the_markers_are_those_of_the_installed_dspy() -> None:
    """The two constants are DSPy's own; read from its source, because importing DSPy takes seconds."""
    found = find_spec("dspy")
    assert found is not None
    assert found.submodule_search_locations is not None
    root = Path(found.submodule_search_locations[0])
    source = (root / "adapters" / "types" / "base_type.py").read_text(encoding="utf-8")
    constants = re.findall(r'^CUSTOM_TYPE_\w+_IDENTIFIER = "(.*)"$', source, re.MULTILINE)
    assert tuple(constants) == dataset.CUSTOM_TYPE_MARKERS
