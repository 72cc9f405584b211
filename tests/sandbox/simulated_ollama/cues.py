"""What can be seen of a candidate: the marks of its kind, and features to compare it by. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .knowledge import (
    DAYS,
    FIRST_NAMES,
    MONTHS,
    NUMBER_WORDS,
    ORG_WORDS,
    PLACE_WORDS,
    PLACES,
    ROLES,
    TOOL_WORDS,
)
from .spans import Candidate, is_title
from .text import Word

WEIGHTS = {
    "name": 6.0,
    "head": 2.5,
    "first": 1.5,
    "kind": 3.0,
    "form": 1.5,
    "before": 1.2,
    "after": 1.2,
    "shape": 0.8,
    "ending": 0.6,
    "length": 0.4,
    "place": 0.4,
    "around": 0.8,
}


KINDS = (
    "person",
    "place",
    "org",
    "acronym",
    "date",
    "quantity",
    "code",
    "setting",
    "compound",
    "term",
    "bare",
    "opening",
    "adjective",
)


_ADJECTIVES = ("ian", "ese", "ish", "can", "ans", "ists", "ist", "ic")


def kinds_of(words: Sequence[Word], candidate: Candidate, *, careful: bool = True) -> dict[str, float]:
    """How strongly a candidate looks like each of KINDS, from nothing (absent) to about 3.

    Args:
        words: of the sentence.
        candidate: the one to look at.
        careful: whether what stands beside it is looked at as well.
    """
    if candidate.form == "date":
        return {"date": 3.0}
    if candidate.form == "amount":
        return {"quantity": 2.5} if candidate.stop - candidate.start > 1 else {"quantity": 1.5, "date": 0.5}
    found = _of_form(words, candidate)
    if candidate.form in {"compound", "small"}:
        return found
    for kind, strength in _of_name(words, candidate, careful=careful):
        found[kind] = found.get(kind, 0.0) + strength
    return found or {_faceless(words, candidate): 1.0}


def _faceless(words: Sequence[Word], candidate: Candidate) -> str:
    """The kind of a candidate without a mark: a single capital word, which may just open the sentence."""
    if candidate.stop - candidate.start > 1:
        return "bare"
    if candidate.start == 0 or words[candidate.start - 1].text in {".", "``", '"', "`"}:
        return "opening"
    return "adjective" if words[candidate.start].lower.endswith(_ADJECTIVES) else "bare"


def _of_form(words: Sequence[Word], candidate: Candidate) -> dict[str, float]:
    first = words[candidate.start]
    if candidate.form == "code":
        setting = "_" in first.text or ("." in first.text and first.text[0].islower())
        return {"setting": 2.0, "code": 0.3} if setting else {"code": 1.5}
    return (
        {{"compound": "compound", "small": "term"}.get(candidate.form, "bare"): 1.0}
        if candidate.form != "name"
        else {}
    )


def _of_name(words: Sequence[Word], candidate: Candidate, *, careful: bool) -> list[tuple[str, float]]:
    inner = words[candidate.start : candidate.stop]
    before = words[candidate.start - 1] if candidate.start else None
    after = words[candidate.stop] if candidate.stop < len(words) else None
    lowers = {word.lower for word in inner}
    checks = [
        ("org", 2.5, bool(lowers & ORG_WORDS)),
        ("place", 1.8, bool(lowers & PLACE_WORDS)),
        ("place", 2.5, careful and bool(lowers & PLACES)),
        ("code", 1.5, bool(lowers & TOOL_WORDS)),
        ("person", 2.5, careful and inner[0].lower in FIRST_NAMES and len(inner) > 1),
        ("person", 1.2, careful and inner[0].lower in FIRST_NAMES and len(inner) == 1),
        ("person", 2.5, is_title(inner[0]) or (careful and before is not None and is_title(before))),
        ("person", 1.5, any(len(word.text) == 2 and word.text[1] == "." for word in inner[1:-1])),
        ("person", 1.0, len(inner) in {2, 3} and all(word.shape == "title" for word in inner)),
        ("acronym", 1.0, len(inner) == 1 and inner[0].shape == "upper" and "." not in inner[0].text),
        ("place", 0.8, inner[-1].lower.endswith(("ia", "land", "ville", "burg", "stan", "shire"))),
    ]
    found = [(kind, strength) for kind, strength, seen in checks if seen]
    return found + (_of_neighbours(before, after) if careful else [])


def _of_neighbours(before: Word | None, after: Word | None) -> list[tuple[str, float]]:
    found = []
    if before is not None and before.lower in {"in", "at", "near", "from", "outside", "toward"}:
        found.append(("place", 1.2))
    if before is not None and before.lower in ROLES | {"by"}:
        found.append(("person", 1.0))
    if after is not None and after.lower in {"said", "says", "who", "told", "was"}:
        found.append(("person", 0.8))
    if after is not None and after.lower in {"team", "group", "department", "squad"}:
        found.append(("org", 1.5))
    if before is not None and before.lower == "the":
        found.append(("org", 0.7))
    return found


def features_of(words: Sequence[Word], candidate: Candidate, kinds: dict[str, float]) -> list[str]:
    """The features of a candidate, each `class:value`; the classes and their weights are WEIGHTS."""
    start, stop = candidate.start, candidate.stop
    inner = words[start:stop]
    before = words[start - 1].lower if start else "^"
    after = words[stop].lower if stop < len(words) else "$"
    kind = max(kinds, key=lambda name: kinds[name])
    return [
        "name:" + " ".join(word.lower for word in inner),
        "head:" + inner[-1].lower,
        "first:" + inner[0].lower,
        "kind:" + kind,
        "form:" + candidate.form,
        "before:" + before,
        "after:" + after,
        "shape:" + " ".join(_look(word) for word in inner[:4]),
        "ending:" + inner[-1].lower[-3:],
        f"length:{min(len(inner), 4)}",
        f"place:{'opens' if start == 0 else 'inside'}",
        f"around:{_class_of(before)} {_class_of(after)}",
    ]


def _look(word: Word) -> str:
    """The shape of a word, of codes with the mark that makes them one."""
    if word.shape != "code":
        return word.shape
    mark = next((mark for mark in "_/.@#-" if mark in word.text), "")
    return f"code{mark}{'A' if word.text.isupper() else 'a'}{'9' if any(map(str.isdigit, word.text)) else ''}"


def _class_of(word: str) -> str:
    bare = word.rstrip(".")
    groups = (("role", ROLES), ("date", MONTHS | DAYS), ("number", NUMBER_WORDS), ("org", ORG_WORDS))
    for name, group in groups:
        if bare in group:
            return name
    if word in {
        "in",
        "at",
        "near",
        "from",
        "of",
        "by",
        "the",
        "to",
        ",",
        ".",
        "(",
        ")",
        "and",
        "'s",
        "^",
        "$",
    }:
        return word
    return "said" if word in {"said", "says", "told"} else "word"
