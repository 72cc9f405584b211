"""Intervals and verdicts: what the held-out documents say for sure, from seeded resamples of documents.

The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), paired
for differences as in https://aclanthology.org/W04-3250/: in each resample both prompts are scored on the
same documents.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domaintraining.api.comparison import Interval
from domaintraining.api.status import Improvement, TaskMetrics, Verdict
from domaintraining.trainer.scoring.metrics import DECIMALS, Counts, f1, micro, total

RESAMPLES: Final = 10_000
MIN_DOCUMENTS: Final = 20
"""Documents below which no verdict is more than Unclear."""
MAX_NEEDED: Final = 1_000_000
"""Largest documentsNeeded; more are not told apart."""

_CHUNK: Final = 25_000  # documents drawn at once: 200 KB of indices; the draws do not depend on it
_PERCENTILES: Final = (2.5, 97.5)

Floats = NDArray[np.float64]


class Paired(NamedTuple):
    """A paired difference of F1, -1 to 1, not rounded."""

    value: float
    """F1 of the new prompt less that of the other, on all documents."""
    low: float
    """2.5th percentile over the resamples."""
    high: float
    """97.5th percentile."""


def f1_interval(documents: Sequence[Counts], seed: int) -> Interval:
    """95 % interval of the micro F1 of some documents (at least one), rounded to three decimals."""
    (scores,) = _resampled_f1((documents,), seed)
    low, high = _percentiles(scores)
    return Interval(low=round(low, DECIMALS), high=round(high, DECIMALS))


def paired_improvement(new: Sequence[Counts], other: Sequence[Counts], seed: int) -> Paired:
    """How much better one prompt is than another.

    Args:
        new: its counts for each document (at least one).
        other: the other prompt's, for the same documents in the same order.
        seed: of the resamples, which are the same for both.

    Raises:
        ValueError: the two are not as many.
    """
    if len(new) != len(other):
        raise ValueError(f"{len(new)} documents can't be paired with {len(other)}")
    new_scores, other_scores = _resampled_f1((new, other), seed)
    low, high = _percentiles(new_scores - other_scores)
    return Paired(f1(total(new)) - f1(total(other)), low, high)


def verdict(improvement: Paired | None, documents: int) -> Verdict:
    """What may be said: Improved where low > 0, Worse where high < 0, else Unclear.

    Below 20 documents Improved and Worse become Unclear; without documents (or without an improvement)
    it is NotMeasured. Judges the numbers before they are rounded.
    """
    if improvement is None or not documents:
        return "NotMeasured"
    if documents < MIN_DOCUMENTS:
        return "Unclear"
    if improvement.low > 0:
        return "Improved"
    return "Worse" if improvement.high < 0 else "Unclear"


def documents_needed(improvement: Paired, documents: int) -> int | None:
    """Documents at which this improvement would be clear: documents times (half-width / value)², rounded up.

    None where it is clear already, or where there is none; at most 1,000,000.
    """
    if verdict(improvement, documents) != "Unclear" or improvement.value == 0:
        return None
    ratio = (improvement.high - improvement.low) / 2 / improvement.value
    needed = documents * ratio * ratio
    return math.ceil(needed) if needed < MAX_NEEDED else MAX_NEEDED


def task_metrics(
    new: Sequence[Counts],
    baseline: Sequence[Counts],
    served: Sequence[Counts] | None,
    seed: int,
    validation_f1: float | None,
) -> TaskMetrics:
    """What status says of one prompt, from the held-out documents.

    Args:
        new: counts of the new prompt for each document that no compared prompt had seen.
        baseline: counts of the baseline for the same documents.
        served: counts of the prompt served now for the same documents, where there is one; the
            improvement is over it then, else over the baseline.
        seed: of the resamples.
        validation_f1: mean F1 by document on the validation part, 0 to 1.

    Returns:
        Numbers rounded to three decimals. Without documents only validation_f1, and NotMeasured.
    """
    validation = None if validation_f1 is None else round(validation_f1, DECIMALS)
    if not new:
        return TaskMetrics(validation_f1=validation)
    over: Literal["Baseline", "Served"] = "Baseline" if served is None else "Served"
    gain = paired_improvement(new, baseline if served is None else served, seed)
    scores = micro(new)
    return TaskMetrics(
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        confidence_interval=f1_interval(new, seed),
        baseline=micro(baseline),
        improvement=_rounded(gain, over),
        verdict=verdict(gain, len(new)),
        documents_needed=documents_needed(gain, len(new)),
        documents=len(new),
        validation_f1=validation,
    )


def _rounded(gain: Paired, over: Literal["Baseline", "Served"]) -> Improvement:
    value, low, high = (round(number, DECIMALS) + 0.0 for number in gain)  # + 0.0: no -0.0
    return Improvement(value=value, low=low, high=high, over=over)


def _resampled_f1(prompts: Sequence[Sequence[Counts]], seed: int) -> list[Floats]:
    """Micro F1 of each prompt in each resample; all prompts share the resampled documents."""
    tables = [np.asarray(documents, dtype=np.int64).reshape(-1, 3) for documents in prompts]
    chunks = [[_f1_of(table, indices) for table in tables] for indices in _draws(len(prompts[0]), seed)]
    return [np.concatenate(scores) for scores in zip(*chunks, strict=True)]


def _draws(documents: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of documents, one row for each resample, in chunks that fit into little memory."""
    random = np.random.default_rng(seed)
    rows = max(1, _CHUNK // documents)
    for begin in range(0, RESAMPLES, rows):
        yield random.integers(documents, size=(min(rows, RESAMPLES - begin), documents))


def _f1_of(table: NDArray[Any], indices: NDArray[np.int64]) -> Floats:
    hits = table[:, 0][indices].sum(axis=1)
    items = (table[:, 1] + table[:, 2])[indices].sum(axis=1)
    scores = np.ones(len(indices))  # no item at all in a resample: 1, as in `metrics.f1`
    np.divide(2 * hits, items, out=scores, where=items > 0)
    return scores


def _percentiles(values: Floats) -> tuple[float, float]:
    low, high = np.percentile(values, _PERCENTILES)
    return float(low), float(high)
