"""The search for better prompts: DSPy's MIPROv2 (https://arxiv.org/abs/2406.11695), unmodified.

What is ours is what goes in: a metric that tells an unreadable answer from an empty one, models that never
hand an error to DSPy, and a watch that ends the run where DSPy would turn one into a score of 0.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import dspy
from dspy.lm15 import Request
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import AdapterParseError

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.engine import OllamaEngine, proposal_lm, task_lm
from domaintraining.trainer.log import about
from domaintraining.trainer.metrics import Matching, document_f1, entity_items, relation_items
from domaintraining.trainer.plan import FULL_EVERY, SUMMARY_BATCH, SearchPlan, search_plan
from domaintraining.trainer.program import Extraction, PromptAdapter
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.prompt import Form
from domaintraining.trainer.server import GiveUp

CACHED_ANSWERS: Final = 100_000
SUMMARY_CHARACTERS: Final = 16_000
"""Most characters of samples in one call that describes the data: about 4,000 tokens."""
LEAVE_SECONDS: Final = 5.0
"""How long a search is waited for when the other one has failed; its next call ends it."""


@dataclass(frozen=True)
class Search:
    """One task's search: what it starts from and what it learns from."""

    form: Form
    train: Sequence[dspy.Example]
    """Samples that demos are taken from."""
    validation: Sequence[dspy.Example]
    """Samples that candidates are chosen by."""

    def plan(self, run: Run) -> SearchPlan:
        """What MIPROv2 is going to do with it."""
        return search_plan(run.auto, len(self.train), len(self.validation), run.optimizer)


@dataclass(frozen=True)
class Found:
    """The best program of a search."""

    program: Extraction
    validation_f1: float
    """Mean F1 by document on the validation part, 0 to 1."""


def configure_dspy() -> None:
    """Set DSPy up for a trainer: answers cached in memory only, no history of prompts, nothing pickled."""
    dspy.configure_cache(
        enable_disk_cache=False,
        enable_memory_cache=True,
        disk_cache_dir=None,
        memory_max_entries=CACHED_ANSWERS,
        restrict_pickle=True,
    )
    dspy.configure(disable_history=True, provide_traceback=False, max_errors=1, trace=None)


