"""Answers of earlier runs are used where the model is the same, and only read."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from domaintraining.trainer.journal import earlier
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, key_of
from tests.unit.trainer.journal.journals import (
    FIRST,
    KEYS,
    SECOND,
    at,
    filled,
    opening,
    other,
    own_file,
)


def test_answers_of_earlier_runs_with_the_same_model_are_taken_over_for_good(tmp_path: Path) -> None:
    filled(tmp_path, KEYS[:3], other("b"))
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) == FIRST
        assert kept.find(KEYS[4]) is None
        assert kept.shared == 1
        assert kept.keep(KEYS[0], SECOND) == FIRST
    own_file(tmp_path, other("b")).unlink()
    with opening(tmp_path) as kept:
        assert kept.answered == 1
        assert kept.find(KEYS[0]) == FIRST
        assert kept.find(KEYS[1]) is None
        assert len(kept._earlier) == 0


def test_no_answer_is_taken_from_a_run_of_another_model(tmp_path: Path) -> None:
    near = str(FINGERPRINT.model["digest"])[:-1] + "c"
    filled(tmp_path, KEYS, other("b", "sha256:" + "cd" * 32))
    filled(tmp_path, KEYS, other("c", near))
    assert len(list(tmp_path.iterdir())) == 2
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) is None
    unknown = other("d", "")
    unknown = dataclasses.replace(unknown, model={"name": "m", "digest": ""})
    filled(tmp_path, KEYS, unknown)
    with opening(tmp_path, dataclasses.replace(unknown, data="e")) as kept:
        assert kept.find(KEYS[0]) is None


def test_answers_of_the_model_that_proposes_are_found_wherever_it_answered(tmp_path: Path) -> None:
    filled(tmp_path, KEYS, other("b", "sha256:" + "cd" * 32))
    both = dataclasses.replace(FINGERPRINT, prompt_model={"name": "n", "digest": "sha256:" + "cd" * 32})
    with opening(tmp_path, both) as kept:
        assert kept.find(KEYS[0]) == FIRST


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_earlier_answers_the_oldest_runs_counts(tmp_path: Path, *, turned: bool) -> None:
    for second in [2, 1] if turned else [1, 2]:
        with opening(tmp_path, other(str(second)), volume=at(second)) as kept:
            kept.keep(KEYS[0], FIRST._replace(content=f"of second {second}"))
    with opening(tmp_path) as kept:
        found = kept.find(KEYS[0])
    assert found is not None
    assert found.content == "of second 1"


def test_a_replay_does_not_look_at_earlier_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, KEYS)
    filled(tmp_path, [key_of(9)], other("b"))
    monkeypatch.setattr(earlier, "_read_index", None)
    with opening(tmp_path) as kept:
        assert all(kept.find(key) for key in KEYS)


def test_an_earlier_file_that_goes_or_changes_while_it_is_used_only_costs_calls(tmp_path: Path) -> None:
    filled(tmp_path, KEYS[:2], other("b"), volume=at(1))
    filled(tmp_path, KEYS[2:4], other("c"), volume=at(2))
    with opening(tmp_path) as kept:
        assert kept.find(key_of(9)) is None
        own_file(tmp_path, other("b")).unlink()
        spoilt = own_file(tmp_path, other("c")).read_bytes().replace(b"stop", b"step")
        own_file(tmp_path, other("c")).write_bytes(spoilt)
        assert [kept.find(key) for key in KEYS[:4]] == [None] * 4


def test_torn_spoilt_and_foreign_files_beside_it_are_survived_and_left_alone(tmp_path: Path) -> None:
    whole = filled(tmp_path, KEYS, other("b"))
    torn = whole[:-9]
    own_file(tmp_path, other("b")).write_bytes(torn)
    folder = own_file(tmp_path).parent
    (folder / "run-none.jsonl").write_bytes(b"\x00" * 100)
    (folder / f"run-{'0' * 32}.jsonl").write_bytes(whole)
    (folder / "a-folder.jsonl").mkdir()
    os.mkfifo(folder / "a-pipe.jsonl")
    (folder / "a-link.jsonl").symlink_to(own_file(tmp_path, other("b")))
    with opening(tmp_path) as kept:
        assert [kept.find(key) is not None for key in KEYS] == [True] * 4 + [False]
    assert own_file(tmp_path, other("b")).read_bytes() == torn


def test_memory_for_earlier_answers_is_bounded_and_the_newest_runs_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        filled(tmp_path, [key_of(10 + number), key_of(20 + number)], other(str(number)), volume=at(number))
    monkeypatch.setattr(earlier, "MAX_ENTRIES", 5)
    with opening(tmp_path) as kept:
        assert [kept.find(key_of(10 + number)) is not None for number in range(3)] == [False, True, True]
        assert len(kept._earlier) == 4
    own_file(tmp_path).unlink()
    monkeypatch.setattr(earlier, "MAX_FILES", 1)
    with opening(tmp_path) as kept:
        assert [kept.find(key_of(20 + number)) is not None for number in range(3)] == [False, False, True]
    own_file(tmp_path).unlink()
    monkeypatch.setattr(earlier, "MAX_BYTES", 10)
    with opening(tmp_path) as kept:
        assert kept.find(key_of(12)) is None
