"""One digest of many lines, whatever order they come in."""

import hashlib
from collections import Counter
from typing import Final

SIZE: Final = hashlib.sha256().digest_size


class Unordered:
    """Takes lines in at 32 bytes each, and equal ones at the end as one: a server sends a million of them."""

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(256)]
        """Digests one after the other, by their first byte: what is sorted at once is a small part."""

    def add(self, line: bytes) -> None:
        """Take in one more line."""
        digest = hashlib.sha256(line).digest()
        self._parts[digest[0]] += digest

    def sha256(self) -> str:
        """Of the digests of all lines in ascending order; in hex."""
        whole = hashlib.sha256()
        for part in self._parts:
            found = Counter(bytes(part[at : at + SIZE]) for at in range(0, len(part), SIZE))
            for digest, times in sorted(found.items()):
                whole.update(digest * times)
        return whole.hexdigest()
