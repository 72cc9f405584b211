"""The look-ahead foresees MIPROv2, and changes nothing of what it finds."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import dspy
import pytest

from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import ScriptedServer, raise_given_up
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import MemoryJournal
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.optimize import (
    Means,
    Search,
    Setting,
    compile_search,
    configure_dspy,
    optimize,
    sample_metric,
)
from domaintraining.trainer.search.program import Extraction, examples
from tests.unit.trainer.scripted import make_run, moody, parsed
from tests.unit.trainer.search.test_program import make_form

module = sys.modules[__name__]


class PlainCalls:
    """As DSPy's own cache: an answer for each call, without look-ahead."""

    def __init__(self) -> None:
        self.answers: dict[str, ChatAnswer] = {}
        self.asked: Counter[str] = Counter()
        self._lock = Lock()

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """An answer; each call is answered once."""
        key = json.dumps([body, rollout])
        with self._lock:
            if key not in self.answers:
                self.asked[key] += 1
                self.answers[key] = ChatAnswer(moody(body), "stop", 1, 1, "simulated")
            return self.answers[key]


class Result(NamedTuple):
    """What two searches are compared by."""

    program: str
    scores: list[float]


def search(task: Task, train: int, validation: int) -> Search:
    samples = parsed(train + validation)
    return Search(make_form(task), examples(samples[:train], task), examples(samples[train:], task))


def result(program: dspy.Module) -> Result:
    scores = [
        log.get("full_eval_score", log.get("mb_score")) for _, log in sorted(program.trial_logs.items())
    ]
    return Result(json.dumps(program.dump_state(), sort_keys=True), scores)


def plain(run: Run, searches: Sequence[Search]) -> tuple[dict[Task, Result], int]:
    """MIPROv2 alone: one task after the other."""
    rollouts, calls = configure_dspy(), PlainCalls()
    engine = OllamaEngine(calls, run.model.name, run.options, run.optimizer.seed, rollout=rollouts.current)
    found = {}
    for one in searches:
        metric = sample_metric(one.form, run.metric.letters, run.optimizer.metric_threshold)
        found[one.form.task] = result(
            compile_search(one, Extraction(one.form), metric, Setting(run, engine, engine, 8))
        )
    return found, sum(calls.asked.values())


def ahead(
    run: Run, searches: Sequence[Search], *, logs: bool = True
) -> tuple[dict[Task, Result], int, Calls]:
    """The trainer's way; without the logs of trials, the score is that of the best."""
    rollouts, server = configure_dspy(), ScriptedServer(moody)
    calls = Calls(server, MemoryJournal(), 4)
    engine = OllamaEngine(calls, run.model.name, run.options, run.optimizer.seed, rollout=rollouts.current)
    tally = Tally()
    for one in searches:
        tally.plan(one.form.task, one.plan(run))
    found = optimize(searches, Means(Setting(run, engine, engine, 4), calls, tally, raise_given_up))
    calls.close()
    results = {
        task: result(one.program) if logs else Result("", [one.validation_f1]) for task, one in found.items()
    }
    return results, len(server.bodies), calls


@pytest.mark.parametrize(
    ("auto", "train", "validation", "options"),
    [
        ("light", 8, 8, {}),
        ("light", 20, 12, {"seed": 1}),
        ("medium", 20, 12, {"seed": 77, "bootstrappedDemos": 1, "labeledDemos": 4, "metricThreshold": 0.5}),
        ("heavy", 9, 8, {"seed": 2}),
        ("light", 6, 51, {"seed": 3, "minibatchSize": 5}),
        ("medium", 12, 60, {"seed": 4}),
        ("light", 9, 7, {"bootstrappedDemos": 2, "labeledDemos": 0, "chainOfThought": False}),
        ("medium", 9, 7, {"bootstrappedDemos": 0, "labeledDemos": 0}),
        ("light", 9, 110, {"bootstrappedDemos": 0, "labeledDemos": 0, "metricThreshold": 0}),
        ("manual", 9, 7, {"numCandidates": 4, "numTrials": 12, "minibatchSize": 3}),
        ("manual", 9, 7, {"numCandidates": 2, "numTrials": 3, "seed": 8}),
        ("light", 9, 60, {"seed": 4, "minibatchSize": 60}),
        ("light", 9, 130, {"minibatchSize": 120}),
        ("manual", 9, 7, {"numCandidates": 2, "numTrials": 1, "minibatchSize": 7}),
    ],
)
def test_the_same_programs_and_scores_with_no_more_calls(
    auto: str, train: int, validation: int, options: dict[str, Any]
) -> None:
    """Best programs and all trial scores are those of MIPROv2 alone; not a call more is sent."""
    run = make_run(auto=auto, optimizer=options)
    searches = [search(task, train, validation) for task in run.tasks]
    expected, plain_calls = plain(run, searches)
    found, sent, calls = ahead(run, searches)
    assert found == expected
    assert sent == plain_calls
    assert calls.missteps == 0


def test_a_search_that_has_tried_everything_ends_with_the_best() -> None:
    """Few candidates and many trials: MIPROv2 finds nothing left to evaluate, which is no error."""
    options = {"numCandidates": 2, "numTrials": 30, "minibatchSize": 3}
    found, _, _ = ahead(make_run(auto="manual", optimizer=options), [search("entities", 9, 7)], logs=False)
    assert found["entities"].scores


class Surprises(Calls):
    """Calls that keeps the bodies that were asked before they were expected."""

    def __init__(self, *args: Any) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        super().__init__(*args)

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """As Calls."""
        key = self._key(body, rollout)
        if key not in self._open and self._journal.find(key) is None:
            self.bodies.append(body)
        return super().chat(body, rollout)


@pytest.mark.parametrize(("train", "validation"), [(20, 12), (12, 60)])
def test_no_task_call_comes_as_a_surprise(
    train: int, validation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws are MIPROv2's own: whatever it asks the model that is trained for was expected before."""
    monkeypatch.setattr(module, "Calls", Surprises)
    run = make_run(optimizer={"seed": 5})
    _, _, calls = ahead(run, [search(task, train, validation) for task in run.tasks])
    assert isinstance(calls, Surprises)
    assert not [body for body in calls.bodies if "format" in body]
