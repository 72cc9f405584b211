"""Pods that are killed or come twice, and volumes that fail, lose no answer that was kept."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.trainer.journal.runfile import Volume
from tests.unit.trainer.journal import journal_writer
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, key_of, simulated_answer
from tests.unit.trainer.journal.journals import (
    FIRST,
    KEYS,
    QUICK,
    SECOND,
    filled,
    opened,
    opening,
    other,
    own_file,
    refused,
)
from tests.unit.trainer.loopback import Clock

ROOT = Path(__file__).parents[4]

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
