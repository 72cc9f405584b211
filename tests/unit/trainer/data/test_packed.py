"""Files packed with gzip are read as if they were not, and no bomb comes into memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data import records, table
from domaintraining.trainer.data.dataset import Samples, read_samples
from tests.unit.trainer.scripted import samples

ROWS = samples(12)
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
PACKED = gzip.compress(LINES)


def read(folder: Path, content: bytes, name: str = "samples.jsonl") -> Samples:
    file = folder / name
    file.write_bytes(content)
    return read_samples(file, "claim samples, path x", "auto")


@pytest.mark.parametrize("name", ["samples.jsonl.gz", "samples.jsonl", "samples"])
def test_it_is_told_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    """Whatever its name says; the digest is that of the samples."""
    found = read(tmp_path, PACKED, name)
    assert found.digest == read(tmp_path, LINES).digest


@pytest.mark.parametrize("name", ["samples.json.gz", "samples.GZ"])
def test_all_formats_may_be_packed(tmp_path: Path, name: str) -> None:
    """Here a list."""
    assert len(read(tmp_path, gzip.compress(json.dumps(ROWS).encode()), name).samples) == 12


def test_members_that_follow_each_other_are_one_file(tmp_path: Path) -> None:
    """As `cat a.gz b.gz` makes them, and zeros behind them as tapes do."""
    cut = LINES.index(b"\n") + 10
    parts = gzip.compress(LINES[:cut]) + gzip.compress(b"") + gzip.compress(LINES[cut:])
    assert len(read(tmp_path, parts + bytes(512)).samples) == 12


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PACKED[:-1], "ends in the middle: it was cut off"),
        (PACKED[:40], "ends in the middle: it was cut off"),
        (PACKED[:2], "ends in the middle: it was cut off"),
        (PACKED + b"more", "is followed by something else"),
        (PACKED[:-8] + bytes(4) + PACKED[-4:], "is damaged: its checksum is wrong"),
        (PACKED[:-4] + bytes(4), "is damaged: its checksum is wrong"),
        (PACKED[:30] + b"\xff\xff\xff\xff" + PACKED[34:], "is damaged"),
        (b"\x1f\x8b\x01" + PACKED[3:], "is damaged"),
    ],
)
def test_what_is_damaged_is_told_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    """And nothing of it is used."""
    with pytest.raises(DomainTrainingError) as raised:
        read(tmp_path, content)
    assert raised.value.reason is Reason.DATASET_INVALID
    assert said in raised.value.message


@pytest.mark.parametrize("filling", [b" ", b"\n", b"x", b"["])
@pytest.mark.parametrize("name", ["s.jsonl", "s.json", "s.csv"])
def test_a_bomb_is_read_to_the_limit_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filling: bytes, name: str
) -> None:
    """128 MiB in half a megabyte: a few MiB of it are in memory at once."""
    for module in (records, table):  # so many lines are slow to count beside tracemalloc
        monkeypatch.setattr(module, "MAX_LINES", 10_000)
    head = b"text,entities\n" if name == "s.csv" else b""
    bomb = gzip.compress(head) + gzip.compress(filling * 2**24, 1) * 8
    tracemalloc.start()
    try:
        with pytest.raises(DomainTrainingError) as raised:
            read(tmp_path, bomb, name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.reason is Reason.DATASET_INVALID
    assert peak < 40 * 2**20
