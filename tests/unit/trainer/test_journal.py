"""An answer that was kept is there for ever, is the first one, and is never half of one."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer import answerfile, earlier, journal
from domaintraining.trainer.answerfile import header_line, record_line
from domaintraining.trainer.fingerprint import Fingerprint
from domaintraining.trainer.journal import call_key, open_journal
from domaintraining.trainer.reply import ChatAnswer
from domaintraining.trainer.runfile import FileJournal, Volume
from tests.unit.trainer import journal_writer
from tests.unit.trainer.journal_writer import FINGERPRINT, key_of, simulated_answer
from tests.unit.trainer.loopback import Clock

ROOT = Path(__file__).parents[3]
KEYS = [key_of(number) for number in range(5)]
FIRST, SECOND = simulated_answer(KEYS[0], 40), simulated_answer(KEYS[1], 40)
QUICK = Volume(sync=lambda _: None)


def opened(folder: Path, fingerprint: Fingerprint = FINGERPRINT, **settings: Any) -> FileJournal:
    """The journal, without waiting for the disk."""
    found = open_journal(folder, fingerprint, **({"volume": QUICK} | settings))
    assert isinstance(found, FileJournal)
    return found


@contextmanager
def opening(folder: Path, fingerprint: Fingerprint = FINGERPRINT, **settings: Any) -> Iterator[FileJournal]:
    """The journal while a block runs."""
    found = opened(folder, fingerprint, **settings)
    try:
        yield found
    finally:
        found.close()


def own_file(folder: Path, fingerprint: Fingerprint = FINGERPRINT) -> Path:
    return folder / fingerprint.folder / fingerprint.file


def other(name: str, digest: str | None = None) -> Fingerprint:
    """The fingerprint of a run with other data, and of another model where there is a digest."""
    model = {"name": "m", "digest": digest} if digest else FINGERPRINT.model
    return dataclasses.replace(FINGERPRINT, data=name, model=model)


def at(second: int) -> Volume:
    """A volume on which the time stands still."""
    return Volume(sync=lambda _: None, now=lambda: datetime(2030, 1, 1, 0, 0, second, tzinfo=UTC))


def filled(folder: Path, keys: list[str], fingerprint: Fingerprint = FINGERPRINT, **settings: Any) -> bytes:
    """The bytes of a file with an answer to each key."""
    with opening(folder, fingerprint, **settings) as kept:
        for key in keys:
            kept.keep(key, simulated_answer(key, 40))
    return own_file(folder, fingerprint).read_bytes()


def refused(act: Callable[[], object]) -> DomainTrainingError:
    with pytest.raises(DomainTrainingError) as caught:
        act()
    return caught.value


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


# files that were torn or spoilt


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


# kill -9


class Writer:
    """The process that is killed, see journal_writer."""

    def __init__(self, folder: Path) -> None:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT)])}
        command = [sys.executable, "-m", journal_writer.__name__, str(folder)]
        self.child = subprocess.Popen(command, stdin=-1, stdout=-1, env=environ, cwd=ROOT)
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self._orders, self._told = self.child.stdin, self.child.stdout

    def start(self, seed: int) -> int:
        """Starts a child; its process id."""
        self._orders.write(f"{seed}\n".encode())
        self._orders.flush()
        return int(self.line().removeprefix("opened "))

    def line(self) -> str:
        return self._told.readline().decode().strip()

    def rest(self) -> list[str]:
        """The keys that were told before the child ended; one in the middle of a line counts as not told."""
        return list(iter(self.line, "ended"))

    def close(self) -> None:
        self._orders.close()
        self.child.wait(20)
        self._told.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    found = Writer(tmp_path)
    yield found
    found.close()


def test_kill_9_at_any_point_loses_no_answer_that_was_kept_and_leaves_none_half(
    tmp_path: Path, writer: Writer
) -> None:
    draw = random.Random(4)
    for seed in range(20):
        child = writer.start(seed)
        assert refused(lambda: opened(tmp_path, wait_seconds=0)).reason is Reason.JOURNAL_BUSY
        told = [writer.line() for _ in range(draw.randrange(1, 120))]
        os.kill(child, signal.SIGKILL)
        told += writer.rest()
        with opening(tmp_path) as kept:
            assert kept.dropped == 0
            for number in range(journal_writer.KEYS):
                key = key_of(number)
                answer = kept.find(key)
                assert answer in {None, simulated_answer(key, 100 + number * 37 % 20_000)}
                assert answer is not None or key not in told
        own_file(tmp_path).unlink()


# two pods


def test_a_second_pod_waits_for_the_first(tmp_path: Path, clock: Clock) -> None:
    first = opened(tmp_path)
    warnings: list[str] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock() - began >= 40:
            first.close()

    began, volume = clock(), Volume(sleep=sleep, clock=clock)
    with opening(tmp_path, volume=volume, warn=warnings.append) as second:
        second.keep(KEYS[0], FIRST)
    assert warnings == [f"another trainer holds the journal {FINGERPRINT.file}; it is waited for"]


def test_a_second_pod_gives_way_after_two_minutes_and_may_come_again(tmp_path: Path, clock: Clock) -> None:
    with opening(tmp_path):
        volume = Volume(sleep=clock.sleep, clock=clock)
        began = clock()
        error = refused(lambda: opened(tmp_path, volume=volume))
    assert error.reason is Reason.JOURNAL_BUSY
    assert error.retryable
    assert clock() - began == 120
    assert FINGERPRINT.file in error.message


def test_runs_of_different_fingerprints_write_side_by_side(tmp_path: Path) -> None:
    with opening(tmp_path) as one, opening(tmp_path, other("b"), wait_seconds=0) as two:
        one.keep(KEYS[0], FIRST)
        two.keep(KEYS[0], SECOND)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK])
def test_a_volume_without_locks_is_used_with_a_warning(tmp_path: Path, number: int) -> None:
    def lock(_fd: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    warnings: list[str] = []
    filled(tmp_path, KEYS, volume=Volume(lock=lock), warn=warnings.append)
    assert "no locks" in warnings[0]


def test_two_pods_on_a_volume_without_locks_lose_nothing(tmp_path: Path) -> None:
    def lock(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    volume = Volume(sync=lambda _: None, lock=lock)
    with opening(tmp_path, volume=volume) as one, opening(tmp_path, volume=volume) as two:
        for number in range(0, 20, 2):
            for kept, key in ((one, key_of(number)), (two, key_of(number + 1))):
                kept.keep(key, simulated_answer(key, 40 + number))
                assert kept.find(key) == simulated_answer(key, 40 + number)
        assert (one.dropped, two.dropped) == (0, 0)
    with opening(tmp_path) as kept:
        assert kept.answered == 20


def test_whoever_waited_for_a_file_that_was_set_aside_takes_the_new_one(tmp_path: Path) -> None:
    filled(tmp_path, [])
    old = own_file(tmp_path).rename(tmp_path / "aside")

    def lock(fd: int, how: int) -> None:
        if old.exists() and not own_file(tmp_path).read_bytes():
            own_file(tmp_path).unlink()
            old.rename(own_file(tmp_path))
        fcntl.flock(fd, how)

    with opening(tmp_path, volume=Volume(lock=lock, sleep=lambda _: None)) as kept:
        kept.keep(KEYS[0], FIRST)
    with opening(tmp_path) as kept:
        assert kept.answered == 1


# volumes that fail


@pytest.mark.parametrize("written", [0, 1, 60])
def test_a_full_volume_ends_the_run_with_what_to_do_and_keeps_what_there_is(
    tmp_path: Path, written: int
) -> None:
    whole = filled(tmp_path, KEYS[:2])

    def write_no_more(fd: int, data: bytes) -> int:
        kept._volume = dataclasses.replace(QUICK, write=fails)
        return os.write(fd, data[:written])

    def fails(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = opened(tmp_path)
    kept._volume = dataclasses.replace(QUICK, write=write_no_more)
    error = refused(lambda: kept.keep(KEYS[2], FIRST))
    assert error.reason is Reason.JOURNAL_UNUSABLE
    assert "No space left on device; enlarge the claim or job.journal.storage" in error.message
    assert own_file(tmp_path).read_bytes() == whole
    assert kept.find(KEYS[2]) is None
    assert kept.find(KEYS[1]) == SECOND
    kept._volume = QUICK
    assert kept.keep(KEYS[2], FIRST) == FIRST
    kept.close()
    with opening(tmp_path) as again:
        assert again.answered == 3


def test_a_file_that_the_system_lets_grow_no_further_is_as_one_on_a_full_volume(tmp_path: Path) -> None:
    whole = filled(tmp_path, KEYS[:2])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opening(tmp_path) as kept:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, before[1]))
        try:
            error = refused(lambda: kept.keep(KEYS[2], FIRST))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large; enlarge" in error.message
    assert own_file(tmp_path).read_bytes() == whole


def test_half_a_line_that_could_not_be_taken_back_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(fd: int, data: bytes) -> int:
        if len(data) > 100:
            return os.write(fd, data[:50])
        raise OSError(errno.EIO, "Input/output error")

    with opening(tmp_path) as kept:
        kept._volume = dataclasses.replace(QUICK, write=write)
        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", lambda _fd, _size: write(0, b""))
            refused(lambda: kept.keep(KEYS[0], simulated_answer(KEYS[0], 10)))
        kept._volume = QUICK
        kept.keep(KEYS[1], SECOND)
        assert kept.find(KEYS[1]) == SECOND
    with opening(tmp_path) as kept:
        assert kept.find(KEYS[0]) is None
        assert kept.find(KEYS[1]) == SECOND


def test_after_a_failed_sync_nothing_is_taken_for_kept_any_more(tmp_path: Path) -> None:
    def sync(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opening(tmp_path) as kept:
        kept._volume = dataclasses.replace(QUICK, sync=sync)
        assert "Input/output error" in refused(lambda: kept.keep(KEYS[0], FIRST)).message
        kept._volume = QUICK
        assert refused(lambda: kept.keep(KEYS[1], FIRST)).reason is Reason.JOURNAL_UNUSABLE


def test_a_folder_that_is_not_there_or_not_ours_is_told_without_its_path(tmp_path: Path) -> None:
    error = refused(lambda: opened(tmp_path / "not mounted"))
    assert error.reason is Reason.JOURNAL_UNUSABLE
    assert error.message == "the journal can't be opened: No such file or directory"
    own_file(tmp_path).parent.mkdir()
    own_file(tmp_path).symlink_to(tmp_path / "elsewhere")
    assert refused(lambda: opened(tmp_path)).reason is Reason.JOURNAL_UNUSABLE
    assert not (tmp_path / "elsewhere").exists()


def test_a_read_only_volume_is_told(tmp_path: Path) -> None:
    def write(_fd: int, _data: bytes) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    error = refused(lambda: opened(tmp_path, volume=Volume(write=write)))
    assert error.message == "the journal can't be opened: Read-only file system"


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.close()
    kept.close()
    assert refused(lambda: kept.keep(KEYS[0], FIRST)).message == "the journal is closed"


# earlier runs


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
