"""What scores say: samples that look wrong, types with few examples, and a learning curve. Pure.

The curve is one of choosing: for a number of validation samples, the F1 on other samples of the candidate
that one would have chosen by so many. It is made of scores that are there, by drawing samples many times.
About more train samples, which demos are taken from, these scores say nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task
from domaintraining.trainer.doctor.trials import Scores
from domaintraining.trainer.scoring.metrics import DECIMALS

WRONG_BELOW: Final = 0.5
"""F1 of a sample below which a candidate got it wrong."""
NEARLY_EVERY: Final = 0.9
"""Part of the candidates that got a sample wrong whose labels are looked at."""
MIN_ASKED: Final = 5
"""Candidates that must have answered a sample before anything is said of it."""
AT_MOST_ONE_IN: Final = 5
"""Where more than one sample in so many looks wrong, it is not the labels."""
FEW: Final = 5
"""Samples below which a type has too few examples."""
MIN_CANDIDATES: Final = 3
"""Candidates with a score on every validation sample that a curve needs; with minibatches few have one."""
MIN_SAMPLES: Final = 16
"""Validation samples that a curve needs: it is drawn up to half of them and judged by the other half."""
DRAWS: Final = 400
MAX_SUSPECTS: Final = 50

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """A sample whose labels are likely wrong."""

    place: int
    """Where it is in the file of samples, from 1; see `Findings.suspects_by`."""
    candidates: int
    """Candidates that were asked about it."""
    wrong: int
    """Those of them that got it wrong."""


@dataclass(frozen=True)
class Point:
    """One point of the learning curve."""

    samples: int
    """Validation samples to choose by."""
    f1: float
    """Mean F1, on other samples, of the candidate chosen so; 0 to 1."""


@dataclass(frozen=True)
class Curve:
    """What choosing by more samples gains, and what is left to gain."""

    candidates: int
    """Candidates with a score on every sample."""
    points: tuple[Point, ...]
    """By twice as many samples each time."""
    best: float
    """Mean F1 of the best candidate."""
    ceiling: float
    """Mean F1 where each sample has the candidate that is best on it: what the model can, by some prompt."""


@dataclass(frozen=True)
class Findings:
    """What is found for one task."""

    suspects: tuple[Suspect, ...]
    """In the order of the file."""
    judged: int
    """Validation samples that enough candidates answered."""
    few: Mapping[str, int]
    """Types of the closed list with too few examples, and how many train and validation samples have them."""
    curve: Curve | None
    """The learning curve; None: it can't be told."""
    lacking: str = ""
    """Why it can't."""
    suspects_by: str = "line"
    """What their places are: `line`, which inline samples have by their number, or `sample`, its number
    where several share a line."""

    @property
    def labels_look_wrong(self) -> bool:
        """Whether the suspects are few enough to be wrong labels."""
        return 0 < len(self.suspects) <= max(1, self.judged // AT_MOST_ONE_IN)

    def described(self) -> dict[str, Any]:
        """The findings as the manifest holds them."""
        return {
            "judged": self.judged,
            "suspectsBy": self.suspects_by,
            "suspects": [asdict(one) for one in self.suspects[:MAX_SUSPECTS]],
            "labelsLookWrong": self.labels_look_wrong,
            "fewExamples": dict(self.few),
            "learningCurve": None if self.curve is None else asdict(self.curve),
            "lacking": self.lacking,
        }


def examine(scores: Scores, places: Sequence[int], few: Mapping[str, int], seed: int) -> Findings:
    """What the scores of one search say.

    Args:
        scores: of its candidates, see `Trials`.
        places: of the validation samples, in the order of the scores; for people only.
        few: see `few_examples`.
        seed: of the draws.
    """
    rows = [row for row in scores if len(row) == len(places)]
    suspects, judged = _suspects(rows, places)
    found = Findings(tuple(sorted(suspects.values(), key=lambda one: one.place)), judged, few, None)
    wrong = suspects.keys() if found.labels_look_wrong else set()
    used = [at for at in range(len(places)) if any(row[at] is not None for row in rows)]
    whole = [row for row in rows if all(row[at] is not None for at in used)]
    kept = [at for at in used if at not in wrong]
    lacking = _lacking(len(whole), len(kept))
    if lacking:
        return replace(found, lacking=lacking)
    table = np.asarray([[row[at] for at in kept] for row in whole], dtype=np.float64)
    return replace(found, curve=_curve(table, seed))


def _lacking(candidates: int, samples: int) -> str:
    """Why there is no curve; empty: there is one."""
    if candidates < MIN_CANDIDATES:
        return f"{candidates} candidates were scored on all validation samples, {MIN_CANDIDATES} are needed"
    if samples < MIN_SAMPLES:
        return f"there are {samples} validation samples to go by, {MIN_SAMPLES} are needed"
    return ""


def few_examples(types: Iterable[str], samples: Iterable[Sample], task: Task) -> dict[str, int]:
    """Types that fewer than 5 samples have, the rarest first.

    Args:
        types: the closed list.
        samples: those that the search learns from.
        task: whose types they are.
    """
    seen: Counter[str] = Counter()
    for sample in samples:
        items = sample.entities if task == "entities" else sample.relations
        seen.update({item.type for item in items or ()})
    rare = sorted((seen[name], name) for name in set(types) if seen[name] < FEW)
    return {name: count for count, name in rare}


def _suspects(
    rows: Sequence[Sequence[float | None]], places: Sequence[int]
) -> tuple[dict[int, Suspect], int]:
    """By their number among the validation samples, and how many of these were judged."""
    found, judged = {}, 0
    for at, place in enumerate(places):
        asked = [score for row in rows if (score := row[at]) is not None]
        if len(asked) < MIN_ASKED:
            continue
        judged += 1
        wrong = sum(score < WRONG_BELOW for score in asked)
        if wrong >= NEARLY_EVERY * len(asked):
            found[at] = Suspect(place, len(asked), wrong)
    return found, judged


def _curve(table: Table, seed: int) -> Curve:
    """The curve of a table with a row for each candidate; all points are judged by the same samples."""
    candidates, samples = table.shape
    half = samples // 2
    sizes = [size for size in (half // 4, half // 2, half) if size >= 2]
    random = np.random.default_rng(seed)
    gained = np.zeros(len(sizes))
    for _ in range(DRAWS):
        order = random.permutation(samples)
        judged = table[:, order[half:]].mean(axis=1)
        chosen = [int(table[:, order[:size]].mean(axis=1).argmax()) for size in sizes]
        gained += judged[chosen]
    points = zip(sizes, gained / DRAWS, strict=True)
    return Curve(
        candidates=candidates,
        points=tuple(Point(size, round(float(f1), DECIMALS)) for size, f1 in points),
        best=round(float(table.mean(axis=1).max()), DECIMALS),
        ceiling=round(float(table.max(axis=0).mean()), DECIMALS),
    )
