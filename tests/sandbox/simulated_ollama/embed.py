"""Vectors of texts: texts that share words and letters lie near each other. Pure, deterministic."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

from .text import words_of


@lru_cache(maxsize=4096)
def vector_of(text: str, dimension: int) -> tuple[float, ...]:
    """A text's vector of length 1: a sum of hashed words and letter triples (feature hashing)."""
    sums = [0.0] * dimension
    for word in words_of(text):
        _add(sums, word.lower, 1.0)
        padded = f"<{word.lower}>"
        for start in range(len(padded) - 2):
            _add(sums, padded[start : start + 3], 0.4)
    if not any(sums):
        _add(sums, "", 1.0)
    length = math.sqrt(sum(value * value for value in sums))
    return tuple(value / length for value in sums)


def shortened(vector: tuple[float, ...], dimension: int) -> tuple[float, ...]:
    """The first values of a vector, of length 1 again; the vector itself where there are no more."""
    if not 0 < dimension < len(vector):
        return vector
    head = vector[:dimension]
    length = math.sqrt(sum(value * value for value in head)) or 1.0
    return tuple(value / length for value in head)


def _add(sums: list[float], feature: str, weight: float) -> None:
    digest = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
    sums[digest % len(sums)] += weight if digest >> 63 else -weight
