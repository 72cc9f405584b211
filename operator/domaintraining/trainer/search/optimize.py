"""The search for better prompts: DSPy's MIPROv2 (https://arxiv.org/abs/2406.11695), unmodified.

What is ours is what goes in: a metric that tells an unreadable answer from an empty one, models that never
hand an error to DSPy, and a watch that ends the run where DSPy would turn one into a score of 0.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Final

import dspy
import optuna
from dspy.utils.exceptions import AdapterParseError

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import BudgetSpent
from domaintraining.trainer.calls.server import GiveUp
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.doctor.trials import Trials
from domaintraining.trainer.log import about
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.prompts.prompt import Form
from domaintraining.trainer.scoring.metrics import Matching, document_f1, entity_items, relation_items
from domaintraining.trainer.search.engine import OllamaEngine, proposal_lm, task_lm
from domaintraining.trainer.search.finished import Finished, Found
from domaintraining.trainer.search.lookahead.ahead import Ground, LookAhead
from domaintraining.trainer.search.lookahead.draws import Sizes, draw
from domaintraining.trainer.search.lookahead.proposals import Proposals
from domaintraining.trainer.search.parsing import parse_in_turn
from domaintraining.trainer.search.plan import (
    FULL_EVERY,
    SUMMARY_BATCH,
    ZERO_SHOT_DEMOS,
    SearchPlan,
    search_plan,
)
from domaintraining.trainer.search.program import Extraction, PromptAdapter
from domaintraining.trainer.search.rollouts import Rollouts
from domaintraining.trainer.search.watch import Watch, ratio

SUMMARY_CHARACTERS: Final = 16_000
"""Most characters of samples in one call that describes the data: about 4,000 tokens."""
ALL_TRIED: Final = "No valid program found in param_score_dict"
"""What MIPROv2 says where every combination was evaluated by all samples: there is nothing left to try."""
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


def configure_dspy() -> Rollouts:
    """Set DSPy up for a trainer: no cache of its own, no history of prompts, nothing pickled."""
    rollouts = Rollouts()
    dspy.cache = rollouts
    parse_in_turn()
    dspy.configure(disable_history=True, provide_traceback=False, max_errors=1, trace=None)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return rollouts


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


@dataclass(frozen=True)
class Setting:
    """How searches are made."""

    run: Run
    """The run, with the mode that runs."""
    engine: OllamaEngine
    """Asks the model that is trained for."""
    proposer: OllamaEngine
    """Asks the model that proposes instructions."""
    threads: int
    """Samples that MIPROv2 evaluates at once."""
    hurried: bool = False
    """Whether a budget may end the searches: what they start from is scored before anything else."""


@dataclass(frozen=True)
class Means:
    """What the trainer's searches work with."""

    setting: Setting
    calls: Calls
    """Calls of the engine; here the look-ahead says what will be asked."""
    tally: Tally
    """Where the counts go; it knows the plans of the searches."""
    give_up: GiveUp
    """Ends the run."""
    finished: Finished | None = None
    """Searches that earlier attempts finished; None: nothing is kept of them."""


def optimize(searches: Sequence[Search], means: Means) -> dict[Task, Found]:
    """Search for the prompts of all tasks at once, each in a thread of its own.

    Args:
        searches: one for each task.
        means: what they work with.

    Raises:
        GivenUp: whatever `give_up` raises: where MIPROv2 could not go on (ModelOutputInvalid where the
            model's proposals can't be read, else TrainerFailed), or a call.
    """
    found = {search.form.task: _known(search, means) for search in searches}
    made = _make([search for search in searches if found[search.form.task] is None], means)
    return {task: known or made[task] for task, known in found.items()}


def _make(searches: Sequence[Search], means: Means) -> dict[Task, Found]:
    """The searches that are not finished yet."""
    pool = ThreadPoolExecutor(max_workers=max(1, len(searches)), thread_name_prefix="search")
    aheads = [_look_ahead(search, means) for search in searches]
    for ahead in aheads:
        ahead.expect_start()
    futures = {
        search.form.task: pool.submit(_search, search, ahead, means)
        for search, ahead in zip(searches, aheads, strict=True)
    }
    try:
        wait(futures.values(), return_when=FIRST_EXCEPTION)
        ended = sorted(futures, key=lambda task: not futures[task].done())
        return {task: futures[task].result() for task in ended}
    finally:
        wait(futures.values(), timeout=LEAVE_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)


def _known(search: Search, means: Means) -> Found | None:
    """What the search ended with in an earlier attempt, told as if it had been made."""
    task = search.form.task
    found = means.finished.find(search.form, search.train) if means.finished is not None else None
    if found is not None:
        means.tally.trial(task, found.evaluations, found.validation_f1)
        means.tally.search_done(task)
    return found


