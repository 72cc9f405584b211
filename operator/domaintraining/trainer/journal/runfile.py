"""The file of a run's answers while it is open: where each one is, and how one more comes onto the disk."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.answerfile import read_record, record_line
from domaintraining.trainer.journal.earlier import Earlier

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED: Final = frozenset({errno.EACCES, errno.EPERM})
LENGTH_BITS: Final = 24
SYNC: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)
"""macOS has only the other one."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What a journal needs of the system; tests put failures in their places."""

    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = SYNC
    lock: Callable[[int, int], None] = fcntl.flock
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def unusable(what: str, error: OSError) -> DomainTrainingError:
    """What to tell of a volume that fails; the system's words, without a path."""
    hint = "; enlarge the claim or job.journal.storage" if error.errno in FULL else ""
    hint = "; the trainer's user has no right to it" if error.errno in REFUSED else hint
    message = f"the journal {what}: {error.strerror or error}{hint}"
    return DomainTrainingError(Reason.JOURNAL_UNUSABLE, message)


def place(offset: int, length: int) -> int:
    """Where a line is, in one number."""
    return offset << LENGTH_BITS | length


class FileJournal:
    """The answers in a run's own file and, behind it, those of earlier runs.

    Args:
        fd: the file, open for reading and appending, with its lock.
        index: where the answers in it are.
        end: bytes of it.
        earlier: answers of earlier runs.
        dropped: lines in it that were spoilt.
        volume: the system.
    """

    def __init__(  # noqa: PLR0913 - what was found when it was opened
        self, fd: int, index: dict[bytes, int], end: int, earlier: Earlier, *, dropped: int, volume: Volume
    ) -> None:
        self._fd, self._index, self._end, self._earlier = fd, index, end, earlier
        self._volume = volume
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._synced = 0
        self._broken: OSError | None = None
        self.answered = len(index)
        """Answers in the file when it was opened."""
        self.dropped = dropped
        """Lines in it that were spoilt and are asked again."""
        self.shared = 0
        """Answers taken over from earlier runs since."""

    def find(self, key: str) -> ChatAnswer | None:
        """The answer to a call, of this run or of an earlier one, whose answer is taken over.

        Raises:
            DomainTrainingError: the volume failed (JournalUnusable).
        """
        with self._lock:
            own = self._own(key)
        if own is not None:
            return own
        shared = self._earlier.find(key)
        if shared is None:
            return None
        with self._lock:
            standing = self._enter(key, shared)
            self.shared += standing is shared
        return standing

    def keep(self, key: str, answer: ChatAnswer) -> ChatAnswer:
        """Keeps an answer; returns the one that stands, which is the first, once it is on the disk.

        Raises:
            DomainTrainingError: it can't be kept (JournalUnusable).
        """
        with self._lock:
            standing = self._enter(key, answer)
            end = self._end
        self._sync(end)
        return standing

    def close(self) -> None:
        """Writes what is still to be written and lets the next pod have the file; a failure is no matter."""
        with suppress(DomainTrainingError):
            self._sync(self._end)
        with self._syncing, self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
        self._earlier.close()

    def _own(self, key: str) -> ChatAnswer | None:
        found = self._index.get(bytes.fromhex(key))
        if found is None:
            return None
        try:
            line = os.pread(self._usable(), found & (1 << LENGTH_BITS) - 1, found >> LENGTH_BITS)
        except OSError as error:
            raise unusable("can't be read", error) from error
        answer = read_record(line, key)
        if answer is None:
            del self._index[bytes.fromhex(key)]
            self.dropped += 1
        return answer

    def _enter(self, key: str, answer: ChatAnswer) -> ChatAnswer:
        """Append an answer where there is none yet."""
        standing = self._own(key)
        if standing is not None:
            return standing
        try:
            line = record_line(key, answer)
        except ValueError as error:
            message = f"an answer of the model is too long for the journal: {error}"
            raise DomainTrainingError(Reason.MODEL_OUTPUT_INVALID, message) from error
        self._end = self._append(line)
        self._index[bytes.fromhex(key)] = place(self._end - len(line), len(line))
        return answer

    def _append(self, line: bytes) -> int:
        """Write a line; where it ends, also behind what somebody else wrote where there are no locks."""
        fd, rest = self._usable(), line
        try:
            while rest:
                rest = rest[self._volume.write(fd, rest) :]
        except OSError as error:
            self._cut(fd, len(line) - len(rest))
            raise unusable("can't be written", error) from error
        return os.lseek(fd, 0, os.SEEK_CUR)

    def _cut(self, fd: int, written: int) -> None:
        """Take back a line that was half written; one that can't be is found out when it is read."""
        with suppress(OSError):
            if os.fstat(fd).st_size == self._end + written:
                os.ftruncate(fd, self._end)

    def _sync(self, end: int) -> None:
        """Return when the file is on the disk up to `end`; who comes meanwhile shares the next sync."""
        with self._syncing:
            if self._synced >= end:
                return
            with self._lock:
                fd, written = self._usable(), self._end
            try:
                self._volume.sync(fd)
            except OSError as error:
                self._broken = error
                raise unusable("can't be written", error) from error
            self._synced = written

    def _usable(self) -> int:
        """The file, if it is open and nothing is lost: after a failed sync the next one may lie."""
        if self._broken is not None:
            raise unusable("can't be written", self._broken)
        if self._fd < 0:
            raise DomainTrainingError(Reason.TRAINER_FAILED, "the journal is closed")
        return self._fd
