"""Progress comes from counts, keeps to the contract's spans and never falls; the plan is MIPROv2's own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dspy
import pytest
from dspy.teleprompt.mipro_optimizer_v2 import AUTO_RUN_SETTINGS, MIN_MINIBATCH_SIZE, MIPROv2
from dspy.utils.callback import BaseCallback

from domaintraining.api.budget import Spent
from domaintraining.api.spec import Auto, ModelOptions, Optimizer
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.counts import Counts, Phase, progress_of
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.search import plan as numbers
from domaintraining.trainer.search.engine import OllamaEngine, proposal_lm, task_lm
from domaintraining.trainer.search.plan import SearchPlan, search_plan

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAN = SearchPlan(
    trials=10,
    demo_sets=6,
    instructions=3,
    validation=20,
    batched=False,
    minibatch=20,
    full_evaluations=1,
    bootstrap_calls=20,
    proposal_calls=14,
)
AUTOS: tuple[Auto, ...] = ("light", "medium", "heavy")


def tally() -> Tally:
    return Tally(lambda: NOON)


def search(counted: Tally, phase: Phase, calls: int, task: Any = "entities") -> None:
    for _ in range(calls):
        counted.search_call(task, phase)


@pytest.mark.parametrize("auto", AUTOS)
def test_the_constants_are_those_of_dspy(auto: Auto) -> None:
    assert AUTO_RUN_SETTINGS[auto] == {"n": numbers.DEMO_SETS[auto], "val_size": numbers.VALIDATION_CAP[auto]}
    assert numbers.MINIBATCH_ABOVE == MIN_MINIBATCH_SIZE


@pytest.mark.parametrize("auto", AUTOS)
@pytest.mark.parametrize("valset", [1, 50, 51, 101, 2000])
@pytest.mark.parametrize("zero_shot", [True, False])
def test_the_plan_is_what_mipro_settles_on(auto: Auto, valset: int, *, zero_shot: bool) -> None:
    optimizer = Optimizer(bootstrapped_demos=0, labeled_demos=0) if zero_shot else Optimizer()
    mipro = MIPROv2(metric=len, prompt_model=dspy.LM("m"), task_model=dspy.LM("m"), auto=auto)
    mipro._set_random_seeds(9)
    trials, sampled, minibatch, instructions, demo_sets = mipro._set_hyperparams_from_run_mode(
        dspy.Predict("a -> b"),
        None,
        minibatch=True,
        zeroshot_opt=zero_shot,
        valset=list(range(valset)),
        num_instruct_candidates=None,
        num_fewshot_candidates=None,
    )
    planned = search_plan(auto, 40, valset, optimizer)
    assert planned.trials == trials
    assert planned.validation == len(sampled)
    assert (planned.minibatch < planned.validation) == minibatch
    assert (planned.instructions, planned.demo_sets) == (instructions, demo_sets)


class Counting(BaseCallback):  # type: ignore[misc]
    """Counts what MIPROv2 does, as the trainer's own callback does."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.evaluating = False

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        del call_id, inputs
        proposing = instance.kwargs["temperature"] == 1.0
        self.calls["proposal" if proposing else "evaluation" if self.evaluating else "bootstrap"] += 1

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        del call_id, instance
        self.evaluating = True
        self.calls[inputs["callback_metadata"]["metric_key"]] += 1

    def on_evaluate_end(self, *_: Any, **__: Any) -> None:
        self.evaluating = False


def mipro_calls(trainset: int, valset: int, optimizer: Optimizer) -> Counter[str]:
    content = "\n\n".join(f"[[ ## {name} ## ]]\nx {name}" for name in ("label", *PROPOSED, "completed"))
    engine = OllamaEngine(ScriptedServer(lambda _: content), "m", ModelOptions(), 9)
    counting = Counting()
    samples = [
        dspy.Example(text=f"t{n}", label="x label").with_inputs("text") for n in range(trainset + valset)
    ]
    demos = optimizer.bootstrapped_demos
    mipro = MIPROv2(
        metric=lambda *_: 1.0,
        prompt_model=proposal_lm(engine),
        task_model=task_lm(engine),
        auto="light",
        num_threads=1,
        max_bootstrapped_demos=demos,
        max_labeled_demos=demos + optimizer.labeled_demos,
    )
    with dspy.context(callbacks=[counting], disable_history=True):
        mipro.compile(
            dspy.Predict("text -> label"),
            trainset=samples[:trainset],
            valset=samples[trainset:],
            minibatch_size=min(optimizer.minibatch_size, valset),
            data_aware_proposer=demos > 0,
            fewshot_aware_proposer=demos > 0,
        )
    return counting.calls


