"""Words with their places, and a cheap stand-in for a model's tokenizer. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"\w+(?:[-./'\u2019_@+#]\w+)*(?:\+\+|#)?|[^\w\s]")
_PIECE = re.compile(r"[^\W\d_]{1,6}|\d{1,3}|[^\w\s]{1,3}|_")
_ABBREVIATION = re.compile(r"(?:[A-Z]|[A-Z]\.[A-Z]|[A-Z][a-z]{0,4})$")
_CODE = re.compile(r"[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]|\w[_/@+#]\w|\w\.\w{2,}|\w-\d")


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its text, where it stands in the sentence, and what its letters look like."""

    text: str
    lower: str
    start: int
    end: int
    shape: str


def shape_of(word: str) -> str:
    """One of `code`, `number`, `upper`, `title`, `compound` (small, with a hyphen), `lower`, `mark`."""
    if _CODE.search(word):
        return "code"
    if word[0].isdigit():
        return "number"
    if word[0].isupper():
        return "upper" if len(word) > 1 and word.isupper() else "title"
    if not word[0].isalpha():
        return "mark"
    return "compound" if "-" in word else "lower"


@lru_cache(maxsize=8192)
def words_of(text: str) -> tuple[Word, ...]:
    """The words and punctuation marks of a text, in order; an abbreviation keeps its full stop."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        start, end, word = match.start(), match.end(), match.group()
        if word == "." and found and found[-1].end == start and _ABBREVIATION.match(found[-1].text):
            before = found.pop()
            start, word = before.start, before.text + "."
        found.append(Word(word, word.lower(), start, end, shape_of(word.rstrip(".") or word)))
    return tuple(found)


@lru_cache(maxsize=16384)
def count_tokens(text: str) -> int:
    """How many tokens a text is taken for: pieces of at most six letters, three digits, three marks."""
    return len(_PIECE.findall(text))


def fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone, the same in every run."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
