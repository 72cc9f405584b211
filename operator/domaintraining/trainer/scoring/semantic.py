"""The further number of `metric.matching: semantic`: names are the same where their embeddings are near.

It stands beside the normalized number, which the search maximises and every decision reads. Types are
compared exactly, as everywhere. Each answered item counts for one labelled item at most, and of all ways to
pair them one with the most pairs is taken; how near a pair is beyond the threshold changes no F1.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics, SemanticMetrics
from domaintraining.trainer.calls.embedding import Expect, Vectors, ask_embeddings
from domaintraining.trainer.calls.server import ModelServer
from domaintraining.trainer.scoring.comparison import MEASURES, Documents, Measure, Measured
from domaintraining.trainer.scoring.evaluate import labels
from domaintraining.trainer.scoring.intervals import task_metrics
from domaintraining.trainer.scoring.metrics import Counts, entity_items, relation_items

MOST_NAMES: Final = 20_000
"""Most names that are compared so: with vectors of 4,096 values they take 330 MB, and 440 MB of journal."""
LONGEST: Final = 512
"""Characters of the longest name that a label can have; a longer answer is near none of them."""

Item = tuple[str, ...]
"""(name, type) or (source, type, target), names normalized."""
Alike = Callable[[str, str], bool]
"""Whether two names are the same; asked about normalized ones."""


class Names:
    """The embeddings of names, each asked for once.

    Args:
        server: answers bodies of /api/embed.
        model: makes the embeddings.
        threshold: cosine from which on two names are the same, 0 to 1.
        expect: told all bodies before the first one is asked.
    """

    def __init__(
        self,
        server: ModelServer,
        model: str,
        threshold: float,
        expect: Expect = lambda _: None,
    ) -> None:
        self._server, self._model, self._threshold, self._expect = server, model, threshold, expect
        self._vectors: dict[str, Vectors] = {}

    def learn(self, names: Iterable[str]) -> None:
        """Ask for the embeddings of names that are not known yet, in an order that is always the same.

        Raises:
            ValueError: the journal holds something else under such a call.
        """
        new = sorted({name for name in names if name and len(name) <= LONGEST} - self._vectors.keys())
        rows = chain.from_iterable(ask_embeddings(self._server.chat, self._expect, self._model, new))
        for name, vector in zip(new, rows, strict=True):
            self._vectors[name] = vector

    def alike(self, left: str, right: str) -> bool:
        """Whether two names are the same: equal, or their embeddings' cosine reaches the threshold."""
        if left == right:
            return True
        known, other = self._vectors.get(left), self._vectors.get(right)
        if known is None or other is None or known.shape != other.shape:
            return False
        return float(known @ other) >= self._threshold


def item_alike(alike: Alike, left: Item, right: Item) -> bool:
    """Whether two items are the same: their types to the letter, and each of their names."""
    names = zip((left[0], *left[2:]), (right[0], *right[2:]), strict=True)
    return left[1] == right[1] and all(alike(one, other) for one, other in names)


def most_pairs(near: Sequence[Sequence[int]]) -> int:
    """How many rows can be paired with a column each, none of them twice: a maximum matching.

    By augmenting paths (Kuhn 1955, https://doi.org/10.1002/nav.3800020109; Berge 1957): the assignment
    problem where a pair is worth 1 or nothing.

    Args:
        near: for each row the columns that it may be paired with.
    """
    row_of: dict[int, int] = {}

    def placed(start: int) -> bool:
        """Find a column for a row, where rows that have one may move on to another."""
        came_from: dict[int, tuple[int, int | None]] = {}
        to_visit: list[tuple[int, int | None]] = [(start, None)]
        while to_visit:
            row, through = to_visit.pop()
            for column in near[row]:
                if column in came_from:
                    continue
                came_from[column] = (row, through)
                if column not in row_of:
                    _moved(column, came_from, row_of)
                    return True
                to_visit.append((row_of[column], column))
        return False

    return sum(placed(row) for row in range(len(near)))


def _moved(free: int, came_from: Mapping[int, tuple[int, int | None]], row_of: dict[int, int]) -> None:
    column: int | None = free
    while column is not None:
        row, before = came_from[column]
        row_of[column] = row
        column = before


def semantic_counts(labelled: Iterable[Item], answered: Iterable[Item], alike: Alike) -> Counts:
    """What one document adds: both sets of items, normalized."""
    rows, columns = sorted(labelled), sorted(answered)
    near = [[at for at, column in enumerate(columns) if item_alike(alike, row, column)] for row in rows]
    return Counts(most_pairs(near), len(columns), len(rows))


@dataclass(frozen=True)
class Compared:
    """What the prompts that are compared answered on the held-out documents."""

    documents: Documents
    new: Measured
    baseline: Measured
    served: Measured

    def names(self) -> set[str]:
        """All names in labels and answers, normalized."""
        pairs = (
            pair
            for measured in (self.new, self.baseline, self.served)
            for measure in measured.measurements
            for both in self.items(measured, measure)
            for items in both
            for pair in items
        )
        return {name for item in pairs for name in (item[0], *item[2:])}

    def items(self, measured: Measured, measure: Measure) -> list[tuple[frozenset[Item], frozenset[Item]]]:
        """For each document what it is labelled with and what was answered."""
        task: Task = "entities" if measure == "entities" else "relations"
        answers = measured.measurements[measure].answers
        return [
            (_items(labels(sample, task), task), _items(answer.items, task))
            for sample, answer in zip(self.documents.of[task], answers, strict=True)
        ]

    def counts(self, measured: Measured, measure: Measure, alike: Alike) -> list[Counts] | None:
        """Counts by document; None where it was not measured."""
        if measure not in measured.measurements:
            return None
        return [semantic_counts(*both, alike) for both in self.items(measured, measure)]


def too_many(names: int, most: int) -> str:
    """Why there are no further numbers."""
    return (
        f"no semantic numbers: labels and answers hold {names:,} names, "
        f"and at most {most:,} are compared by their embeddings"
    )


def with_semantic(metrics: Metrics, compared: Compared, alike: Alike, seed: int) -> Metrics:
    """The run's numbers with the further one in each.

    Args:
        metrics: the normalized numbers of the same answers.
        compared: the answers.
        alike: whether two names are the same.
        seed: of the resamples.
    """
    further = {name: _semantic(compared, name, alike, seed) for name in MEASURES}
    return metrics.model_copy(
        update={
            name: own.model_copy(update={"semantic": further[name]})
            for name in MEASURES
            if (own := getattr(metrics, name)) is not None and further[name] is not None
        }
    )


def _semantic(compared: Compared, measure: Measure, alike: Alike, seed: int) -> SemanticMetrics | None:
    new, baseline, served = (
        compared.counts(one, measure, alike) for one in (compared.new, compared.baseline, compared.served)
    )
    if not new or not baseline:
        return None
    values = task_metrics(new, baseline, served, seed, None).model_dump()
    return SemanticMetrics.model_validate({name: values[name] for name in SemanticMetrics.model_fields})


def _items(items: Iterable[Mapping[str, Any]], task: Task) -> frozenset[Item]:
    if task == "entities":
        return entity_items(items, "normalized")
    return relation_items(items, "normalized")
