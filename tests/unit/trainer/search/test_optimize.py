"""The search with MIPROv2."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import dspy
import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer, raise_given_up
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import MemoryJournal
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.prompts.export import task_prompt
from domaintraining.trainer.scoring.metrics import Matching, document_f1
from domaintraining.trainer.search import optimize as module
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.optimize import (
    Means,
    Search,
    Setting,
    configure_dspy,
    optimize,
    sample_metric,
    summary_batch,
)
from domaintraining.trainer.search.program import examples, program_prompt
from domaintraining.trainer.search.watch import Watch
from tests.unit.trainer.scripted import answer, make_run, parsed
from tests.unit.trainer.search.test_program import make_form

Answer = Callable[[Mapping[str, Any]], str]


def search(task: Task, *, train: int = 8, validation: int = 8) -> Search:
    samples = parsed(train + validation)
    return Search(make_form(task), examples(samples[:train], task), examples(samples[train:], task))


def train(
    run: Run, script: Answer = answer, tally: Tally | None = None, **parts: int
) -> tuple[dict[Task, Found], ScriptedServer]:
    rollouts = configure_dspy()
    server = ScriptedServer(script)
    calls = Calls(server, MemoryJournal(), 4)
    engine = OllamaEngine(calls, run.model.name, run.options, run.optimizer.seed, rollout=rollouts.current)
    searches = [search(task, **parts) for task in run.tasks]
    tally = tally or Tally()
    for one in searches:
        tally.plan(one.form.task, one.plan(run))
    try:
        return optimize(
            searches, Means(Setting(run, engine, engine, 4), calls, tally, raise_given_up)
        ), server
    finally:
        calls.close()


def test_both_searches_give_the_same_prompts_every_time_and_as_alone() -> None:
    """Same data, seed and answers: the same bytes, whether a task is searched alone or beside the other."""
    together, _ = train(make_run())
    again, _ = train(make_run())
    alone = {task: train(make_run(tasks=[task]))[0][task] for task in ("entities", "relations")}
    for task in ("entities", "relations"):
        prompts = {task_prompt(found[task].program, make_run(), 1) for found in (together, again, alone)}
        assert len(prompts) == 1


def test_the_search_finds_what_the_demos_are_worth() -> None:
    """The scripted model needs two demos for entities; the search finds that and says how good it is."""
    found, _ = train(make_run(tasks=["entities"]))
    _, messages = program_prompt(found["entities"].program)
    assert found["entities"].validation_f1 == 1.0
    assert len(messages) >= 2 + 2 * 2


def test_progress_counts_evaluations_and_calls() -> None:
    """Trials, best score and calls of a search are those that MIPROv2 made."""
    tally = Tally()
    tally.enter("search")
    _, server = train(make_run(tasks=["entities"]), tally=tally)
    progress = tally.progress()
    assert progress.entities is not None
    assert progress.entities.trial == progress.entities.total_trials == 11
    assert progress.entities.best_validation_f1 == 1.0
    assert progress.percent == 80
    assert sum("format" not in body for body in server.bodies) > 3


@pytest.mark.parametrize(
    ("labelled", "answered", "threshold", "score", "demo"),
    [
        ([], None, 0.0, 1.0, 0.0),
        ([], [], 1.0, 1.0, 1.0),
        (["Ada"], ["Ada"], 1.0, 1.0, 1.0),
        (["Ada", "Ken"], ["ADA."], 1.0, 2 / 3, 0.0),
        (["Ada", "Ken"], ["ADA."], 0.6, 2 / 3, 1.0),
        (["Ada"], [], 0.0, 0.0, 1.0),
    ],
)
def test_only_a_readable_answer_that_is_good_enough_becomes_a_demo(
    labelled: list[str], answered: list[str] | None, threshold: float, score: float, demo: float
) -> None:
    """The metric is F1 by document; where DSPy collects demos it says yes or no."""

    def entities(names: list[str]) -> list[dict[str, str]]:
        return [{"name": name, "type": "PERSON"} for name in names]

    metric = sample_metric(make_form(), "normalized", threshold)
    example = dspy.Example(text="", entities=entities(labelled))
    prediction = dspy.Prediction(entities=None if answered is None else entities(answered))
    assert metric(example, prediction) == pytest.approx(score)
    assert metric(example, prediction, []) == demo


def test_at_most_so_many_demos_of_each_kind() -> None:
    """A prompt has no more bootstrapped and labelled demos than the spec allows."""
    run = make_run(tasks=["entities"], optimizer={"bootstrappedDemos": 1, "labeledDemos": 1})
    _, server = train(run)
    answers = [
        [json.loads(message["content"]) for message in body["messages"] if message["role"] == "assistant"]
        for body in server.bodies
        if "format" in body
    ]
    assert max(map(len, answers)) == 2
    assert max(sum("reasoning" in demo for demo in demos) for demos in answers) == 1


def test_instruction_only_shows_no_sample_to_the_proposer() -> None:
    """0 and 0: no demo in the prompt, and no sample text where the instruction is made."""
    run = make_run(tasks=["entities"], optimizer={"bootstrappedDemos": 0, "labeledDemos": 0})
    found, server = train(run)
    proposals = [json.dumps(body["messages"]) for body in server.bodies if "format" not in body]
    assert len(program_prompt(found["entities"].program)[1]) == 2
    assert proposals
    assert not any("In year" in proposal for proposal in proposals)


def test_minibatches_are_used_above_50_validation_samples() -> None:
    """With more than 50 validation samples a trial sees minibatchSize of them; the best are seen whole."""
    tally = Tally()
    run = make_run(tasks=["relations"], optimizer={"minibatchSize": 5})
    found, _ = train(run, tally=tally, train=6, validation=51)
    progress = tally.progress().relations
    assert progress is not None
    assert progress.trial == progress.total_trials
    assert found["relations"].validation_f1 == progress.best_validation_f1


def test_a_minibatch_is_never_larger_than_the_validation_part() -> None:
    """A minibatchSize beyond the data is no error."""
    found, _ = train(make_run(tasks=["entities"], optimizer={"minibatchSize": 1000}), validation=3)
    assert set(found) == {"entities"}


def test_an_error_in_a_call_ends_the_run_without_a_score() -> None:
    """Whatever a call raises, there is no program and no F1."""

    def breaks(body: Mapping[str, Any]) -> str:
        if len(body["messages"]) > 4:
            raise RuntimeError("secret sample")
        return answer(body)

    with pytest.raises(GivenUp) as given_up:
        train(make_run(), breaks)
    assert given_up.value.error.reason is Reason.TRAINER_FAILED
    assert "secret" not in given_up.value.error.message


def test_an_error_in_the_metric_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """DSPy would take an exception of the metric for a score of 0."""

    def breaks(*_: Any) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "document_f1", breaks)
    with pytest.raises(GivenUp) as given_up:
        train(make_run())
    assert "ZeroDivisionError" in given_up.value.error.message


@pytest.mark.parametrize("failed", [RuntimeError("x"), None])
def test_an_evaluation_without_a_true_score_ends_the_run(failed: Exception | None) -> None:
    """An evaluation that broke off, or one with a sample that was never answered, is not counted."""
    chosen = search("entities")
    watch = Watch("entities", Tally(), raise_given_up)
    inputs: dict[str, Any] = {"callback_metadata": {"metric_key": "eval_full"}, "program": None, "devset": []}
    watch.on_evaluate_start("1", None, inputs)
    lost = dspy.Prediction(score=0.0, results=[(chosen.train[0], dspy.Prediction(), 0.0)])
    with pytest.raises(GivenUp):
        watch.on_evaluate_end("1", None if failed else lost, failed)


def test_proposals_that_cannot_be_read_have_a_reason_of_their_own() -> None:
    """A model that can't keep DSPy's form for proposals is named, not the trainer."""

    def mute(body: Mapping[str, Any]) -> str:
        return answer(body) if "format" in body and "entities" in body["format"]["properties"] else "no"

    with pytest.raises(GivenUp) as given_up:
        train(make_run(tasks=["entities"]), mute)
    assert given_up.value.error.reason is Reason.MODEL_OUTPUT_INVALID


@pytest.mark.parametrize("matching", ["exact", "normalized"])
def test_names_are_compared_as_the_spec_says(matching: Matching) -> None:
    """The search's metric and the held-out one share their comparison."""
    metric = sample_metric(make_form(), matching, 1.0)
    example = dspy.Example(text="", entities=[{"name": "Ada", "type": "PERSON"}])
    prediction = dspy.Prediction(entities=[{"name": "ada ", "type": "PERSON"}])
    assert metric(example, prediction) == float(matching == "normalized")
    assert document_f1(frozenset(), frozenset()) == 1.0


@pytest.mark.parametrize(("length", "batch"), [(100, 10), (3000, 5), (50_000, 1)])
def test_long_samples_are_shown_to_the_proposer_in_smaller_batches(length: int, batch: int) -> None:
    """The calls that describe the data fit into a usual context, and no sample is cut."""
    assert summary_batch([dspy.Example(text="x" * length, entities=[])]) == batch


def test_prompts_and_answers_are_kept_in_memory_only() -> None:
    """No disk cache, no pickle, no history of prompts."""
    configure_dspy()
    assert not dspy.cache.enable_disk_cache
    assert dspy.settings.disable_history
    assert dspy.settings.max_errors == 1