def _search(search: Search, ahead: LookAhead, means: Means) -> Found:
    task, metric = search.form.task, _metric(search, means)
    trials = Trials(search.validation)
    watch = Watch(task, means.tally, means.give_up, ahead.evaluation, trials.add)
    student = Extraction(search.form, PromptAdapter(search.form, on_error=watch.error))
    with about(task), dspy.context(callbacks=[watch]):
        ahead.start(summary_batch(search.train))
        try:
            best = compile_search(search, student, watch.guarded(metric), means.setting)
            found = Found(best, ratio(best.score), evaluations=watch.evaluations)
        except BudgetSpent:
            found = _best_so_far(student, watch, ahead, means)
        except AdapterParseError:
            message = f"{task}: the model's proposal of an instruction can't be read"
            means.give_up(DomainTrainingError(Reason.MODEL_OUTPUT_INVALID, message))
        except ValueError as error:
            if str(error) != ALL_TRIED or watch.best is None:
                watch.error(error)
            found = Found(watch.best, watch.best_f1, evaluations=watch.evaluations)
        except Exception as error:  # noqa: BLE001 - the other search must end as well
            watch.error(error)
        finally:
            ahead.stop()
    found = replace(found, scores=trials.scores())
    if means.finished is not None:
        _keep(means.finished, found, search, means.give_up)
    means.tally.search_done(task)
    return found


def _keep(finished: Finished, found: Found, search: Search, give_up: GiveUp) -> None:
    """Keep what the search ended with; a journal that fails ends the other search as well."""
    try:
        finished.keep(found, search.form, search.train)
    except DomainTrainingError as error:
        give_up(error)


def _best_so_far(student: Extraction, watch: Watch, ahead: LookAhead, means: Means) -> Found:
    """The best program that was scored on all validation samples: at least the one that was started from."""
    if watch.best is not None:
        return Found(watch.best, watch.best_f1, cut=True)
    start = ahead.start_f1()
    if start is None:
        message = "the budget was spent before one prompt was scored on all validation samples"
        means.give_up(DomainTrainingError(Reason.BUDGET_EXHAUSTED, message))
    return Found(student, start, cut=True)


def _metric(search: Search, means: Means) -> Callable[..., float]:
    run = means.setting.run
    return sample_metric(search.form, run.metric.letters, run.optimizer.metric_threshold)


def _look_ahead(search: Search, means: Means) -> LookAhead:
    setting = means.setting
    options = setting.run.optimizer
    sizes = Sizes(
        train=len(search.train),
        valset=len(search.validation),
        seed=options.seed,
        max_bootstrapped=options.bootstrapped_demos,
        max_labeled=options.bootstrapped_demos + options.labeled_demos,
        sampled=setting.run.auto != "manual",
        bootstrapped_unseen=ZERO_SHOT_DEMOS,
    )
    program = Extraction(search.form)
    draws = draw(sizes, search.plan(setting.run))
    ground = Ground(
        program, search.train, search.validation, draws, sizes.max_labeled, _metric(search, means)
    )
    proposals = Proposals(program, proposal_lm(setting.proposer), aware=not sizes.zero_shot)
    return LookAhead(ground, setting.engine, means.calls, proposals, hurried=setting.hurried)


def compile_search(
    search: Search, student: Extraction, metric: Callable[..., float], setting: Setting
) -> Extraction:
    """MIPROv2 itself, unmodified: the best program for one task.

    Args:
        search: what it starts from.
        student: the program to improve.
        metric: see `sample_metric`.
        setting: how searches are made.
    """
    run, options = setting.run, setting.run.optimizer
    manual, plan = run.auto == "manual", search.plan(setting.run)
    demos = options.bootstrapped_demos > 0
    optimizer = dspy.MIPROv2(
        metric=metric,
        prompt_model=proposal_lm(setting.proposer),
        task_model=task_lm(setting.engine),
        max_bootstrapped_demos=options.bootstrapped_demos,
        max_labeled_demos=options.bootstrapped_demos + options.labeled_demos,
        auto=None if manual else run.auto,
        num_candidates=options.num_candidates,
        num_threads=setting.threads,
        max_errors=1,
        seed=options.seed,
        init_temperature=1.0,
        metric_threshold=options.metric_threshold,
    )
    program: Extraction = optimizer.compile(
        student,
        trainset=list(search.train),
        valset=list(search.validation),
        num_trials=options.num_trials,
        minibatch=plan.batched,
        minibatch_size=min(options.minibatch_size, plan.validation),
        minibatch_full_eval_steps=FULL_EVERY,
        view_data_batch_size=summary_batch(search.train),
        # without demos no sample text may get into the prompt, so the proposer sees none
        data_aware_proposer=demos,
        fewshot_aware_proposer=demos,
        provide_traceback=False,
    )
    return program
