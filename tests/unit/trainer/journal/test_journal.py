"""An answer that was kept is there for ever, is the first one, and is on the disk."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from pathlib import Path

import pytest

from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.answerfile import record_line
from domaintraining.trainer.journal.journal import call_key, open_journal
from domaintraining.trainer.journal.runfile import Volume
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, simulated_answer
from tests.unit.trainer.journal.journals import (
    FIRST,
    KEYS,
    QUICK,
    SECOND,
    filled,
    opened,
    opening,
    own_file,
)

# keys


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Umeå"}], "options": {"seed": 9}}
    assert call_key(body, 2, "d") == "0b5d4590c4f38d31d06bcb21cb59c4b24f5a9be8750d47cec85c35ecb9a8d122"


def test_a_key_tells_apart_what_changes_an_answer_and_nothing_else() -> None:
    body = {"model": "m", "options": {"seed": 9, "temperature": 0.0}}
    turned = {"options": {"temperature": 0.0, "seed": 9}, "model": "m", "keep_alive": "5m"}
    assert call_key(body, None, "d") == call_key(turned, None, "d")
    others = [
        call_key(body, 1, "d"),
        call_key(body, 2, "d"),
        call_key(body, None, "e"),
        call_key(body | {"model": "n"}, None, "d"),
        call_key(body | {"options": {"seed": 9, "temperature": 1.0}}, None, "d"),
    ]
    assert len({call_key(body, None, "d"), *others}) == 6


def test_a_text_that_is_not_valid_unicode_has_a_key() -> None:
    assert len(call_key({"content": "\ud800"}, None, "d")) == 64


# one answer for ever


@pytest.mark.parametrize("on_a_volume", [True, False])
def test_the_first_answer_to_a_call_stands(tmp_path: Path, *, on_a_volume: bool) -> None:
    kept = open_journal(tmp_path if on_a_volume else None, FINGERPRINT)
    assert kept.find(KEYS[0]) is None
    assert kept.keep(KEYS[0], FIRST) == FIRST
    assert kept.keep(KEYS[0], SECOND) == FIRST
    assert kept.find(KEYS[0]) == FIRST
    assert kept.find(KEYS[1]) is None
    assert (kept.answered, kept.dropped, kept.shared) == (0, 0, 0)
    kept.close()


def test_the_next_attempt_finds_every_answer(tmp_path: Path) -> None:
    filled(tmp_path, KEYS)
    with opening(tmp_path) as kept:
        assert kept.answered == 5
        assert [kept.find(key) for key in KEYS] == [simulated_answer(key, 40) for key in KEYS]
        assert kept.keep(KEYS[0], SECOND) == FIRST


@pytest.mark.parametrize(
    "content", ["", 'Umeå \u2028 \x00\n\r"\\', "\ud800 alone", '{"crc":"00000000",', "🜚" * 9]
)
def test_an_answer_comes_back_to_the_letter(tmp_path: Path, content: str) -> None:
    answer = ChatAnswer(content, "length", 0, 1_000_000_000, "m")
    with opening(tmp_path) as kept:
        kept.keep(KEYS[0], answer)
        kept.keep(KEYS[1], SECOND)
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) == answer
        assert kept.find(KEYS[1]) == SECOND


def test_of_two_records_of_a_call_the_first_counts(tmp_path: Path) -> None:
    filled(tmp_path, [])
    with own_file(tmp_path).open("ab") as file:
        file.write(record_line(KEYS[0], FIRST) + record_line(KEYS[0], SECOND))
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) == FIRST
        assert kept.answered == 1


def test_threads_that_keep_answers_to_one_call_get_the_same(tmp_path: Path) -> None:
    stood: list[ChatAnswer] = []
    with opening(tmp_path, volume=Volume()) as kept:
        answers = [FIRST._replace(content=str(number)) for number in range(16)]
        threads = [
            threading.Thread(target=lambda one=one: stood.append(kept.keep(KEYS[0], one))) for one in answers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stood) == 16
    assert len(set(stood)) == 1


def test_only_the_owner_may_read_and_the_names_say_what_it_is(tmp_path: Path) -> None:
    filled(tmp_path, KEYS)
    (folder,) = tmp_path.iterdir()
    (file,) = folder.iterdir()
    assert folder.name == "model-" + "ab" * 6
    assert file.name == f"run-{FINGERPRINT.hash}.jsonl"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_answer_is_on_the_disk_before_keep_returns_and_threads_share_a_sync(tmp_path: Path) -> None:
    synced: list[int] = []
    entered, go_on = threading.Event(), threading.Event()

    def sync(fd: int) -> None:
        size = os.fstat(fd).st_size
        entered.set()
        assert go_on.wait(10)
        synced.append(size)

    def write(fd: int, data: bytes) -> int:
        length = os.write(fd, data)
        written.release()
        return length

    kept, written = opened(tmp_path), threading.Semaphore(0)
    kept._volume = dataclasses.replace(QUICK, sync=sync, write=write)
    sizes: list[int] = []

    def keep(number: int) -> None:
        kept.keep(KEYS[number], simulated_answer(KEYS[number], 40))
        sizes.append(synced[-1])

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(5)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        assert written.acquire(timeout=10)
    assert not sizes
    go_on.set()
    for thread in threads:
        thread.join()
    kept.close()
    assert len(synced) == 2
    assert synced[-1] == own_file(tmp_path).stat().st_size
    assert len(sizes) == 5
