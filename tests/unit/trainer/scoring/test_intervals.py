"""Intervals, verdicts and documentsNeeded, checked against slow references and by simulation."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from domaintraining.api.comparison import Interval
from domaintraining.api.status import Scores, TaskMetrics
from domaintraining.trainer.scoring import intervals
from domaintraining.trainer.scoring.intervals import (
    Paired,
    documents_needed,
    f1_interval,
    paired_improvement,
    task_metrics,
    verdict,
)
from domaintraining.trainer.scoring.metrics import Counts

SEED = 9


def _document(source: random.Random, skill: float) -> Counts:
    """One document of a population whose documents differ in size and difficulty; some have no item."""
    labelled = source.choice([0, 1, 2, 3, 4, 8])
    chance = min(1.0, max(0.0, source.gauss(skill, 0.2)))
    hits = sum(source.random() < chance for _ in range(labelled))
    return Counts(hits, hits + sum(source.random() < 0.3 for _ in range(3)), labelled)


def _documents(number: int, seed: int, skill: float = 0.6) -> list[Counts]:
    source = random.Random(seed)
    return [_document(source, skill) for _ in range(number)]


def _slow_f1(documents: Sequence[Counts], indices: Sequence[int]) -> float:
    hits = answered = labelled = 0
    for index in indices:
        hits += documents[index].hits
        answered += documents[index].answered
        labelled += documents[index].labelled
    return 2 * hits / (answered + labelled) if answered + labelled else 1.0


def _slow_percentile(values: Sequence[float], percent: float) -> float:
    """Linear interpolation between the two nearest ranks."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@pytest.mark.parametrize(("number", "seed"), [(1, 1), (7, 2), (20, 3), (61, 4)])
def test_equals_a_slow_reference_on_the_same_resamples(
    number: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same indices plain Python gives the same limits, also where the last chunk is short."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1203)
    new, other = _documents(number, seed, 0.7), _documents(number, seed + 100)
    rows = [row.tolist() for chunk in intervals._draws(number, SEED) for row in chunk]
    assert len(rows) == 1203
    assert all(len(row) == number and 0 <= min(row) <= max(row) < number for row in rows)
    scores = [_slow_f1(new, row) for row in rows]
    gains = [_slow_f1(new, row) - _slow_f1(other, row) for row in rows]
    found = f1_interval(new, SEED)
    assert (found.low, found.high) == (
        round(_slow_percentile(scores, 2.5), 3),
        round(_slow_percentile(scores, 97.5), 3),
    )
    everything = range(number)
    assert paired_improvement(new, other, SEED) == pytest.approx(
        (
            _slow_f1(new, everything) - _slow_f1(other, everything),
            _slow_percentile(gains, 2.5),
            _slow_percentile(gains, 97.5),
        ),
        abs=1e-12,
    )


def test_agrees_with_an_independent_bootstrap() -> None:
    """A bootstrap with another generator gives the same limits within its own noise."""
    new, other = _documents(30, 5, 0.7), _documents(30, 6)
    source = random.Random(1)
    rows = [source.choices(range(30), k=30) for _ in range(4000)]
    gains = [_slow_f1(new, row) - _slow_f1(other, row) for row in rows]
    found = paired_improvement(new, other, SEED)
    assert found.low == pytest.approx(_slow_percentile(gains, 2.5), abs=0.01)
    assert found.high == pytest.approx(_slow_percentile(gains, 97.5), abs=0.01)


def test_draws_ten_thousand_resamples_of_all_documents_evenly() -> None:
    """10,000 rows, each as long as there are documents, every document equally likely."""
    assert intervals.RESAMPLES == 10_000
    rows = np.concatenate(list(intervals._draws(13, SEED)))
    assert rows.shape == (10_000, 13)
    assert np.bincount(rows.ravel(), minlength=13) == pytest.approx(10_000, rel=0.05)


def test_the_seed_makes_it_repeatable() -> None:
    """Equal seeds give equal numbers, other seeds nearly equal ones."""
    new, other = _documents(40, 7, 0.7), _documents(40, 8)
    first = paired_improvement(new, other, SEED)
    assert paired_improvement(new, other, SEED) == first
    again = paired_improvement(new, other, SEED + 1)
    assert again != first
    assert again == pytest.approx(first, abs=0.02)


def test_the_same_prompt_twice_is_exactly_no_difference() -> None:
    """Pairing: both prompts are scored on the same documents of each resample; exchanged, the sign turns."""
    new, other = _documents(40, 7, 0.7), _documents(40, 8)
    assert paired_improvement(new, new, SEED) == (0, 0, 0)
    value, low, high = paired_improvement(new, other, SEED)
    assert paired_improvement(other, new, SEED) == pytest.approx((-value, -high, -low), abs=1e-12)


def test_pairing_needs_the_same_documents() -> None:
    """Another number of documents is a mistake of the caller, not a number."""
    with pytest.raises(ValueError, match="3 documents can't be paired with 2"):
        paired_improvement(_documents(3, 1), _documents(2, 1), SEED)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([Counts(2, 2, 2)] * 30, (1, 1)),
        ([Counts(0, 2, 2)] * 30, (0, 0)),
        ([Counts(0, 0, 0)] * 30, (1, 1)),
        ([Counts(0, 0, 0)], (1, 1)),
    ],
)
def test_equal_documents_leave_no_doubt(documents: list[Counts], expected: tuple[float, float]) -> None:
    """Where every document says the same, the interval is a point; no item at all is F1 1."""
    assert f1_interval(documents, SEED) == Interval(low=expected[0], high=expected[1])


