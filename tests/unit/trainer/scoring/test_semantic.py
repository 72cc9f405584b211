"""The number by embeddings: one to one, as many pairs as can be, types compared to the letter."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest

from domaintraining.trainer.calls.embedding import BATCH
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.scoring.metrics import Counts, counts
from domaintraining.trainer.scoring.semantic import LONGEST, Item, Names, most_pairs, semantic_counts
from tests.sandbox.simulated_ollama.embed import vector_of


def by_trying_all(near: Sequence[Sequence[int]], columns: int) -> int:
    """The most pairs, from all ways to pair."""
    slots = [*range(columns), *[None] * len(near)]
    return max(
        sum(column in row for row, column in zip(near, order, strict=True))
        for order in permutations(slots, len(near))
    )


def test_the_assignment_is_the_best_of_all() -> None:
    """200 random cases against trying every way."""
    source = random.Random(5)
    for _ in range(200):
        rows, columns = source.randrange(5), source.randrange(5)
        chance = source.random()
        near = [[at for at in range(columns) if source.random() < chance] for _ in range(rows)]
        assert most_pairs(near) == by_trying_all(near, columns)


def test_many_items_that_are_all_alike_take_no_deep_recursion() -> None:
    """256 labels, each of which may be any of 2,000 answers but the last comes first."""
    assert most_pairs([range(2000)] * 256) == 256
    assert most_pairs([range(row + 1) for row in reversed(range(256))]) == 256


def alike(left: str, right: str) -> bool:
    return left == right or left.split(maxsplit=1)[0] == right.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    ("labelled", "answered", "expected"),
    [
        ([("acme ab", "FIRM")], [("acme", "FIRM")], Counts(1, 1, 1)),
        ([("acme ab", "FIRM")], [("acme", "PERSON")], Counts(0, 1, 1)),
        ([("acme ab", "FIRM")], [("acme", "FIRM"), ("acme inc", "FIRM")], Counts(1, 2, 1)),
        ([("a x", "R", "b x")], [("a y", "R", "b y")], Counts(1, 1, 1)),
        ([("a x", "R", "b x")], [("a y", "R", "c y")], Counts(0, 1, 1)),
        ([("a x", "R", "b x")], [("b x", "R", "a x")], Counts(0, 1, 1)),
        ([("a x", "R", "b x")], [("a x", "r", "b x")], Counts(0, 1, 1)),
        ([], [], Counts(0, 0, 0)),
    ],
)
def test_names_may_be_near_but_types_and_direction_are_compared_exactly(
    labelled: list[Item], answered: list[Item], expected: Counts
) -> None:
    assert semantic_counts(labelled, answered, alike) == expected


def test_it_never_finds_less_than_the_normalized_number() -> None:
    """Whatever else is near: equal names are the same name."""
    source = random.Random(2)
    words = [f"{first} {second}" for first in "abc" for second in "xyz"]
    for _ in range(200):
        one, other = (
            frozenset((source.choice(words), source.choice("TU")) for _ in range(source.randrange(7)))
            for _ in range(2)
        )
        assert semantic_counts(one, other, alike).hits >= counts(one, other).hits


def names(server: ScriptedServer, threshold: float = 0.75) -> Names:
    return Names(server, "bge-m3", threshold)


def simulated() -> ScriptedServer:
    return ScriptedServer(json.dumps, lambda text: list(vector_of(text, 1024)))


def test_each_name_is_asked_once_in_calls_of_bounded_size() -> None:
    server = simulated()
    known = names(server)
    known.learn(f"name {number}" for number in range(2 * BATCH))
    known.learn(f"name {number}" for number in range(2 * BATCH + 3))
    asked = [body["input"] for body in server.bodies]
    assert [len(texts) for texts in asked] == [BATCH, BATCH, 3]
    assert len({text for texts in asked for text in texts}) == 2 * BATCH + 3


def test_all_calls_are_announced_before_the_first_is_asked() -> None:
    """So that every slot of the server has work; their order is always the same."""
    server = simulated()
    announced: list[Mapping[str, Any]] = []
    known = Names(server, "bge-m3", 0.75, announced.extend)
    known.learn({f"name {number}" for number in range(BATCH + 1)})
    assert announced == server.bodies
    assert announced[0]["input"] == sorted(announced[0]["input"])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("norrsken ab", "norrsken", True), ("ibm", "ibm corp", True), ("ibm", "intel", False)],
)
def test_names_of_one_thing_are_near_and_others_are_not(left: str, right: str, *, expected: bool) -> None:
    """By the simulated server's vectors, which know letters and no meaning."""
    known = names(simulated())
    known.learn([left, right])
    assert known.alike(left, right) is known.alike(right, left) is expected


def test_the_threshold_decides() -> None:
    for threshold, expected in ((0.0, True), (0.7, True), (0.71, False), (1.0, False)):
        known = names(ScriptedServer(json.dumps, lambda text: [1.0, float(text == "b")]), threshold)
        known.learn(["a", "b"])
        assert known.alike("a", "b") is expected
        assert known.alike("a", "a")


def test_empty_and_endless_names_are_not_sent_and_equal_themselves_alone() -> None:
    server, endless = simulated(), "x" * (LONGEST + 1)
    known = names(server)
    known.learn(["", endless])
    assert server.bodies == []
    assert known.alike(endless, endless)
    assert known.alike("", "")
    assert not known.alike("", endless)
