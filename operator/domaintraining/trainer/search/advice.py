"""What a person should know of settings that cost much or do nothing: warnings for status. Pure.

MIPROv2's rules are those of plan.py; none of this keeps a run from starting.
"""

from collections.abc import Iterator, Mapping

from domaintraining.api.run import Run
from domaintraining.api.spec import Metric, Optimizer, Task
from domaintraining.trainer.search.plan import MINIBATCH_ABOVE, VALIDATION_CAP, search_plan

DEFAULTS = Optimizer()


def advice(run: Run, validation: Mapping[Task, int]) -> tuple[str, ...]:
    """Warnings about the settings of a run.

    Args:
        run: the run, with the mode that runs (not adaptive).
        validation: labelled validation samples of each task.
    """
    return (
        *_thinking(run),
        *_void_threshold(run),
        *_void_embedding(run),
        *_void_minibatch(run, validation),
        *_left_out(run, validation),
    )


def _thinking(run: Run) -> Iterator[str]:
    if run.options.think != "Disabled":
        yield (
            f"model.options.think is {run.options.think}: the model thinks before each of its answers, which "
            "can take several times as long and counts against maxTokens; Disabled is the fast way"
        )


def _void_threshold(run: Run) -> Iterator[str]:
    options = run.optimizer
    if options.bootstrapped_demos == 0 and options.metric_threshold != DEFAULTS.metric_threshold:
        yield "optimizer.metricThreshold has no effect: with bootstrappedDemos 0 no answer becomes a demo"


def _void_embedding(run: Run) -> Iterator[str]:
    metric = run.metric
    if metric.matching != "semantic" and (metric.threshold != Metric().threshold or metric.embedding_model):
        yield "metric.threshold and metric.embeddingModel have no effect: they are for matching: semantic"


def _void_minibatch(run: Run, validation: Mapping[Task, int]) -> Iterator[str]:
    size = run.optimizer.minibatch_size
    if size == DEFAULTS.minibatch_size:
        return
    for task, samples in validation.items():
        plan = search_plan(run.auto, 1, samples, run.optimizer)
        if plan.minibatch < plan.validation:
            continue
        why = f"there are {plan.validation}"
        if run.auto != "manual" and plan.validation <= MINIBATCH_ABOVE:
            why = f"with auto {run.auto} that takes more than {MINIBATCH_ABOVE} of them, there are {samples}"
        yield (
            f"optimizer.minibatchSize {size} has no effect for {task}: each trial sees all validation "
            f"samples; {why}"
        )


def _left_out(run: Run, validation: Mapping[Task, int]) -> Iterator[str]:
    if run.auto not in VALIDATION_CAP:
        return
    most = VALIDATION_CAP[run.auto]
    for task, samples in validation.items():
        if samples > most:
            yield (
                f"auto {run.auto} chooses by {most} of the {samples} validation samples for {task}; a larger "
                "mode uses more of them, or give them to the other parts by dataset.split"
            )
