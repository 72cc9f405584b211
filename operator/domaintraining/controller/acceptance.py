"""Whether a task's new prompt may be served: its numbers on the held-out documents against the spec. Pure.

The numbers are those of one paired comparison with the prompt that was served when the run started, else
with the baseline; they stand in the manifest of the run's revision: a changed spec is applied without a call.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from domaintraining.api.acceptance import Acceptance, Require, TaskAcceptance
from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics, SemanticMetrics, TaskMetrics, Verdict

CLEAR_FROM: Final = 20
"""Documents below which nothing is more than Unclear."""
MOST_NEEDED: Final = 1_000_000
"""Largest number of documents that is named; more are not told apart."""

NO_EMBEDDINGS: Final = (
    "acceptance.matching is semantic, and the run has no number by embeddings; take the field out, or see "
    "status.dataset.warnings"
)


@dataclass(frozen=True)
class Wanted:
    """What one task's prompt has to reach."""

    require: Require = "NotWorse"
    min_f1: float | None = None
    min_improvement: float | None = None

    @property
    def needs_numbers(self) -> bool:
        """Whether it can't be reached without held-out documents."""
        return self.require == "Improved" or self.min_f1 is not None or self.min_improvement is not None


@dataclass(frozen=True)
class Judgement:
    """What came of it for one task."""

    words: str = ""
    """By how much it fell short, and what would settle it; empty: it passed."""
    reason: Reason = Reason.REJECTED
    """Rejected or NoHeldOutData, where it did not pass."""

    @property
    def passed(self) -> bool:
        """Whether its prompt may be served."""
        return not self.words


def wanted_of(acceptance: Acceptance, task: Task) -> Wanted:
    """What a task has to reach: its own fields, then those for both tasks."""
    own = (acceptance.entities if task == "entities" else acceptance.relations) or TaskAcceptance()
    return Wanted(
        require=own.require or acceptance.require,
        min_f1=acceptance.min_f1 if own.min_f1 is None else own.min_f1,
        min_improvement=acceptance.min_improvement if own.min_improvement is None else own.min_improvement,
    )


def judge(metrics: Metrics, tasks: Iterable[Task], acceptance: Acceptance) -> dict[Task, Judgement]:
    """Each task of a run by itself.

    Args:
        metrics: of the run's own prompts.
        tasks: that the run trained.
        acceptance: of the spec of today.
    """
    judged = judge_by_embeddings if acceptance.matching == "semantic" else judge_task
    return {task: judged(getattr(metrics, task), wanted_of(acceptance, task)) for task in tasks}


def judge_by_embeddings(measured: TaskMetrics | None, wanted: Wanted) -> Judgement:
    """One task by its numbers with names compared by their embeddings; a run may have none of these."""
    if measured is None or measured.f1 is None or wanted == Wanted("Any"):
        return judge_task(measured, wanted)
    if measured.semantic is None:
        return Judgement(NO_EMBEDDINGS)
    return judge_task(by_embeddings(measured, measured.semantic), wanted)


def by_embeddings(measured: TaskMetrics, found: SemanticMetrics) -> TaskMetrics:
    """A task's numbers as they are with names compared by their embeddings."""
    gain = found.improvement
    verdict: Verdict = "Improved" if gain.low > 0 else "Worse" if gain.high < 0 else "Unclear"
    verdict = "Unclear" if measured.documents < CLEAR_FROM else verdict
    needed = documents_that_settle(measured.documents, (gain.high - gain.low) / 2, gain.value)
    return TaskMetrics(
        f1=found.f1,
        confidence_interval=found.confidence_interval,
        improvement=gain,
        verdict=verdict,
        documents_needed=needed if verdict == "Unclear" else None,
        documents=measured.documents,
    )


def judge_task(measured: TaskMetrics | None, wanted: Wanted) -> Judgement:
    """One task; its words name the first thing that is missing."""
    if measured is None or measured.verdict == "NotMeasured" or measured.f1 is None:
        if not wanted.needs_numbers:
            return Judgement()
        words = f"no held-out documents measure what {_asked(wanted)} asks for"
        return Judgement(words, Reason.NO_HELD_OUT_DATA)
    return Judgement(
        _comparison(measured, wanted) or _too_low(measured, wanted) or _too_little(measured, wanted)
    )


