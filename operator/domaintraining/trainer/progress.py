"""The counts of a run, kept by many threads."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from domaintraining.api.budget import Spent
from domaintraining.api.spec import Task
from domaintraining.api.status import Progress
from domaintraining.trainer.counts import (
    Counts,
    MeasureCounts,
    Measured,
    Phase,
    SearchCounts,
    Step,
    progress_of,
)
from domaintraining.trainer.search.plan import SearchPlan

__all__ = ["Measured", "Tally"]


class Tally:
    """The counts of a run, kept by many threads; its percentage never falls.

    Args:
        now: the time.
        earlier: what earlier attempts cost.
    """

    def __init__(
        self, now: Callable[[], datetime] = lambda: datetime.now(UTC), *, earlier: Spent | None = None
    ) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counts = Counts(earlier=earlier or Spent())
        self._percent = 0

    def enter(self, step: Step, message: str = "") -> None:
        """A step begins; a message of its own stands until the next step."""
        with self._lock:
            self._counts = replace(self._counts, step=step, message=message)
            if step == "search":
                self._counts = replace(self._counts, answered_before_search=self._counts.answered)

    def plan(self, task: Task, plan: SearchPlan) -> None:
        """What the search for a task is going to do."""
        with self._lock:
            searches = {**self._counts.searches, task: SearchCounts(plan)}
            self._counts = replace(self._counts, searches=searches)

    def model(self, name: str, place: int, models: int) -> None:
        """The work on one of several models begins, with searches like the first one's.

        Args:
            name: of the model.
            place: its number, from 0.
            models: how many there are.
        """
        with self._lock:
            searches = {task: SearchCounts(one.plan) for task, one in self._counts.searches.items()}
            self._counts = replace(
                self._counts, searches=searches, model=name, place=place, models=models, message=""
            )

    def tell(self, message: str) -> None:
        """What is being done, until the next step."""
        with self._lock:
            self._counts = replace(self._counts, message=message)

    def expect(self, step: Measured, calls: int) -> None:
        """How many calls an evaluation outside the search needs: baseline or held-out."""
        with self._lock:
            measures = {**self._counts.measures, step: MeasureCounts(calls)}
            self._counts = replace(self._counts, measures=measures)

    def measured(self, step: Measured) -> None:
        """One call of such an evaluation was made."""
        with self._lock:
            measure = self._counts.measures[step]
            measures = {**self._counts.measures, step: replace(measure, issued=measure.issued + 1)}
            self._counts = replace(self._counts, measures=measures, first_call=self._first_call())

    def search_call(self, task: Task, phase: Phase) -> None:
        """MIPROv2 made a call, wherever its answer came from."""
        with self._lock:
            issued = self._counts.searches[task].issued
            self._change(task, issued={**issued, phase: issued[phase] + 1})
            self._counts = replace(self._counts, first_call=self._first_call())

    def trial(self, task: Task, number: int, best: float | None) -> None:
        """An evaluation ended: its number from 1 (that of the start), and the best F1 over all samples."""
        with self._lock:
            self._change(task, trials=number, best=best)

    def search_done(self, task: Task) -> None:
        """The search for a task ended, with however many calls."""
        with self._lock:
            self._change(task, ended=True)

    def answered(self, tokens: int = 0, *, short: bool = False) -> None:
        """The model server answered a call of so many tokens, prompt and answer.

        Args:
            tokens: of both.
            short: whether it says nothing of the run's other calls.
        """
        with self._lock:
            counts = self._counts
            self._counts = replace(
                counts,
                answered=counts.answered + 1,
                tokens=counts.tokens + tokens,
                short=counts.short + short,
                short_tokens=counts.short_tokens + (tokens if short else 0),
            )

    @property
    def model_calls(self) -> int:
        """Calls that the model server answered in this attempt."""
        with self._lock:
            return self._counts.answered

    @property
    def short_calls(self) -> int:
        """Calls among them that say nothing of the run's other ones."""
        with self._lock:
            return self._counts.short

    def finish(self, message: str = "") -> None:
        """The run is over with a result: 100 percent."""
        with self._lock:
            self._counts = replace(self._counts, step="saving", message=message, finished=True)

    def progress(self) -> Progress:
        """The counts as they are now."""
        with self._lock:
            progress = progress_of(self._counts, self._now(), self._percent)
            self._percent = progress.percent
            return progress

    def _change(self, task: Task, **changes: object) -> None:
        search = replace(self._counts.searches[task], **changes)  # type: ignore[arg-type]
        self._counts = replace(self._counts, searches={**self._counts.searches, task: search})

    def _first_call(self) -> datetime:
        return self._counts.first_call or self._now()
