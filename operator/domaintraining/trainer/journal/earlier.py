"""Answers of earlier runs, in their files on the same volume: read, never written."""

import os
import stat
import threading
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.answerfile import read_header, read_lines, read_record

MAX_FILES: Final = 256
"""Most files of earlier runs that are looked into, the newest."""
MAX_LISTED: Final = 1_000
"""Most files whose headers are read, those written last."""
MAX_ENTRIES: Final = 200_000
"""Most answers that are known, those of the newest runs; each takes 22 bytes of memory."""
MAX_BYTES: Final = 2**30
"""Most bytes of files that are read to find them."""
READ_ONLY: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
PREFIX: Final = 16
"""Hex digits of a key in the index; the whole key is compared when the answer is read."""


class _File(NamedTuple):
    created: str
    name: str
    path: Path
    size: int


class Earlier:
    """The answers of earlier runs with one of the same models; used by many threads at once.

    Nothing is read before the first question: a run that finds all answers in its own file never asks.

    Args:
        folder: the volume; files are looked for in the folders in it.
        own: the run's own file, left out.
        digests: digests of the run's models; empty: no file is of the same model.
    """

    def __init__(self, folder: Path, own: Path, digests: frozenset[str]) -> None:
        self._folder, self._own, self._digests = folder, own, digests
        self._lock = threading.Lock()
        self._index: _Index | None = None
        self._open: dict[int, int] = {}

    def find(self, key: str) -> ChatAnswer | None:
        """The answer to a call; the oldest run's counts. A file that can't be read (any more) has none."""
        with self._lock:
            if self._index is None:
                self._index = _read_index(self._files())
            place = self._index.place(key)
            return None if place is None else self._read(key, *place)

    def __len__(self) -> int:
        """Answers known; 0 before the first question."""
        with self._lock:
            return 0 if self._index is None else len(self._index.prefixes)

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            for fd in self._open.values():
                os.close(fd)
            self._open.clear()
            self._index = _Index([], array("Q"), array("H"), array("Q"), array("I"))

    def _files(self) -> list[_File]:
        paths = sorted(self._folder.glob("*/*.jsonl"), key=_written)[-MAX_LISTED:]
        others = (path for path in paths if path != self._own)
        files = [found for path in others if (found := _looked_at(path, self._digests)) is not None]
        return sorted(files)[-MAX_FILES:]

    def _read(self, key: str, number: int, offset: int, length: int) -> ChatAnswer | None:
        assert self._index is not None
        with suppress(OSError):
            if number not in self._open:
                self._open[number] = os.open(self._index.paths[number], READ_ONLY)
            return read_record(os.pread(self._open[number], length, offset), key)
        return None


class _Index:
    """Where each answer is: arrays sorted by the start of the key."""

    def __init__(
        self,
        paths: list[Path],
        prefixes: "array[int]",
        files: "array[int]",
        offsets: "array[int]",
        lengths: "array[int]",
    ) -> None:
        found = np.frombuffer(prefixes, dtype=np.uint64)
        order = np.argsort(found, kind="stable")
        self.paths = paths
        self.prefixes = found[order]
        self._files: Any = np.frombuffer(files, dtype=np.uint16)[order]
        self._offsets: Any = np.frombuffer(offsets, dtype=np.uint64)[order]
        self._lengths: Any = np.frombuffer(lengths, dtype=np.uint32)[order]

    def place(self, key: str) -> tuple[int, int, int] | None:
        """File, offset and length of the oldest answer to a call."""
        prefix = np.uint64(int(key[:PREFIX], 16))
        at = int(np.searchsorted(self.prefixes, prefix))
        if at == len(self.prefixes) or self.prefixes[at] != prefix:
            return None
        return int(self._files[at]), int(self._offsets[at]), int(self._lengths[at])


def _read_index(files: list[_File]) -> _Index:
    """The index over files, oldest first; where they are too much, those of the newest that fit."""
    taken, size, entries = [], 0, 0
    for file in reversed(files):
        places = _places(file.path, MAX_ENTRIES - entries) if size + file.size <= MAX_BYTES else None
        if places is None:
            continue
        size, entries = size + file.size, entries + len(places[0])
        taken.append((file.path, places))
    prefixes, numbers, offsets, lengths = array("Q"), array("H"), array("Q"), array("I")
    for number, (_, places) in enumerate(reversed(taken)):
        prefixes += places[0]
        numbers += array("H", [number]) * len(places[0])
        offsets += places[1]
        lengths += places[2]
    return _Index([path for path, _ in reversed(taken)], prefixes, numbers, offsets, lengths)


def _places(path: Path, room: int) -> tuple["array[int]", "array[int]", "array[int]"] | None:
    prefixes, offsets, lengths = array("Q"), array("Q"), array("I")
    with suppress(OSError), _opened(path) as file:
        header = read_header(file)
        for line in read_lines(file, header.length) if header is not None else ():
            if line.key is None:
                continue
            if len(prefixes) == room:
                return None
            prefixes.append(int(line.key[:PREFIX], 16))
            offsets.append(line.offset)
            lengths.append(line.length)
    return prefixes, offsets, lengths


def _looked_at(path: Path, digests: frozenset[str]) -> _File | None:
    with suppress(OSError), _opened(path) as file:
        header = read_header(file)
        if header is not None and header.digests & digests and path.name == f"run-{header.hash}.jsonl":
            return _File(header.created, path.name, path, os.fstat(file.fileno()).st_size)
    return None


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def _opened(path: Path) -> BinaryIO:
    """A file for reading; a link, a pipe or a device is none."""
    fd = os.open(path, READ_ONLY)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("not a file")
    return os.fdopen(fd, "rb")