def sample_metric(form: Form, matching: Matching, threshold: float) -> Callable[..., float]:
    """The metric for MIPROv2: F1 of one document, 0 to 1.

    Where DSPy asks whether an answer may become a demo (it passes a trace then), the metric says 1.0 for
    a readable answer that reaches the threshold and 0.0 for any other.
    """
    task = form.task

    def items(values: Any) -> frozenset[tuple[str, ...]]:
        known = entity_items if task == "entities" else relation_items
        return known(values or [], matching)

    def metric(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
        answered = prediction[task]
        score = document_f1(items(example[task]), items(answered))
        if trace is None:
            return score
        return float(answered is not None and score >= threshold)

    return metric


def summary_batch(train: Sequence[dspy.Example]) -> int:
    """How many samples the proposer is shown at once, 1 to 10: long ones would not fit into the context."""
    longest = max(len(repr(example)) for example in train)
    return min(SUMMARY_BATCH, max(1, SUMMARY_CHARACTERS // longest))


def optimize(
    searches: Sequence[Search], run: Run, engine: OllamaEngine, tally: Tally, give_up: GiveUp
) -> dict[Task, Found]:
    """Search for the prompts of all tasks at once, each in a thread of its own.

    Args:
        searches: one for each task.
        run: the run.
        engine: sends the calls.
        tally: where the counts go; it knows the plans of the searches.
        give_up: ends the run.

    Raises:
        GivenUp: whatever `give_up` raises: where MIPROv2 could not go on (ModelOutputInvalid where the
            model's proposals can't be read, else TrainerFailed), or a call.
    """
    pool = ThreadPoolExecutor(max_workers=len(searches), thread_name_prefix="search")
    futures = {
        search.form.task: pool.submit(_search, search, run, engine, tally, give_up) for search in searches
    }
    try:
        wait(futures.values(), return_when=FIRST_EXCEPTION)
        ended = sorted(futures, key=lambda task: not futures[task].done())
        return {task: futures[task].result() for task in ended}
    finally:
        wait(futures.values(), timeout=LEAVE_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)


def _search(search: Search, run: Run, engine: OllamaEngine, tally: Tally, give_up: GiveUp) -> Found:
    watch = Watch(search.form.task, tally, give_up)
    adapter = PromptAdapter(search.form, on_error=watch.error)
    metric = sample_metric(search.form, run.metric.matching, run.optimizer.metric_threshold)
    with about(search.form.task), dspy.context(callbacks=[watch]):
        try:
            best = _compile(search, run, engine, Extraction(search.form, adapter), watch.guarded(metric))
        except AdapterParseError:
            message = f"{search.form.task}: the model's proposal of an instruction can't be read"
            give_up(DomainTrainingError(Reason.MODEL_OUTPUT_INVALID, message))
        except Exception as error:  # noqa: BLE001 - the other search must end as well
            watch.error(error)
    tally.search_done(search.form.task)
    return Found(best, _ratio(best.score))


def _compile(
    search: Search, run: Run, engine: OllamaEngine, student: Extraction, metric: Callable[..., float]
) -> Extraction:
    options = run.optimizer
    demos = options.bootstrapped_demos > 0
    optimizer = dspy.MIPROv2(
        metric=metric,
        prompt_model=proposal_lm(engine),
        task_model=task_lm(engine),
        max_bootstrapped_demos=options.bootstrapped_demos,
        max_labeled_demos=options.bootstrapped_demos + options.labeled_demos,
        auto=run.auto,
        num_threads=run.max_concurrent_requests,
        max_errors=1,
        seed=options.seed,
        init_temperature=1.0,
        metric_threshold=options.metric_threshold,
    )
    program: Extraction = optimizer.compile(
        student,
        trainset=list(search.train),
        valset=list(search.validation),
        minibatch_size=min(options.minibatch_size, len(search.validation)),
        minibatch_full_eval_steps=FULL_EVERY,
        view_data_batch_size=summary_batch(search.train),
        # without demos no sample text may get into the prompt, so the proposer sees none
        data_aware_proposer=demos,
        fewshot_aware_proposer=demos,
        provide_traceback=False,
    )
    return program


def _failure(task: Task, error: BaseException) -> DomainTrainingError:
    """An error of ours or of DSPy's; its words may hold sample text and are left out."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" in {where.tb_frame.f_code.co_name}, line {where.tb_lineno}" if where else ""
    message = f"{task}: {type(error).__name__}{place}"
    return DomainTrainingError(Reason.TRAINER_FAILED, message)


def _ratio(percent: float) -> float:
    return min(1.0, max(0.0, float(percent) / 100))


class Watch(BaseCallback):  # type: ignore[misc]
    """Counts the calls and trials of one search, and ends the run where DSPy would make a score of an error.

    Args:
        task: the task searched for.
        tally: where the counts go; it knows the search's plan.
        give_up: ends the run.
    """

    def __init__(self, task: Task, tally: Tally, give_up: GiveUp) -> None:
        super().__init__()
        self._task = task
        self._tally, self._give_up = tally, give_up
        self._whole: dict[str, bool] = {}
        self._ended = 0
        self._best: float | None = None

    def error(self, error: BaseException) -> NoReturn:
        """End the run with an error of this program."""
        self._give_up(_failure(self._task, error))

    def guarded(self, metric: Callable[..., float]) -> Callable[..., float]:
        """A metric whose errors end the run."""

        def safe_metric(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
            try:
                return metric(example, prediction, trace)
            except Exception as error:  # noqa: BLE001 - DSPy would score 0
                return self.error(error)

        return safe_metric

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:  # noqa: ARG002
        """Count a call; those with a Request are our adapter's, the others propose instructions."""
        if self._whole:
            self._tally.search_call(self._task, "evaluation")
        elif isinstance(inputs.get("prompt"), Request):
            self._tally.search_call(self._task, "bootstrap")
        else:
            self._tally.search_call(self._task, "proposal")

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:  # noqa: ARG002
        """Remember whether an evaluation is of all validation samples."""
        metadata = inputs.get("callback_metadata") or {}
        self._whole[call_id] = metadata.get("metric_key") == "eval_full"

    def on_evaluate_end(
        self, call_id: str, outputs: Any | None, exception: BaseException | None = None
    ) -> None:
        """Count an evaluation, unless it has no true score."""
        whole = self._whole.pop(call_id)
        if isinstance(exception, Exception):
            self.error(exception)
        if outputs is None:  # the run is being ended
            return
        if any(not prediction.keys() for _, prediction, _ in outputs.results):
            self.error(RuntimeError("a sample without an answer"))
        if whole:
            self._best = max(self._best or 0.0, _ratio(outputs.score))
        self._ended += 1
        self._tally.trial(self._task, self._ended, self._best)
