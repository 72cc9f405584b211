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

WEIGHTS = {"name": 6.0, "head": 2.5, "first": 1.5, "kind": 3.0, "form": 1.5, "before": 1.2, "after": 1.2,
           "shape": 0.8, "ending": 0.6, "length": 0.4, "place": 0.4, "around": 0.8}  # fmt: skip


def kinds_of(words: Sequence[Word], candidate: Candidate) -> dict[str, float]:
    """How strongly a candidate looks like each kind of thing, from nothing (absent) to about 3."""
    if candidate.form == "date":
        return {"date": 3.0}
    if candidate.form == "amount":
        return {"quantity": 2.5} if candidate.stop - candidate.start > 1 else {"quantity": 1.5, "date": 0.5}
    found = {"code": 2.0} if candidate.form == "code" else {}
    if candidate.form == "small":
        found["term"] = 1.0
    for kind, strength in _of_name(words, candidate):
        found[kind] = found.get(kind, 0.0) + strength
    return found


def _of_name(words: Sequence[Word], candidate: Candidate) -> list[tuple[str, float]]:
    inner = words[candidate.start : candidate.stop]
    before = words[candidate.start - 1] if candidate.start else None
    after = words[candidate.stop] if candidate.stop < len(words) else None
    lowers = {word.lower for word in inner}
    checks = [
        ("org", 2.5, bool(lowers & ORG_WORDS)),
        ("place", 1.8, bool(lowers & PLACE_WORDS)),
        ("place", 2.5, bool(lowers & PLACES)),
        ("code", 1.5, bool(lowers & TOOL_WORDS)),
        ("person", 2.5, inner[0].lower in FIRST_NAMES and len(inner) > 1),
        ("person", 1.2, inner[0].lower in FIRST_NAMES and len(inner) == 1),
        ("person", 2.5, is_title(inner[0]) or (before is not None and is_title(before))),
        ("person", 1.5, any(len(word.text) == 2 and word.text[1] == "." for word in inner[1:-1])),
        ("person", 1.0, len(inner) in {2, 3} and all(word.shape == "title" for word in inner)),
        ("org", 1.0, len(inner) == 1 and inner[0].shape == "upper" and "." not in inner[0].text),
        ("place", 0.8, inner[-1].lower.endswith(("ia", "land", "ville", "burg", "stan", "shire"))),
    ]
    return [(kind, strength) for kind, strength, seen in checks if seen] + _of_neighbours(before, after)


def _of_neighbours(before: Word | None, after: Word | None) -> list[tuple[str, float]]:
    found = []
    if before is not None and before.lower in {"in", "at", "near", "from", "outside", "toward"}:
        found.append(("place", 1.2))
    if before is not None and before.lower in ROLES | {"by"}:
        found.append(("person", 1.0))
    if after is not None and after.lower in {"said", "says", "who", "told", "was"}:
        found.append(("person", 0.8))
    if before is not None and before.lower == "the":
        found.append(("org", 0.7))
    return found


def features_of(words: Sequence[Word], candidate: Candidate, kinds: dict[str, float]) -> list[str]:
    """The features of a candidate, each `class:value`; the classes and their weights are WEIGHTS."""
    start, stop = candidate.start, candidate.stop
    inner = words[start:stop]
    before = words[start - 1].lower if start else "^"
    after = words[stop].lower if stop < len(words) else "$"
    kind = max(kinds, key=lambda name: kinds[name]) if kinds else "none"
    return [
        "name:" + " ".join(word.lower for word in inner),
        "head:" + inner[-1].lower,
        "first:" + inner[0].lower,
        "kind:" + kind,
        "form:" + candidate.form,
        "before:" + before,
        "after:" + after,
        "shape:" + " ".join(word.shape for word in inner[:4]),
        "ending:" + inner[-1].lower[-3:],
        f"length:{min(len(inner), 4)}",
        f"place:{'opens' if start == 0 else 'inside'}",
        f"around:{_class_of(before)} {_class_of(after)}",
    ]


def _class_of(word: str) -> str:
    bare = word.rstrip(".")
    groups = (("role", ROLES), ("date", MONTHS | DAYS), ("number", NUMBER_WORDS), ("org", ORG_WORDS))
    for name, group in groups:
        if bare in group:
            return name
    if word in {"in", "at", "near", "from", "of", "by", "the", "to", ",", ".", "(", ")", "and", "'s", "^", "$"}:
        return word
    return "said" if word in {"said", "says", "told"} else "word"
