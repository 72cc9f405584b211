"""How far a run is: counts in, `api.status.Progress` out. Pure; no percentage is known here but the spans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from domaintraining.api.budget import Spent
from domaintraining.api.spec import Task
from domaintraining.api.status import Progress, TaskProgress
from domaintraining.trainer.search.plan import SearchPlan

Step = Literal["initializing", "loading_data", "search", "prompt_extraction", "validation", "saving"]
Measured = Literal["loading_data", "prompt_extraction", "validation"]
Phase = Literal["bootstrap", "proposal", "evaluation"]

SPANS: Final[dict[Step, tuple[int, int]]] = {
    "initializing": (0, 5),
    "loading_data": (5, 10),
    "search": (10, 80),
    "prompt_extraction": (80, 85),
    "validation": (85, 95),
    "saving": (95, 100),
}
"""Part of the percentage of each step; each searched task has an equal part of the search's."""
ORDER: Final[tuple[Step, ...]] = tuple(SPANS)
SEARCH_STEPS: Final[dict[Task, str]] = {
    "entities": "entity_optimization",
    "relations": "relation_optimization",
}
PHASES: Final[tuple[Phase, ...]] = ("bootstrap", "proposal", "evaluation")
CALLS_FOR_AN_ESTIMATE: Final = 10