def rejection(judged: Mapping[Task, Judgement]) -> tuple[Reason, str]:
    """Reason and words of a run in which no task passed, or of the tasks that did not."""
    failed = {task: one for task, one in judged.items() if not one.passed}
    unmeasured = failed and all(one.reason is Reason.NO_HELD_OUT_DATA for one in failed.values())
    words = "; ".join(f"{task}: {one.words}" for task, one in failed.items())
    return (Reason.NO_HELD_OUT_DATA if unmeasured else Reason.REJECTED), words


def documents_that_settle(documents: int, half_width: float, gap: float) -> int | None:
    """Documents at which an interval would be as narrow as a gap: documents times (half-width / gap)².

    None where it is as narrow already, or the gap is none; at least 20, at most 1,000,000.
    """
    # numbers of three decimals: what arithmetic adds is not theirs
    half_width, gap = round(half_width, 6), round(abs(gap), 6)
    if not documents or not gap or (half_width <= gap and documents >= CLEAR_FROM):
        return None
    needed = documents * (half_width / gap) ** 2
    return max(CLEAR_FROM, math.ceil(min(needed, MOST_NEEDED)))


def _asked(wanted: Wanted) -> str:
    if wanted.require == "Improved":
        return "acceptance.require Improved"
    return "acceptance.minF1" if wanted.min_f1 is not None else "acceptance.minImprovement"


def _comparison(measured: TaskMetrics, wanted: Wanted) -> str:
    """Where the paired comparison is not as `require` asks."""
    if wanted.require == "NotWorse" and measured.verdict == "Worse":
        return f"Worse, {_difference(measured)}"
    if wanted.require == "Improved" and measured.verdict != "Improved":
        needed = measured.documents_needed
        settle = _settled(max(CLEAR_FROM, needed)) if needed and measured.verdict == "Unclear" else ""
        words = f"{measured.verdict} where Improved is asked for"
        return f"{words}: {_lower_end(measured)}{_difference(measured)}{settle}"
    return ""


def _lower_end(measured: TaskMetrics) -> str:
    """What the interval lacks to be all above 0."""
    gain = measured.improvement
    if gain is None:
        return ""
    if gain.low > 0:
        return f"fewer than {CLEAR_FROM} documents are never enough, "
    if gain.low == 0:
        return "the interval is not all above 0, "
    return f"the interval begins {-gain.low:.3f} too low, "


def _too_low(measured: TaskMetrics, wanted: Wanted) -> str:
    """Where F1 is not minF1."""
    least, f1, interval = wanted.min_f1, measured.f1, measured.confidence_interval
    if least is None or f1 is None or f1 >= least:
        return ""
    words = f"F1 {f1:.3f} is {least - f1:.3f} short of minF1 {least:g}, on {measured.documents} documents"
    half = (interval.high - interval.low) / 2 if interval else 0.0
    return words + _settled(documents_that_settle(measured.documents, half, least - f1))


def _too_little(measured: TaskMetrics, wanted: Wanted) -> str:
    """Where the improvement is not minImprovement."""
    least, gain = wanted.min_improvement, measured.improvement
    if least is None or (gain is not None and gain.value >= least):
        return ""
    if gain is None:
        return f"no improvement was measured, and minImprovement is {least:g}"
    words = f"{least - gain.value:.3f} short of minImprovement {least:g}: {_difference(measured)}"
    return words + _settled(
        documents_that_settle(measured.documents, (gain.high - gain.low) / 2, least - gain.value)
    )


def _difference(measured: TaskMetrics) -> str:
    """How far the prompt is from the one it was compared with."""
    gain = measured.improvement
    if gain is None:
        return f"F1 {measured.f1:.3f}"
    other = "the served prompt" if gain.over == "Served" else "the baseline"
    interval = f"95 % interval {gain.low:+.3f} to {gain.high:+.3f} on {measured.documents} documents"
    return f"F1 {measured.f1:.3f} is {gain.value:+.3f} to {other} ({interval})"


def _settled(documents: int | None) -> str:
    return f"; about {documents:,} documents would settle it" if documents is not None else ""
