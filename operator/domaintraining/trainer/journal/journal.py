"""Every answer of a run, append-only, on its volume: nothing is asked twice, whatever happens to the pod.

The first answer to a call is everybody's and for ever; errors never come here. A line is on the disk before
its answer goes on to the search, so that a lost process, pod or node loses only calls in flight.
"""

import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.answerfile import MAX_HEADER, header_line, read_header, read_lines
from domaintraining.trainer.journal.earlier import Earlier
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.runfile import FileJournal, Volume, place, unusable

LOCK_SECONDS: Final = 120.0
"""How long another pod is waited for: a lock of a lost node on NFS goes after 90 s."""
LOCK_PAUSE: Final = 1.0
MAX_RECORDS: Final = 200_000
"""Most answers that are read of the run's own file; each takes about 200 bytes of memory."""
APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NOT_IN_A_BODY: Final = "keep_alive"
TAKEN: Final = frozenset({errno.EAGAIN, errno.EACCES})
NO_LOCKS: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL})


def call_key(body: Mapping[str, Any], rollout: int | None, digest: str) -> str:
    """The key of a call: 64 hex digits of SHA-256, the same in every process.

    Args:
        body: body of /api/chat; keep_alive does not count.
        rollout: tells calls apart that are equal and yet want answers of their own.
        digest: digest of the model that answers.
    """
    counts = {name: value for name, value in body.items() if name != NOT_IN_A_BODY}
    call = {"body": counts, "rollout": rollout, "digest": digest}
    text = json.dumps(call, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class Journal(Protocol):
    """Answers of a run; used by many threads at once."""

    @property
    def answered(self) -> int:
        """Answers in the run's own file when it was opened."""

    @property
    def dropped(self) -> int:
        """Lines in it that were spoilt; their calls are made again."""

    @property
    def shared(self) -> int:
        """Answers taken over from earlier runs since."""

    def find(self, key: str) -> ChatAnswer | None:
        """The answer to a call; None: it has to be asked.

        Raises:
            DomainTrainingError: the volume failed (JournalUnusable).
        """

    def keep(self, key: str, answer: ChatAnswer) -> ChatAnswer:
        """Keeps an answer; returns the one that stands, which is the first, once it is on the disk.

        Raises:
            DomainTrainingError: it can't be kept (JournalUnusable).
        """

    def close(self) -> None:
        """Writes what is still to be written and lets the next pod have the file."""


def open_journal(
    folder: Path | None,
    fingerprint: Fingerprint,
    *,
    warn: Callable[[str], None] = lambda _: None,
    wait_seconds: float = LOCK_SECONDS,
    volume: Volume | None = None,
) -> Journal:
    """The journal of a run; a run of the same fingerprint finds all its answers in it.

    Args:
        folder: where the volume is mounted; None: answers are kept in memory only.
        fingerprint: of the run.
        warn: told in a sentence what is wrong with the file or the volume and can be lived with.
        wait_seconds: how long another pod that holds the file is waited for.
        volume: the system.

    Raises:
        DomainTrainingError: another pod holds the file (JournalBusy), or the volume can't be written
            (JournalUnusable).
    """
    if folder is None:
        return MemoryJournal()
    opening = _Opening(folder, fingerprint, warn, wait_seconds, volume or Volume())
    try:
        return opening.journal()
    except OSError as error:
        raise unusable("can't be opened", error) from error


class MemoryJournal:
    """Answers in memory only."""

    answered = dropped = shared = 0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, ChatAnswer] = {}

    def find(self, key: str) -> ChatAnswer | None:
        """The answer to a call; None: it has to be asked."""
        with self._lock:
            return self._answers.get(key)

    def keep(self, key: str, answer: ChatAnswer) -> ChatAnswer:
        """Keeps an answer; returns the one that stands, which is the first."""
        with self._lock:
            return self._answers.setdefault(key, answer)

    def close(self) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """The steps from a folder to a journal."""

    folder: Path
    fingerprint: Fingerprint
    warn: Callable[[str], None]
    wait_seconds: float
    volume: Volume

    def journal(self) -> FileJournal:
        path = self.folder / self.fingerprint.folder / self.fingerprint.file
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = self._locked(path)
        try:
            if self._is_another(fd):
                fd = self._replaced(fd, path)
            return self._read(fd, path)
        except BaseException:
            os.close(fd)
            raise

    def _locked(self, path: Path) -> int:
        """The run's file, opened and locked."""
        began, told = self.volume.clock(), False
        while True:
            fd = os.open(path, APPEND, 0o600)
            try:
                held = self._lock(fd) and _is_at(fd, path)
            except BaseException:
                os.close(fd)
                raise
            if held:
                return fd
            os.close(fd)
            if self.volume.clock() - began >= self.wait_seconds:
                message = f"another trainer has held the journal {path.name} for {self.wait_seconds:.0f} s"
                raise DomainTrainingError(Reason.JOURNAL_BUSY, message)
            if not told:
                self.warn(f"another trainer holds the journal {path.name}; it is waited for")
            told = True
            self.volume.sleep(LOCK_PAUSE)

    def _lock(self, fd: int) -> bool:
        try:
            self.volume.lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                return False
            if error.errno not in NO_LOCKS:
                raise
            self.warn(
                f"the journal's volume has no locks ({error.strerror}): only one pod may use it at a time"
            )
        return True

    def _is_another(self, fd: int) -> bool:
        """Whether a file holds something, and not answers of this run; half a header is nothing."""
        start = os.pread(fd, MAX_HEADER, 0)
        if b"\n" not in start and len(start) < MAX_HEADER:
            os.ftruncate(fd, 0)
            return False
        with open(fd, "rb", closefd=False) as file:
            header = read_header(file)
        return header is None or header.hash != self.fingerprint.hash

    def _replaced(self, fd: int, path: Path) -> int:
        """A new file instead of one that can't be used, which keeps its content under another name."""
        aside = path.with_name(f"{path.name}.unusable-{self.volume.now():%Y%m%dT%H%M%S}")
        path.rename(aside)
        self.warn(f"{path.name} has no header of this run; it is kept as {aside.name} and not used")
        new = self._locked(path)
        os.close(fd)
        return new

    def _read(self, fd: int, path: Path) -> FileJournal:
        """The journal over what is whole in the file; what was torn off at its end is cut."""
        index: dict[bytes, int] = {}
        if os.fstat(fd).st_size == 0:
            self._begin(fd, path)
        dropped = spoilt = 0
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            header = read_header(file)
            assert header is not None
            end = header.length
            for line in read_lines(file, end):
                if line.key is None:
                    spoilt += 1
                    continue
                dropped, spoilt, end = dropped + spoilt, 0, line.offset + line.length
                if len(index) < MAX_RECORDS:
                    index.setdefault(bytes.fromhex(line.key), place(line.offset, line.length))
        if end < os.fstat(fd).st_size:
            os.ftruncate(fd, end)
        if dropped:
            self.warn(f"{dropped} lines of {path.name} are spoilt; their calls are made again")
        earlier = Earlier(self.folder, path, self.fingerprint.digests)
        return FileJournal(fd, index, end, earlier, dropped=dropped, volume=self.volume)

    def _begin(self, fd: int, path: Path) -> None:
        line = header_line(self.fingerprint.parts(), self.volume.now())
        if self.volume.write(fd, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.volume.sync(fd)
        for folder in (path.parent, self.folder):
            _sync_folder(folder)


def _is_at(fd: int, path: Path) -> bool:
    """Whether the file is still the one of that name, and not one that was set aside meanwhile."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.lstat())
    return False


def _sync_folder(folder: Path) -> None:
    """Have a new name on the disk; a file system that can't do so for folders does it by itself."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)
