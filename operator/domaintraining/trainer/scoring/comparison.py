"""Prompts compared on the held-out documents: the baseline, the run's own, and those served now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics, TaskMetrics
from domaintraining.trainer.scoring.evaluate import Evaluator, Measurement
from domaintraining.trainer.scoring.intervals import f1_interval, task_metrics
from domaintraining.trainer.scoring.metrics import Counts, micro

Measure = Literal["entities", "relations", "end_to_end"]
MEASURES: tuple[Measure, ...] = ("entities", "relations", "end_to_end")


@dataclass(frozen=True)
class Documents:
    """The held-out documents of each task; for all compared prompts the same."""

    of: Mapping[Task, Sequence[Sample]]

    def calls(self, tasks: Sequence[Task]) -> int:
        """Calls that prompts of these tasks need."""
        single = sum(len(self.of[task]) for task in tasks)
        return single + (len(self.of["relations"]) if len(tasks) == 2 else 0)

    def texts(self, tasks: Sequence[Task]) -> list[str]:
        """Their texts; one that counts for two tasks stands there twice."""
        return [sample.text for task in tasks for sample in self.of[task]]


@dataclass(frozen=True)
class Measured:
    """What the prompts of one revision answered."""

    measurements: Mapping[Measure, Measurement] = field(default_factory=dict)

    def counts(self, measure: Measure) -> list[Counts] | None:
        """Counts by document; None where it was not measured."""
        measurement = self.measurements.get(measure)
        return measurement.counts if measurement else None

    @property
    def answers(self) -> int:
        """Answers given."""
        return sum(len(measurement.answers) for measurement in self.measurements.values())

    @property
    def unreadable(self) -> int:
        """Answers that could not be read."""
        return self.answers - sum(measurement.readable for measurement in self.measurements.values())


def measure_prompts(evaluator: Evaluator, requests: Mapping[Task, str], documents: Documents) -> Measured:
    """Measure the prompts of one revision.

    Args:
        evaluator: sends the calls.
        requests: for each task a `<task>.request.json`.
        documents: what they are asked about.

    Returns:
        Entities; relations, given the labelled entities; with both tasks also end to end: relations, given
        the entities that the entity prompt answered.
    """
    measured: dict[Measure, Measurement] = {
        task: evaluator.measure(request, task, documents.of[task]) for task, request in requests.items()
    }
    if set(requests) == {"entities", "relations"}:
        texts = [sample.text for sample in documents.of["entities"]]
        predicted = dict(zip(texts, measured["entities"].answers, strict=True))
        samples = documents.of["relations"]
        given = [predicted[sample.text].items for sample in samples]
        measured["end_to_end"] = evaluator.measure(requests["relations"], "relations", samples, given)
    return Measured(measured)


def baseline_metrics(baseline: Measured) -> Metrics:
    """The baseline's numbers alone, as status shows them before the first trial."""
    return Metrics(**{name: _only_baseline(baseline.counts(name)) for name in MEASURES})


def own_metrics(measured: Measured, seed: int) -> Metrics:
    """A revision's numbers without a comparison: those of the baseline itself."""
    return Metrics(**{name: _alone(measured.counts(name), seed) for name in MEASURES})


def compared_metrics(
    new: Measured, baseline: Measured, served: Measured, seed: int, validation_f1: Mapping[Task, float]
) -> Metrics:
    """The run's numbers beside those of the baseline and of what is served.

    Args:
        new: what the run's prompts answered.
        baseline: what the baseline answered on the same documents.
        served: the same of the served prompts; tasks may be missing.
        seed: of the resamples.
        validation_f1: for each task the mean F1 it was chosen by.
    """
    validation: dict[str, float] = {str(task): score for task, score in validation_f1.items()}

    def metrics(name: Measure) -> TaskMetrics | None:
        mine, base = new.counts(name), baseline.counts(name)
        if mine is None or base is None:
            return None
        return task_metrics(mine, base, served.counts(name), seed, validation.get(name))

    return Metrics(**{name: metrics(name) for name in MEASURES})


def _only_baseline(counts: Sequence[Counts] | None) -> TaskMetrics | None:
    if counts is None:
        return None
    return TaskMetrics(baseline=micro(counts) if counts else None, documents=len(counts))


def _alone(counts: Sequence[Counts] | None, seed: int) -> TaskMetrics | None:
    if not counts:
        return _only_baseline(counts)
    scores = micro(counts)
    return TaskMetrics(
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        confidence_interval=f1_interval(counts, seed),
        baseline=scores,
        documents=len(counts),
    )
