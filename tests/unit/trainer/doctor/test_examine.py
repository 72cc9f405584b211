"""What scores say, and what they don't: wrong labels by line, rare types, a curve, or why there is none."""

from __future__ import annotations

import json
import random

import pytest

from domaintraining.trainer.doctor.examine import (
    MIN_ASKED,
    MIN_CANDIDATES,
    MIN_SAMPLES,
    Curve,
    Findings,
    Point,
    Suspect,
    examine,
    few_examples,
)
from domaintraining.trainer.doctor.trials import Scores
from domaintraining.trainer.doctor.words import LONGEST, advice
from tests.unit.trainer.scripted import parsed

SEED = 9


def table(candidates: int, samples: int, score: float = 1.0) -> list[list[float | None]]:
    return [[score] * samples for _ in range(candidates)]


def examined(rows: list[list[float | None]], few: dict[str, int] | None = None) -> Findings:
    scores: Scores = tuple(map(tuple, rows))
    return examine(scores, range(1, len(rows[0]) + 1), few or {}, SEED)


def skilled(candidates: int, samples: int, seed: int, *, spread: float) -> list[list[float | None]]:
    """Candidates of different skill, each right or wrong on a sample by chance."""
    source = random.Random(seed)
    skills = [0.5 + spread * at / candidates for at in range(candidates)]
    return [[float(source.random() < skill) for _ in range(samples)] for skill in skills]


def test_a_sample_that_nearly_every_candidate_got_wrong_is_named_by_its_line() -> None:
    """Nine of ten are nearly every; eight are not."""
    rows = table(10, 20)
    for at in range(9):
        rows[at][6] = 0.4
    for at in range(8):
        rows[at][7] = 0.4
    found = examined(rows)
    assert found.suspects == (Suspect(place=7, candidates=10, wrong=9),)
    assert found.judged == 20
    assert found.labels_look_wrong
    assert advice({"entities": found})[0] == (
        "entities: nearly every candidate got line 7 wrong: look at the labels there"
    )


def test_one_wrong_sample_takes_no_other_with_it() -> None:
    """Samples of one place: those on the line of a wrong one stay in the curve."""
    rows = table(10, 20, 0.9)
    for row in rows:
        row[6] = 0.0
    found = examine(tuple(map(tuple, rows)), [1] * 20, {}, SEED)
    assert found.curve
    assert found.curve.ceiling == 0.9


def test_too_few_candidates_say_nothing_of_a_sample() -> None:
    found = examined(table(MIN_ASKED - 1, 20, 0.0))
    assert (found.suspects, found.judged) == ((), 0)


def test_half_right_is_not_wrong() -> None:
    assert examined(table(10, 20, 0.5)).suspects == ()


def test_where_much_is_wrong_it_is_not_the_labels() -> None:
    """No line is named in status then."""
    rows = table(6, 20)
    for row in rows:
        row[:10] = [0.0] * 10
    found = examined(rows)
    assert len(found.suspects) == 10
    assert not found.labels_look_wrong
    told = advice({"relations": found})[0]
    assert told.startswith("relations: nearly every candidate got 10 of 20 validation samples wrong; so many")
    assert "line " not in told


def test_samples_that_minibatches_asked_about_are_judged_as_well() -> None:
    """By the candidates that were asked."""
    rows = table(1, 20)
    rows += [[0.0 if at == 3 else None for at in range(20)] for _ in range(9)]
    assert examined(rows).suspects == (Suspect(4, 10, 9),)


def test_types_that_few_samples_have_are_counted() -> None:
    """Samples, not mentions; a type that no sample has is there with 0."""
    types = ["PERSON", "FIRM", "PLACE"]
    assert few_examples(types, parsed(4), "entities") == {"PLACE": 0, "FIRM": 4, "PERSON": 4}
    assert few_examples(types, parsed(5), "entities") == {"PLACE": 0}
    assert few_examples(["WORKS_FOR"], parsed(3), "relations") == {"WORKS_FOR": 3}


def test_rare_types_of_all_tasks_are_one_line() -> None:
    few = {f"T{number}": number % 5 for number in range(12)}
    told = advice({"entities": examined(table(6, 20), few), "relations": examined(table(6, 20), {"R": 1})})
    (line,) = [one for one in told if one.startswith("types")]
    assert "entities: T0 (0), T1 (1)" in line
    assert "and 2 more; relations: R (1)" in line


