"""A file that was torn or spoilt costs the answers that were hit, and never gives half of one."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.trainer.journal import answerfile, journal
from domaintraining.trainer.journal.answerfile import header_line, record_line
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, key_of, simulated_answer
from tests.unit.trainer.journal.journals import (
    FIRST,
    KEYS,
    at,
    filled,
    opening,
    other,
    own_file,
    refused,
)


def test_a_tail_torn_at_any_byte_costs_the_last_answer_only(tmp_path: Path) -> None:
    whole = filled(tmp_path, KEYS)
    last = len(record_line(KEYS[4], simulated_answer(KEYS[4], 40)))
    for cut in range(last + 1):
        own_file(tmp_path).write_bytes(whole[: len(whole) - last + cut])
        with opening(tmp_path) as kept:
            found = [kept.find(key) is not None for key in KEYS]
            assert found == [True] * 4 + [cut == last]
            assert own_file(tmp_path).read_bytes() == whole[: None if cut == last else len(whole) - last]
            assert kept.dropped == 0
            kept.keep(KEYS[4], simulated_answer(KEYS[4], 40))
        assert own_file(tmp_path).read_bytes() == whole


def test_a_header_torn_at_any_byte_is_written_again(tmp_path: Path) -> None:
    header = filled(tmp_path, [], volume=at(0))
    for cut in range(len(header)):
        own_file(tmp_path).write_bytes(header[:cut])
        assert filled(tmp_path, [], volume=at(0)) == header


def test_a_spoilt_byte_anywhere_costs_that_answer_only(tmp_path: Path) -> None:
    whole = filled(tmp_path, KEYS)
    one = len(record_line(KEYS[0], FIRST))
    begin = len(whole) - 3 * one
    for position in range(begin, begin + one):
        spoilt = bytearray(whole)
        spoilt[position] ^= 0x20
        own_file(tmp_path).write_bytes(spoilt)
        with opening(tmp_path) as kept:
            assert [kept.find(key) is not None for key in KEYS] == [True, True, False, True, True]
            assert kept.dropped == 1
            assert own_file(tmp_path).read_bytes() == bytes(spoilt)


@pytest.mark.parametrize("junk", [b"\x00" * 5000, b"x" * 5000, b"\n\n\n", b'{"crc":"00000000","k":"'])
def test_junk_behind_the_last_answer_is_cut(tmp_path: Path, junk: bytes) -> None:
    whole = filled(tmp_path, KEYS)
    own_file(tmp_path).write_bytes(whole + junk)
    with opening(tmp_path) as kept:
        assert kept.answered == 5
    assert own_file(tmp_path).read_bytes() == whole


def test_a_line_longer_than_any_answer_is_left_out_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = filled(tmp_path, KEYS)
    monkeypatch.setattr(answerfile, "MAX_LINE", 512)
    own_file(tmp_path).write_bytes(whole + b"y" * 5000 + b"\n" + record_line(key_of(9), FIRST))
    warnings: list[str] = []
    with opening(tmp_path, warn=warnings.append) as kept:
        assert kept.answered == 6
        assert kept.dropped
        assert refused(lambda: kept.keep(key_of(10), simulated_answer(KEYS[0], 600))).reason is (
            Reason.MODEL_OUTPUT_INVALID
        )
    assert "spoilt" in warnings[0]


@pytest.mark.parametrize(
    "record",
    [
        b'"content":3,"done_reason":"stop","prompt_tokens":1,"answer_tokens":2,"model":"m"}',
        b'"content":"a","done_reason":"stop","prompt_tokens":-1,"answer_tokens":2,"model":"m"}',
        b'"content":"a","done_reason":"stop","prompt_tokens":true,"answer_tokens":2,"model":"m"}',
        b'"content":"a"}',
        b"[" * 100_000,
        b'"content":"a","n":' + b"9" * 10_000 + b"}",
    ],
)
def test_a_record_with_a_checksum_that_is_no_answer_is_asked_again(tmp_path: Path, record: bytes) -> None:
    filled(tmp_path, [])
    rest = b'"k":"%b",%b' % (KEYS[0].encode(), record)
    with own_file(tmp_path).open("ab") as file:
        file.write(b'{"crc":"%08x",%b\n' % (zlib.crc32(rest), rest))
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) is None
        assert kept.keep(KEYS[0], FIRST) == FIRST
        assert kept.find(KEYS[0]) == FIRST


def test_the_own_file_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, KEYS)
    monkeypatch.setattr(journal, "MAX_RECORDS", 3)
    with opening(tmp_path) as kept:
        assert kept.answered == 3


@pytest.mark.parametrize(
    "header",
    [
        header_line(other("other data").parts(), datetime.now(UTC)),
        header_line(FINGERPRINT.parts(), datetime.now(UTC)).replace(b'"format": 1', b'"format": 2'),
        b"not a journal at all\n",
        b"[" * 60_000 + b"\n",
    ],
)
def test_a_file_of_another_run_or_format_is_left_as_it_is_and_not_used(tmp_path: Path, header: bytes) -> None:
    filled(tmp_path, [])
    foreign = header + record_line(KEYS[0], FIRST)
    own_file(tmp_path).write_bytes(foreign)
    warnings: list[str] = []
    with opening(tmp_path, warn=warnings.append, volume=at(7)) as kept:
        assert kept.find(KEYS[0]) is None
    aside = own_file(tmp_path).with_name(f"{own_file(tmp_path).name}.unusable-20300101T000007")
    assert aside.read_bytes() == foreign
    assert warnings == [
        f"{own_file(tmp_path).name} has no header of this run; it is kept as {aside.name} and not used"
    ]
