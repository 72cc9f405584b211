"""What each candidate of a search scored on each validation sample: what the search paid for anyway."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import dspy

DECIMALS: Final = 4

Scores = tuple[tuple[float | None, ...], ...]
"""A row for each candidate: its F1 on each validation sample, 0 to 1; None: it was not asked about it."""


class Trials:
    """Collects the scores while a search goes on.

    Args:
        validation: the samples that candidates are chosen by.
    """

    def __init__(self, validation: Sequence[dspy.Example]) -> None:
        self._place = {example["text"]: at for at, example in enumerate(validation)}
        self._rows: dict[str, list[float | None]] = {}

    def add(self, program: dspy.Module, results: Iterable[tuple[dspy.Example, Any, Any]]) -> None:
        """One evaluation: of all samples or some; a candidate that comes again is the same one."""
        state = json.dumps(program.dump_state(), sort_keys=True)
        key = hashlib.sha256(state.encode(errors="surrogatepass")).hexdigest()
        row = self._rows.setdefault(key, [None] * len(self._place))
        for example, _, score in results:
            at = self._place.get(example["text"])
            if at is not None:
                row[at] = round(min(1.0, max(0.0, float(score))), DECIMALS)

    def scores(self) -> Scores:
        """The scores so far, candidates in the order in which they were evaluated first."""
        return tuple(tuple(row) for row in self._rows.values())