PROPOSED = ("observations", "summary", "program_description", "module_description", "proposed_instruction")


@pytest.mark.parametrize(
    ("trainset", "valset", "optimizer"),
    [
        (25, 6, Optimizer()),
        (120, 52, Optimizer(minibatch_size=3)),
        (10, 4, Optimizer(bootstrapped_demos=0, labeled_demos=0)),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_real_search_makes_the_planned_calls(trainset: int, valset: int, optimizer: Optimizer) -> None:
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    calls = mipro_calls(trainset, valset, optimizer)
    planned = search_plan("light", trainset, valset, optimizer)
    assert calls["proposal"] == planned.proposal_calls
    assert calls["evaluation"] == planned.evaluation_calls
    minibatched = planned.minibatch < planned.validation
    assert calls["eval_minibatch"] == (planned.trials if minibatched else 0)
    assert calls["eval_full"] == planned.full_evaluations + (0 if minibatched else planned.trials)
    assert calls["bootstrap"] <= planned.bootstrap_calls


def test_steps_begin_at_the_contracts_percentages() -> None:
    counted = tally()
    shown = [(counted.progress().percent, counted.progress().step)]
    for step in ("loading_data", "search", "prompt_extraction", "validation", "saving"):
        if step == "search":
            counted.plan("entities", PLAN)
            counted.plan("relations", PLAN)
        counted.enter(step)
        progress = counted.progress()
        shown.append((progress.percent, progress.step))
    counted.finish()
    assert shown == [
        (0, "initializing"),
        (5, "loading_data"),
        (10, "entity_optimization,relation_optimization"),
        (80, "prompt_extraction"),
        (85, "validation"),
        (95, "saving"),
    ]
    assert counted.progress().percent == 100


def test_two_searches_share_their_span_equally() -> None:
    counted = tally()
    counted.plan("entities", PLAN)
    counted.plan("relations", PLAN)
    counted.enter("search")
    counted.search_done("entities")
    assert counted.progress().percent == 45
    assert counted.progress().message == "entities: done; relations: collecting demos, 0 of about 20 calls"
    counted.search_done("relations")
    assert counted.progress().percent == 80


def test_a_single_search_has_the_whole_span() -> None:
    counted = tally()
    counted.plan("relations", PLAN)
    counted.enter("search")
    search(counted, "bootstrap", 20, "relations")
    search(counted, "proposal", 14, "relations")
    search(counted, "evaluation", 93, "relations")
    progress = counted.progress()
    assert PLAN.calls == 254
    assert (progress.percent, progress.step) == (10 + 70 * 127 // 254, "relation_optimization")
    assert progress.message == "relations: trial 1 of 11"


def test_a_phase_that_needed_fewer_calls_corrects_the_plan() -> None:
    counted = tally()
    counted.plan("entities", PLAN)
    counted.enter("search")
    search(counted, "bootstrap", 5)
    assert counted.progress().planned_model_calls == PLAN.calls - 5
    search(counted, "proposal", 1)
    assert counted.progress().planned_model_calls == 13 + PLAN.evaluation_calls


def test_percent_never_falls_when_a_phase_needs_more_calls_than_planned() -> None:
    counted = tally()
    counted.plan("entities", replace(PLAN, bootstrap_calls=10, trials=1, validation=5, minibatch=5))
    counted.enter("search")
    shown = []
    for phase, calls in (("bootstrap", 80), ("proposal", 14), ("evaluation", 30)):
        for _ in range(calls):
            counted.search_call("entities", phase)  # type: ignore[arg-type]
            shown.append(counted.progress().percent)
    counted.enter("prompt_extraction")
    shown.append(counted.progress().percent)
    assert shown == sorted(shown)
    assert max(shown) == 80


def test_an_earlier_step_never_shows_less() -> None:
    counted = tally()
    counted.enter("validation")
    counted.progress()
    counted.enter("initializing")
    assert counted.progress().percent == 85


def test_measured_calls_move_baseline_and_validation() -> None:
    counted = tally()
    for step, calls in (("loading_data", 10), ("validation", 40)):
        counted.expect(step, calls)  # type: ignore[arg-type]
    assert counted.progress().planned_model_calls == 50
    counted.enter("loading_data")
    for _ in range(5):
        counted.measured("loading_data")
    assert counted.progress().percent == 7
    counted.enter("validation")
    for _ in range(20):
        counted.measured("validation")
    assert counted.progress().percent == 90
    assert counted.progress().planned_model_calls == 20


def test_calls_answered_by_the_cache_are_issued_but_no_model_calls() -> None:
    counted = tally()
    counted.plan("entities", PLAN)
    counted.enter("search")
    search(counted, "evaluation", 30)
    for _ in range(12):
        counted.answered()
    progress = counted.progress()
    assert progress.model_calls == 12
    assert progress.planned_model_calls == 12 + PLAN.evaluation_calls - 30


def test_trials_are_shown_with_the_best_so_far() -> None:
    counted = tally()
    counted.plan("entities", PLAN)
    counted.trial("entities", 1, 0.41239)
    best = counted.progress().entities
    assert best is not None
    assert (best.trial, best.total_trials, best.best_validation_f1) == (1, 11, 0.412)
    assert counted.progress().relations is None


def test_the_estimate_waits_for_ten_answers_and_uses_the_speed_so_far() -> None:
    moments = [NOON]
    counted = Tally(lambda: moments[0])
    counted.expect("loading_data", 100)
    counted.enter("loading_data")
    for _ in range(10):
        counted.measured("loading_data")
    moments[0] = NOON + timedelta(seconds=30)
    assert counted.progress().estimated_completion_time is None
    for _ in range(10):
        counted.answered()
    progress = counted.progress()
    assert progress.estimated_completion_time == "2026-01-01T12:05:00Z"
    assert progress.last_updated_time == "2026-01-01T12:00:30Z"
    counted.finish()
    assert counted.progress().estimated_completion_time is None


def test_progress_of_nothing_is_a_beginning() -> None:
    progress = progress_of(Counts(), NOON)
    assert (progress.percent, progress.step, progress.message) == (0, "initializing", "")


def test_times_are_as_kubernetes_writes_them() -> None:
    shown = progress_of(Counts(), NOON.replace(microsecond=5)).last_updated_time
    assert shown is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown)


def test_calls_that_are_ahead_of_the_search_count_as_done() -> None:
    """Answers that MIPROv2 has not come to yet move the percentage and leave less to do."""
    counted = tally()
    counted.answered()
    counted.plan("entities", PLAN)
    counted.enter("search")
    search(counted, "bootstrap", 10)
    for _ in range(60):
        counted.answered()
    progress = counted.progress()
    assert progress.percent == 10 + 70 * 60 // PLAN.calls
    assert progress.planned_model_calls == 61 + PLAN.calls - 60


def test_tokens_and_time_are_estimated_from_the_calls_so_far() -> None:
    """After ten calls the rest is taken to be like them; what earlier attempts took is added."""
    times = iter(range(100))
    counted = Tally(lambda: NOON + timedelta(seconds=next(times)), earlier=Spent(seconds=100, calls=7))
    counted.expect("loading_data", 30)
    counted.enter("loading_data")
    assert counted.progress().planned_tokens is None
    for _ in range(10):
        counted.measured("loading_data")
        counted.answered(50)
    progress = counted.progress()
    assert (progress.tokens, progress.planned_tokens) == (500, 1500)
    assert progress.estimated_seconds is not None
    assert progress.estimated_seconds > 100
    assert progress.model_calls == 17


def test_calls_that_measure_the_server_say_nothing_of_the_others() -> None:
    """They are paid and counted; the estimate is made from calls of the run."""
    counted = Tally(lambda: NOON)
    counted.expect("loading_data", 30)
    counted.enter("loading_data")
    for _ in range(17):
        counted.answered(5, short=True)
    counted.measured("loading_data")
    assert counted.progress().planned_tokens is None
    for _ in range(10):
        counted.answered(100)
    progress = counted.progress()
    assert progress.model_calls == 27
    assert progress.planned_tokens == 85 + 1000 + 29 * 100