@dataclass(frozen=True, slots=True)
class SearchCounts:
    """One task's search so far."""

    plan: SearchPlan
    issued: Mapping[Phase, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    """Calls that MIPROv2 made, those that DSPy's cache answered among them."""
    trials: int = 0
    """Evaluations that ended, that of the start among them."""
    best: float | None = None
    """Best mean F1 over all validation samples."""
    ended: bool = False

    @property
    def remaining(self) -> int:
        """Calls still expected. A phase is over when the next has begun, whatever was planned for it."""
        if self.ended:
            return 0
        return sum(max(0, self._planned(phase) - self.issued[phase]) for phase in PHASES[self._current :])

    @property
    def fraction(self) -> float:
        """Part done, 0 to 1."""
        done = sum(self.issued.values())
        return 1.0 if self.ended else done / max(1, done + self.remaining)

    @property
    def words(self) -> str:
        """What is being done."""
        if self.ended:
            return "done"
        phase = PHASES[self._current]
        if phase == "evaluation":
            return f"trial {min(self.trials + 1, self.plan.evaluations)} of {self.plan.evaluations}"
        doing = "collecting demos" if phase == "bootstrap" else "proposing instructions"
        return f"{doing}, {self.issued[phase]} of about {self._planned(phase)} calls"

    @property
    def _current(self) -> int:
        return max((at for at, phase in enumerate(PHASES) if self.issued[phase]), default=0)

    def _planned(self, phase: Phase) -> int:
        plan = self.plan
        calls = {
            "bootstrap": plan.bootstrap_calls,
            "proposal": plan.proposal_calls,
            "evaluation": plan.evaluation_calls,
        }
        return max(calls[phase], self.issued[phase])


@dataclass(frozen=True, slots=True)
class MeasureCounts:
    """Calls of an evaluation outside the search: baseline or held-out."""

    planned: int = 0
    issued: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """A whole run so far."""

    step: Step = "initializing"
    message: str = ""
    searches: Mapping[Task, SearchCounts] = field(default_factory=dict)
    measures: Mapping[Measured, MeasureCounts] = field(default_factory=dict)
    answered: int = 0
    """Calls that the model server answered."""
    answered_before_search: int = 0
    tokens: int = 0
    """Tokens of prompts and answers of these calls."""
    short: int = 0
    """Calls among them that say nothing of the others: those that measured the server's slots."""
    short_tokens: int = 0
    earlier: Spent = field(default_factory=Spent)
    """What earlier attempts cost."""
    models: int = 1
    """Models that are searched for, one after the other."""
    place: int = 0
    """Number of the present one, from 0."""
    model: str = ""
    """Its name, where there are several."""
    first_call: datetime | None = None
    finished: bool = False

    @property
    def ahead(self) -> int:
        """Calls of the search that are answered and that MIPROv2 has not come to yet: at least so many."""
        if self.step != "search":
            return 0
        issued = sum(sum(search.issued.values()) for search in self.searches.values())
        return max(0, self.answered - self.answered_before_search - issued)

    @property
    def remaining(self) -> int:
        """Calls still expected in this step and those after it."""
        at = ORDER.index(self.step)
        searches = max(0, sum(search.remaining for search in self.searches.values()) - self.ahead)
        if at <= ORDER.index("search"):
            each = sum(search.plan.calls for search in self.searches.values())
            searches += (self.models - self.place - 1) * each
        return (searches if at <= ORDER.index("search") else 0) + sum(
            max(0, measure.planned - measure.issued)
            for step, measure in self.measures.items()
            if at <= ORDER.index(step)
        )

    @property
    def fraction(self) -> float:
        """Part of the present step that is done, 0 to 1."""
        if self.step == "search":
            parts = [search.fraction for search in self.searches.values()]
            done = sum(parts) / max(1, len(parts))
            whole = sum(sum(one.issued.values()) + one.remaining for one in self.searches.values())
            return (self.place + min(1.0, done + self.ahead / max(1, whole))) / self.models
        if self.step in {"loading_data", "prompt_extraction", "validation"}:
            measure = self.measures.get(self.step, MeasureCounts())
            return float(min(1.0, measure.issued / max(1, measure.planned)))
        return 0.0


def progress_of(counts: Counts, now: datetime, at_least: int = 0) -> Progress:
    """The counts as the report and the status show them.

    Args:
        counts: the run so far.
        now: time of the counts.
        at_least: percentage that was shown before, which is never gone below.
    """
    low, high = SPANS[counts.step]
    percent = 100 if counts.finished else int(low + (high - low) * counts.fraction)
    return Progress(
        percent=max(at_least, percent),
        step=_step(counts),
        message=counts.message or _message(counts),
        entities=_task_progress(counts.searches.get("entities")),
        relations=_task_progress(counts.searches.get("relations")),
        model_calls=counts.earlier.calls + counts.answered,
        planned_model_calls=counts.earlier.calls + counts.answered + counts.remaining,
        tokens=counts.tokens,
        planned_tokens=_planned_tokens(counts),
        estimated_seconds=_estimated_seconds(counts, now),
        estimated_completion_time=_estimate(counts, now),
        last_updated_time=timestamp(now),
    )


def timestamp(moment: datetime) -> str:
    """A time as Kubernetes writes it: RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _step(counts: Counts) -> str:
    return counts.step if counts.step != "search" else ",".join(SEARCH_STEPS[task] for task in _tasks(counts))


def _tasks(counts: Counts) -> Sequence[Task]:
    return [task for task in SEARCH_STEPS if task in counts.searches]


def _message(counts: Counts) -> str:
    if counts.step != "search":
        return ""
    which = f"model {counts.place + 1} of {counts.models} ({counts.model}): " if counts.models > 1 else ""
    return which + "; ".join(f"{task}: {counts.searches[task].words}" for task in _tasks(counts))


def _task_progress(search: SearchCounts | None) -> TaskProgress | None:
    if search is None:
        return None
    best = None if search.best is None else round(search.best, 3)
    return TaskProgress(trial=search.trials, total_trials=search.plan.evaluations, best_validation_f1=best)


def _time_left(counts: Counts, now: datetime) -> timedelta | None:
    """Time for the remaining calls at the speed of all calls so far; None: there were too few."""
    alike = counts.answered - counts.short
    if counts.finished or counts.first_call is None or alike < CALLS_FOR_AN_ESTIMATE:
        return None
    per_call = (now - counts.first_call) / alike
    return min(per_call * counts.remaining, timedelta(days=365))


def _estimate(counts: Counts, now: datetime) -> str | None:
    left = _time_left(counts, now)
    return None if left is None else timestamp(now + left)


def _estimated_seconds(counts: Counts, now: datetime) -> float | None:
    """Running time of the whole run: what has passed, and what is left."""
    left = _time_left(counts, now)
    if left is None or counts.first_call is None:
        return None
    return round(counts.earlier.seconds + (now - counts.first_call + left).total_seconds(), 1)


def _planned_tokens(counts: Counts) -> int | None:
    """Tokens of the whole run, were the remaining calls as long as those so far."""
    alike = counts.answered - counts.short
    if alike < CALLS_FOR_AN_ESTIMATE:
        return None
    return counts.tokens + round((counts.tokens - counts.short_tokens) / alike * counts.remaining)
