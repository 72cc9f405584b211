"""What sources of samples on servers have in common: what they are given, and what they give back."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from urllib3 import exceptions

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import Reach
from domaintraining.trainer.calls.pool import words_of
from domaintraining.trainer.data.limits import MAX_FILE, MEBIBYTE

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
"""How long a server may be silent."""
TOTAL_SECONDS: Final = 900.0
"""How long one try may take from its first byte to its last."""
MAX_VERSION: Final = 200
MAX_SECRET: Final = 8192
MOST_KEYS: Final = 32
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Content:
    """What a source gave, beside the bytes."""

    version: str
    """What the source calls it: an ETag, a version or a digest; another one where it has changed."""
    name: str = ""
    """Name of the file, which counts where the format is auto."""
    format: str = ""
    """Its format where the source itself makes it; empty: as spec says."""
    unit: str = "line"
    """What messages call a line of it."""


class Download:
    """The file that a source writes into: no larger than a data set may be, and no slower.

    Args:
        file: opened for writing, empty.
        title: what messages call the source.
        told: told how many bytes are there, as they come.
        clock: seconds that never fall.
    """

    def __init__(
        self,
        file: BinaryIO,
        title: str,
        told: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._title, self._told, self._clock = file, title, told, clock
        self.size = 0
        self._digest = hashlib.sha256()
        self._until = self._clock() + TOTAL_SECONDS

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            DomainTrainingError: they are too many (DatasetTooLarge) or come too slowly (DatasetUnreachable).
        """
        self.expect(self.size + len(data))
        self.check_time()
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        self._told(self.size)

    def expect(self, size: int) -> None:
        """Refuse what is going to be too large, before it comes."""
        if size > MAX_FILE:
            message = f"{self._title}: has more than {MAX_FILE // MEBIBYTE} MiB"
            raise DomainTrainingError(Reason.DATASET_TOO_LARGE, message)

    def check_time(self) -> None:
        """Refuse to go on past the time of one try."""
        if self._clock() > self._until:
            raise self.overdue(TOTAL_SECONDS)

    def overdue(self, seconds: float) -> DomainTrainingError:
        """The error that it is not there after so many seconds."""
        message = f"{self._title}: not whole within {seconds:.0f} s ({self.size:,} bytes came)"
        return DomainTrainingError(Reason.DATASET_UNREACHABLE, message)

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hex."""
        return self._digest.hexdigest()


class Source(Protocol):
    """A place of samples on a server."""

    def fetch(self, into: Download, known: str) -> Content | None:
        """One try to fetch the content.

        Args:
            into: where the bytes go; empty.
            known: what the source called its content before; empty: nothing is known.

        Returns:
            What came; None: the source says itself that its content is still the known one.

        Raises:
            DomainTrainingError: a reason that passes, to be tried again, or another.
        """


class Credentials:
    """The values of a Secret that is mounted into the trainer; no message holds any of them.

    Args:
        name: of the Secret; empty: none is named.
        folder: where it is mounted; a Secret that does not exist leaves it empty.
    """

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name, self._folder = name, folder

    def keys(self) -> list[str]:
        """The keys it has, which the kubelet mounts as links beside folders of its own."""
        try:
            found = sorted(one.name for one in (self._folder or Path()).iterdir()) if self._folder else []
        except OSError:
            found = []
        keys = [name for name in found if not name.startswith("..")]
        if self.name and not keys:
            raise self.invalid("does not exist in this namespace, or is empty")
        if len(keys) > MOST_KEYS:
            raise self.invalid(f"has more than {MOST_KEYS} keys")
        return keys

    def value(self, key: str) -> str:
        """What stands under a key.

        Raises:
            DomainTrainingError: nothing that can be sent as a credential (DatasetSecretInvalid).
        """
        assert self._folder is not None, "keys() are asked for first"
        try:
            with (self._folder / key).open("rb") as file:
                raw = file.read(MAX_SECRET + 1)
        except OSError as error:
            raise self.invalid(f"key {key} can't be read: {error.strerror}") from None
        if not raw or len(raw) > MAX_SECRET:
            raise self.invalid(f"key {key} {'has more than 8 KiB' if raw else 'is empty'}")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise self.invalid(f"key {key} is not UTF-8") from None
        if _CONTROLS.search(text):
            raise self.invalid(f"key {key} holds a line end or another control character")
        return text

    def values(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
        """What stands under some keys; those of `optional` may be missing."""
        keys = self.keys()
        wanted = list(required)
        if missing := [key for key in wanted if key not in keys]:
            raise self.invalid(f"has no key {missing[0]}")
        return {key: self.value(key) for key in [*wanted, *(one for one in optional if one in keys)]}

    def invalid(self, what: str) -> DomainTrainingError:
        """An error about the Secret, by its name."""
        return DomainTrainingError(Reason.DATASET_SECRET_INVALID, f"Secret {self.name}: {what}")


@dataclass(frozen=True, slots=True)
class Means:
    """What a source works with."""

    title: str
    """What messages call it."""
    reach: Reach
    """The way to its server."""
    credentials: Credentials
    """The Secret that spec names."""

    def unreachable(self, what: str) -> DomainTrainingError:
        """An error that may pass."""
        return DomainTrainingError(Reason.DATASET_UNREACHABLE, f"{self.title}: {what}")

    def denied(self, what: str) -> DomainTrainingError:
        """The server refuses who asks."""
        return DomainTrainingError(Reason.DATASET_ACCESS_DENIED, f"{self.title}: {what}")


def broken(error: Exception) -> str:
    """Why nothing came over HTTP, in words; a certificate that is not trusted is told as such."""
    for kind, words in (
        (exceptions.NameResolutionError, "its name has no address"),
        (exceptions.NewConnectionError, "no connection"),
        (exceptions.ConnectTimeoutError, f"no connection within {CONNECT_SECONDS:.0f} s"),
        (exceptions.ReadTimeoutError, f"no answer for {READ_SECONDS:.0f} s"),
        (exceptions.ProtocolError, "the answer breaks off or is no HTTP"),
        (UnicodeError, "its name is no name of a host"),
    ):
        if isinstance(error, kind):
            return words
    return words_of(error)


def bounded_version(text: str | None) -> str:
    """What a server calls its content, as it may stand in a manifest; empty where it is too long or odd."""
    value = text or ""
    return value if len(value) <= MAX_VERSION and value.isascii() and value.isprintable() else ""
