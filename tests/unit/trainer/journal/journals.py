"""Journals to test with: a run, answers to five calls, and files that hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.journal import open_journal
from domaintraining.trainer.journal.runfile import FileJournal, Volume
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, key_of, simulated_answer

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
