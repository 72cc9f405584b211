"""Scores of answers against labels: sets of items for each document, micro-averages over documents.

F1 is 2·hits / (answered + labelled), https://en.wikipedia.org/wiki/F-score. Where nothing is labelled and
nothing answered, F1, precision and recall are 1: the answer is right. Where only one of the two is empty,
the quotient without a denominator (precision, or recall) is 0, as F1 is.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, NamedTuple

from domaintraining.api.status import Scores

Matching = Literal["exact", "normalized"]
DECIMALS: Final = 3

_SPACE: Final = re.compile(r"\s+")


class Counts(NamedTuple):
    """What the scores of one document, or of several together, are made of."""

    hits: int
    """Items both labelled and answered."""
    answered: int
    """Items answered."""
    labelled: int
    """Items labelled."""


def normalized(name: str) -> str:
    """A name as `matching: normalized` compares it.

    NFKC, case-folded, white space as one space, punctuation (Unicode categories P*) and space at both ends
    removed. A name of nothing but punctuation keeps it, so that two of them are not all the same.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    spaced = _SPACE.sub(" ", folded).strip()
    begin, end = 0, len(spaced)
    while begin < end and _is_margin(spaced[begin]):
        begin += 1
    while begin < end and _is_margin(spaced[end - 1]):
        end -= 1
    return spaced[begin:end] or spaced


def _is_margin(character: str) -> bool:
    return character == " " or unicodedata.category(character).startswith("P")


def entity_items(entities: Iterable[Any], matching: Matching) -> frozenset[tuple[str, str]]:
    """Entities (mappings or objects with `name` and `type`) as the set that is compared: (name, type)."""
    return frozenset((_name(entity, "name", matching), _value(entity, "type")) for entity in entities)


def relation_items(relations: Iterable[Any], matching: Matching) -> frozenset[tuple[str, str, str]]:
    """Relations (mappings or objects) as the set that is compared: (source, type, target), directed."""
    return frozenset(
        (
            _name(relation, "source", matching),
            _value(relation, "type"),
            _name(relation, "target", matching),
        )
        for relation in relations
    )


def _name(item: Any, key: str, matching: Matching) -> str:
    name = _value(item, key)
    return normalized(name) if matching == "normalized" else name


def _value(item: Any, key: str) -> str:
    value: str = item[key] if isinstance(item, Mapping) else getattr(item, key)
    return value


def counts(labelled: AbstractSet[Any], answered: AbstractSet[Any]) -> Counts:
    """What one document adds: both sets as `entity_items` or `relation_items` give them."""
    return Counts(len(labelled & answered), len(answered), len(labelled))


def total(documents: Iterable[Counts]) -> Counts:
    """The sums over documents."""
    hits = answered = labelled = 0
    for document in documents:
        hits += document.hits
        answered += document.answered
        labelled += document.labelled
    return Counts(hits, answered, labelled)


def f1(sums: Counts) -> float:
    """F1 of one document or of sums over several, 0 to 1, not rounded; 1 where there is no item at all."""
    items = sums.answered + sums.labelled
    return 2 * sums.hits / items if items else 1.0


def document_f1(labelled: AbstractSet[Any], answered: AbstractSet[Any]) -> float:
    """F1 of one document, whose mean MIPROv2 maximises; both empty: 1."""
    return f1(counts(labelled, answered))


def micro(documents: Iterable[Counts]) -> Scores:
    """Micro-averages over documents, rounded to three decimals."""
    sums = total(documents)
    return Scores(
        f1=round(f1(sums), DECIMALS),
        precision=round(_part(sums.hits, sums.answered, sums.labelled), DECIMALS),
        recall=round(_part(sums.hits, sums.labelled, sums.answered), DECIMALS),
    )


def _part(hits: int, of: int, others: int) -> float:
    if of:
        return hits / of
    return 0.0 if others else 1.0
