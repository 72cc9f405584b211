"""Scores are the contract's: sets of items for each document, names as `matching` says, micro-averages."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Any

import pytest

from domaintraining.api.sample import Sample
from domaintraining.trainer.scoring.metrics import (
    Counts,
    Matching,
    counts,
    document_f1,
    entity_items,
    f1,
    micro,
    normalized,
    relation_items,
    total,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qdrant", "qdrant"),
        ("  The\tbig \n\n store ", "the big store"),
        ("no\u00a0break\u2003space", "no break space"),
        ("(Qdrant).", "qdrant"),
        ("«Qdrant» …", "qdrant"),
        (" - Qdrant - ", "qdrant"),
        ("St. Albans, Vt.", "st. albans, vt"),
        ("Straße", "strasse"),
        ("ＡＢＣ１", "abc1"),  # noqa: RUF001
        ("ﬁle", "file"),
        ("Ångström", "ångström"),
        ("A\u030angstro\u0308m", "ångström"),
        ("C++", "c++"),
        ("C#", "c"),
        ("snake_case_", "snake_case"),
        ("$5", "$5"),
        ("...", "..."),
        ("?!", "?!"),
        ("", ""),
        ("漢字。", "漢字"),
    ],
)
def test_normalizes_to_the_letter_of_the_contract(name: str, expected: str) -> None:
    """NFKC, case-folded, one space, no punctuation (Unicode P*) at the ends; symbols such as + stay."""
    assert normalized(name) == expected


def _changes(character: str) -> bool:
    return not unicodedata.is_normalized("NFKC", character) or character.casefold() != character


def test_normalizing_twice_changes_nothing() -> None:
    """Any character of Unicode that folding can change, and mixtures of them, are normalized in one pass."""
    for character in filter(_changes, map(chr, range(sys.maxunicode + 1))):
        once = normalized(character)
        assert normalized(once) == once, hex(ord(character))
    source = random.Random(3)
    alphabet = "aÅß ﬁ\u0301\u0345.…-(\t\u00a0½Ⅷσς"  # noqa: RUF001
    for _ in range(5000):
        once = normalized("".join(source.choices(alphabet, k=source.randrange(12))))
        assert normalized(once) == once


@pytest.mark.parametrize(("matching", "same"), [("normalized", True), ("exact", False)])
def test_matching_counts_for_names_and_never_for_types(matching: Matching, same: bool) -> None:  # noqa: FBT001
    """Names that differ in case and punctuation are equal under normalized alone; types always exactly."""

    def entity(name: str, kind: str) -> frozenset[tuple[str, str]]:
        return entity_items([{"name": name, "type": kind}], matching)

    def relation(source: str, kind: str, target: str) -> frozenset[tuple[str, str, str]]:
        return relation_items([{"source": source, "type": kind, "target": target}], matching)

    assert (entity("Qdrant", "T") == entity("qdrant.", "T")) is same
    assert entity("Qdrant", "T") != entity("Qdrant", "t")
    assert (relation("A", "R", "B.") == relation("a", "R", "b")) is same
    assert relation("a", "R", "b") != relation("a", "R ", "b")


def test_relations_are_directed() -> None:
    """The two ends can't be exchanged."""
    there = relation_items([{"source": "a", "type": "R", "target": "b"}], "normalized")
    back = relation_items([{"source": "b", "type": "R", "target": "a"}], "normalized")
    assert counts(there, back) == Counts(0, 1, 1)


def test_items_come_from_samples_and_answers_alike() -> None:
    """Labelled objects and answered mappings give the same sets; what is not compared is left out."""
    plain: dict[str, Any] = {
        "text": "t",
        "entities": [{"name": "A", "type": "T", "description": "d"}, {"name": "a", "type": "T"}],
        "relations": [{"source": "A", "type": "R", "target": "a"}],
    }
    sample = Sample.model_validate(plain)
    assert entity_items(sample.entities or [], "normalized") == {("a", "T")}
    assert entity_items(plain["entities"], "exact") == {("A", "T"), ("a", "T")}
    assert relation_items(sample.relations or [], "exact") == relation_items(plain["relations"], "exact")


@pytest.mark.parametrize(
    ("labelled", "answered", "expected", "score"),
    [
        ("", "", Counts(0, 0, 0), 1.0),
        ("a", "", Counts(0, 0, 1), 0.0),
        ("", "a", Counts(0, 1, 0), 0.0),
        ("ab", "ab", Counts(2, 2, 2), 1.0),
        ("ab", "bc", Counts(1, 2, 2), 0.5),
        ("abc", "a", Counts(1, 1, 3), 0.5),
        ("a", "b", Counts(0, 1, 1), 0.0),
    ],
)
def test_counts_and_f1_of_one_document(labelled: str, answered: str, expected: Counts, score: float) -> None:
    """Both empty is 1, one of them empty is 0, else the harmonic mean of precision and recall."""
    assert counts(set(labelled), set(answered)) == expected
    assert document_f1(set(labelled), set(answered)) == score


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([], (1.0, 1.0, 1.0)),
        ([Counts(0, 0, 0)] * 3, (1.0, 1.0, 1.0)),
        ([Counts(0, 0, 2)], (0.0, 0.0, 0.0)),
        ([Counts(0, 2, 0)], (0.0, 0.0, 0.0)),
        ([Counts(0, 2, 2)], (0.0, 0.0, 0.0)),
        ([Counts(1, 1, 1), Counts(0, 0, 2)], (0.5, 1.0, 0.333)),
        ([Counts(2, 3, 2), Counts(0, 4, 5), Counts(0, 0, 0)], (0.286, 0.286, 0.286)),
        ([Counts(1, 3, 1), Counts(1, 3, 2)], (0.444, 0.333, 0.667)),
    ],
)
def test_micro_averages_sum_before_they_divide(
    documents: list[Counts], expected: tuple[float, float, float]
) -> None:
    """F1, precision, recall of the sums, at three decimals; 0/0 is 1 only where both sides are empty."""
    scores = micro(documents)
    assert (scores.f1, scores.precision, scores.recall) == expected


def test_micro_f1_is_the_harmonic_mean() -> None:
    """For random counts F1 is 2PR/(P+R) of the sums, whatever the order of documents."""
    source = random.Random(5)
    for _ in range(300):
        documents = []
        for _ in range(source.randrange(1, 12)):
            answered, wanted = source.randrange(1, 9), source.randrange(1, 9)
            documents.append(Counts(source.randint(0, min(answered, wanted)), answered, wanted))
        sums = total(documents)
        assert sums == Counts(*map(sum, zip(*documents, strict=True)))
        precision, recall = sums.hits / sums.answered, sums.hits / sums.labelled
        harmonic = 2 * precision * recall / (precision + recall) if sums.hits else 0.0
        assert f1(sums) == pytest.approx(harmonic)
        assert micro(documents) == micro(sorted(documents))