def test_choosing_by_more_samples_gains_where_candidates_differ() -> None:
    """The curve rises with the samples and stays below the best candidate's own score."""
    curve = examined(skilled(20, 80, 3, spread=0.4)).curve
    assert curve
    assert [point.samples for point in curve.points] == [10, 20, 40]
    f1 = [point.f1 for point in curve.points]
    assert f1 == sorted(f1)
    assert f1[-1] <= curve.best <= curve.ceiling
    assert curve.candidates == 20


def test_candidates_that_are_all_alike_give_a_flat_curve() -> None:
    rows = table(6, 40, 0.7)
    found = examined(rows)
    assert found.curve == Curve(6, (Point(5, 0.7), Point(10, 0.7), Point(20, 0.7)), best=0.7, ceiling=0.7)
    (told,) = advice({"entities": found})
    assert told == (
        "entities: more validation samples would change little (F1 0.700 when 10 choose, 0.700 when 20 do); "
        "a larger model may help (the best of all candidates for each sample gives F1 0.700, "
        "one alone 0.700), by 6 candidates"
    )


def test_what_some_candidate_gets_right_needs_no_larger_model() -> None:
    """Each is right on its own part: a better prompt is possible."""
    rows: list[list[float | None]] = [[float(at % 4 != row) for at in range(40)] for row in range(4)]
    (told,) = advice({"entities": examined(rows)})
    assert "better prompts before a larger model" in told


def test_where_nearly_all_is_right_there_is_little_to_gain() -> None:
    (told,) = advice({"entities": examined(table(6, 20, 0.97))})
    assert "neither more samples nor a larger model" in told


@pytest.mark.parametrize(
    ("candidates", "samples", "why"),
    [
        (MIN_CANDIDATES - 1, 40, "2 candidates were scored on all validation samples, 3 are needed"),
        (MIN_CANDIDATES, MIN_SAMPLES - 1, "there are 15 validation samples to go by, 16 are needed"),
    ],
)
def test_what_cannot_be_told_is_said_to_be_so(candidates: int, samples: int, why: str) -> None:
    found = examined(table(candidates, samples, 0.6))
    assert found.curve is None
    assert advice({"entities": found}) == (
        f"entities: whether more samples or a larger model would help can't be told: {why}",
    )


def test_without_any_scores_nothing_is_told() -> None:
    """A search whose record was too large to keep them, or one of another data set."""
    for scores in ((), ((0.5,),)):
        found = examine(scores, [1, 2, 3], {}, SEED)
        assert (found.suspects, found.curve) == ((), None)
        assert found.lacking


def test_samples_that_the_mode_left_out_keep_no_curve_away() -> None:
    """MIPROv2 chooses by a part of many validation samples."""
    rows = [[*row, None, None] for row in table(6, 20, 0.6)]
    assert examined(rows).curve


def test_likely_wrong_labels_are_not_counted_against_the_model() -> None:
    rows = table(10, 20, 0.96)
    for row in rows:
        row[2] = 0.0
    curve = examined(rows).curve
    assert curve
    assert curve.ceiling == 0.96


def test_the_same_scores_give_the_same_findings() -> None:
    rows = skilled(8, 30, 1, spread=0.3)
    assert examined(rows) == examined(rows)


def test_status_has_five_lines_at_most_each_of_bounded_length() -> None:
    """With everything found for both tasks."""
    rows = skilled(8, 40, 1, spread=0.3)
    for row in rows:
        row[:2] = [0.0, 0.0]
    found = examined(rows, {f"{number:063}": 1 for number in range(64)})
    told = advice({"entities": found, "relations": found})
    assert len(told) == 5
    assert all(len(line) <= LONGEST for line in told)


def test_the_manifest_has_all_of_it_as_json() -> None:
    found = examined(skilled(8, 40, 1, spread=0.3), {"PLACE": 1})
    described = json.loads(json.dumps(found.described()))
    assert described["fewExamples"] == {"PLACE": 1}
    assert [point["samples"] for point in described["learningCurve"]["points"]] == [5, 10, 20]