def test_fits_into_little_memory() -> None:
    """500 documents, the most there are, take less than 50 MB."""
    documents = _documents(500, 1)
    tracemalloc.start()
    try:
        paired_improvement(documents, documents, SEED)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50e6


def test_intervals_hold_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """About 95 % of the intervals of 300 simulated sets of 60 documents hold the true F1 and gain."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)
    source = random.Random(4)
    population = [(_document(source, 0.7), _document(source, 0.6)) for _ in range(20_000)]
    everything = range(len(population))
    new_all, other_all = zip(*population, strict=True)
    truth = _slow_f1(new_all, everything)
    gain = truth - _slow_f1(other_all, everything)
    held = held_gain = 0
    for seed in range(300):
        new, other = zip(*source.choices(population, k=60), strict=True)
        interval, paired = f1_interval(new, seed), paired_improvement(new, other, seed)
        held += interval.low <= truth <= interval.high
        held_gain += paired.low <= gain <= paired.high
    assert 0.91 <= held / 300 <= 0.98
    assert 0.91 <= held_gain / 300 <= 0.98


def test_no_difference_is_rarely_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts of the same skill: Improved and Worse each in about 2.5 % of simulated sets."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)
    source = random.Random(6)
    said = []
    for seed in range(300):
        new, other = ([_document(source, 0.6) for _ in range(40)] for _ in range(2))
        said.append(verdict(paired_improvement(new, other, seed), 40))
    assert said.count("Improved") <= 18
    assert said.count("Worse") <= 18


@pytest.mark.parametrize(
    ("improvement", "documents", "expected"),
    [
        (Paired(0.1, 0.05, 0.15), 20, "Improved"),
        (Paired(0.1, 1e-9, 0.15), 20, "Improved"),
        (Paired(0.1, 0.0, 0.15), 20, "Unclear"),
        (Paired(0.1, -0.01, 0.15), 500, "Unclear"),
        (Paired(0.0, 0.0, 0.0), 100, "Unclear"),
        (Paired(-0.1, -0.2, 0.0), 100, "Unclear"),
        (Paired(-0.1, -0.2, -1e-9), 100, "Worse"),
        (Paired(0.5, 0.4, 0.6), 19, "Unclear"),
        (Paired(-0.5, -0.6, -0.4), 19, "Unclear"),
        (Paired(0.5, 0.4, 0.6), 0, "NotMeasured"),
        (None, 0, "NotMeasured"),
        (None, 100, "NotMeasured"),
    ],
)
def test_verdicts(improvement: Paired | None, documents: int, expected: str) -> None:
    """Low > 0 is Improved, high < 0 Worse, below 20 documents neither; unrounded numbers decide."""
    assert verdict(improvement, documents) == expected


@pytest.mark.parametrize(
    ("improvement", "documents", "expected"),
    [
        (Paired(0.05, -0.05, 0.15), 20, 80),
        (Paired(-0.05, -0.15, 0.05), 20, 80),
        (Paired(0.03, -0.04, 0.10), 40, 218),
        (Paired(0.1, 0.05, 0.15), 40, None),
        (Paired(-0.1, -0.15, -0.05), 40, None),
        (Paired(0.0, -0.1, 0.1), 40, None),
        (Paired(0.2, 0.1, 0.3), 12, 3),
        (Paired(1e-6, -0.1, 0.1), 40, 1_000_000),
        (Paired(5e-324, -0.1, 0.1), 40, 1_000_000),
        (Paired(0.2, 0.1, 0.3), 0, None),
    ],
)
def test_documents_needed(improvement: Paired, documents: int, expected: int | None) -> None:
    """Documents times (half-width / value)², rounded up, only where the verdict is Unclear; bounded."""
    assert documents_needed(improvement, documents) == expected


GOOD = [Counts(3, 3, 3)] * 20 + [Counts(2, 3, 3)] * 20
POOR = [Counts(1, 3, 3)] * 40


def test_a_measured_prompt_without_a_served_one_is_compared_with_the_baseline() -> None:
    """All numbers come at three decimals, the improvement is over Baseline and the verdict follows."""
    metrics = task_metrics(GOOD, POOR, None, SEED, 0.87654)
    assert (metrics.f1, metrics.precision, metrics.recall) == (0.833, 0.833, 0.833)
    assert metrics.confidence_interval == f1_interval(GOOD, SEED)
    assert metrics.baseline == Scores(f1=0.333, precision=0.333, recall=0.333)
    assert metrics.improvement is not None
    assert (metrics.improvement.value, metrics.improvement.over) == (0.5, "Baseline")
    assert metrics.improvement.low < 0.5 < metrics.improvement.high
    assert (metrics.verdict, metrics.documents, metrics.documents_needed) == ("Improved", 40, None)
    assert metrics.validation_f1 == 0.877


def test_the_improvement_is_over_the_served_prompt_where_there_is_one() -> None:
    """`baseline` stays the baseline's scores, improvement and verdict are against what is served."""
    metrics = task_metrics(POOR, POOR, GOOD, SEED, None)
    assert metrics.baseline == Scores(f1=0.333, precision=0.333, recall=0.333)
    assert metrics.improvement is not None
    assert (metrics.improvement.value, metrics.improvement.over) == (-0.5, "Served")
    assert metrics.verdict == "Worse"
    same = task_metrics(GOOD, POOR, GOOD, SEED, None)
    assert same.improvement is not None
    assert (same.improvement.value, same.verdict, same.documents_needed) == (0, "Unclear", None)


def test_few_documents_are_measured_and_unclear() -> None:
    """Below 20 documents there are numbers and documentsNeeded, and no verdict beyond Unclear."""
    metrics = task_metrics(GOOD[:10] + GOOD[-9:], POOR[:19], None, SEED, None)
    assert metrics.improvement is not None
    assert metrics.improvement.low > 0
    assert metrics.verdict == "Unclear"
    assert metrics.documents == 19
    assert metrics.documents_needed is not None


def test_without_documents_nothing_is_measured() -> None:
    """NotMeasured, and all that would come from the held-out part is absent; validationF1 stays."""
    metrics = task_metrics([], [], None, SEED, 0.5)
    assert metrics == TaskMetrics(verdict="NotMeasured", documents=0, validation_f1=0.5)
    assert metrics.model_dump(exclude_none=True) == {
        "verdict": "NotMeasured",
        "documents": 0,
        "validation_f1": 0.5,
    }
