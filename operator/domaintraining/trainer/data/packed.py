"""Files that are packed with gzip, told by their first bytes and unpacked while they are read."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError

BUFFER: Final = 256 * 1024
MAGIC: Final = b"\x1f\x8b"
"""See RFC 1952, section 2.3.1."""


@contextmanager
def unpacked(file: BinaryIO, source: str) -> Iterator[BinaryIO]:
    """A file to be read as if it were not packed; members of gzip that follow each other are one file.

    Nothing is unpacked before it is read, so whoever stops at a limit never has the rest in memory.

    Args:
        file: opened at its beginning, seekable.
        source: what messages call it.

    Raises:
        DomainTrainingError: in the block, when damaged data are read (DatasetInvalid).
    """
    head = file.read(len(MAGIC))
    file.seek(0)
    if head != MAGIC:
        yield file
        return
    try:
        with io.BufferedReader(gzip.GzipFile(fileobj=file), BUFFER) as inner:
            yield inner
    except EOFError:
        raise _damaged(source, "ends in the middle: it was cut off") from None
    except gzip.BadGzipFile as error:
        behind = "Not a gzipped file" in str(error)
        what = "is followed by something else" if behind else "is damaged: its checksum is wrong"
        raise _damaged(source, what) from None
    except zlib.error:
        raise _damaged(source, "is damaged") from None


def plain_name(name: str) -> str:
    """A file's name without the ending that says it is packed."""
    return name[: -len(".gz")] if name.lower().endswith(".gz") else name


def _damaged(source: str, what: str) -> DomainTrainingError:
    return DomainTrainingError(Reason.DATASET_INVALID, f"{source}: the gzip data {what}")
