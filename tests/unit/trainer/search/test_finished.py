"""A finished search is found in the journal to the letter, and anything else is searched again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.report import RESULT_KEY
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer, raise_given_up
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import MemoryJournal
from domaintraining.trainer.journal.runfile import FileJournal
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.prompts.export import task_prompt
from domaintraining.trainer.prompts.prompt import Form
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from domaintraining.trainer.search import optimize as searching
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.finished import MAX_SCORES, SEARCH, Finished, Found
from domaintraining.trainer.search.optimize import Means, Search, Setting, configure_dspy, optimize
from domaintraining.trainer.search.program import Extraction, examples
from tests.unit.trainer.scripted import make_run, moody, parsed, samples
from tests.unit.trainer.search.test_program import make_form

TRAIN, VALIDATION = 8, 8
GOOD: Final[dict[str, Any]] = {
    "instruction": "Name them.",
    "demos": [{"sample": 1, "answer": None}, {"sample": 0, "answer": '{"reasoning": "", "entities": []}'}],
    "validationF1": 0.5,
    "evaluations": 11,
}
A_SEARCH = 200
OUTSIDE_CALLS = 60
"""10 held-out documents asked for entities, relations and end to end, of the baseline and of the result."""


class Told(MemoryJournal):
    """A journal in memory that remembers what it was asked for, and can be full."""

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.found: list[str] = []
        self._full = full

    def find(self, key: str) -> ChatAnswer | None:
        answer = super().find(key)
        self.found.append("nothing" if answer is None else answer.done_reason)
        return answer

    def keep(self, key: str, answer: ChatAnswer) -> ChatAnswer:
        if self._full and answer.done_reason == SEARCH:
            raise DomainTrainingError(Reason.JOURNAL_UNUSABLE, "full")
        return super().keep(key, answer)


def search(task: Task = "entities", **form: Any) -> Search:
    known = parsed(TRAIN + VALIDATION)
    made = make_form(task) if not form else replace(make_form(task), **form)
    return Search(made, examples(known[:TRAIN], task), examples(known[TRAIN:], task))


def searched(
    journal: MemoryJournal, *searches: Search, tally: Tally | None = None, **options: Any
) -> tuple[dict[Task, Found], int]:
    """What searches find with a journal, and how many calls were sent."""
    run = make_run(tasks=[one.form.task for one in searches], **options)
    rollouts, server, tally = configure_dspy(), ScriptedServer(moody), tally or Tally()
    calls = Calls(server, journal, 4)
    engine = OllamaEngine(calls, run.model.name, run.options, run.optimizer.seed, rollout=rollouts.current)
    for one in searches:
        tally.plan(one.form.task, one.plan(run))
    means = Means(
        Setting(run, engine, engine, 4), calls, tally, raise_given_up, Finished(journal, str(options))
    )
    try:
        return optimize(searches, means), len(server.bodies)
    finally:
        calls.close()


def published(found: Mapping[Task, Found]) -> dict[Task, Any]:
    """All bytes that follow from what was found."""
    return {task: (task_prompt(one.program, make_run(), 1), one.validation_f1) for task, one in found.items()}


def kept(content: str, *, done_reason: str = SEARCH) -> Found | None:
    """What a journal with one record gives."""
    one, journal = search(), MemoryJournal()
    (key,) = _keys(journal, one)
    journal.keep(key, ChatAnswer(content, done_reason, 0, 0, ""))
    return Finished(journal, "").find(one.form, one.train)


def _keys(journal: MemoryJournal, one: Search) -> list[str]:
    """Under which key a search is looked for."""
    asked: list[str] = []

    class Asked(MemoryJournal):
        def find(self, key: str) -> ChatAnswer | None:
            asked.append(key)
            return journal.find(key)

    Finished(Asked(), "").find(one.form, one.train)
    return asked


@pytest.mark.parametrize(
    ("auto", "form", "options"),
    [
        ("light", {}, {}),
        ("medium", {"chain_of_thought": False}, {"chainOfThought": False, "seed": 3}),
        ("light", {}, {"bootstrappedDemos": 0, "labeledDemos": 0}),
        ("light", {}, {"bootstrappedDemos": 1, "labeledDemos": 6, "seed": 5}),
        ("manual", {"instruction": "  Name them.\n    All."}, {"numCandidates": 3, "numTrials": 4}),
    ],
)
def test_a_finished_search_is_found_to_the_letter_and_not_made_again(
    auto: str, form: dict[str, Any], options: dict[str, Any]
) -> None:
    """Another attempt publishes the same bytes; no call is made, and only the ends of searches are read."""
    journal, searches = Told(), [search(task, **form) for task in ("entities", "relations")]
    first, calls = searched(journal, *searches, auto=auto, optimizer=options)
    assert calls
    journal.found.clear()
    first_tally = Tally()
    again, calls = searched(journal, *searches, tally=first_tally, auto=auto, optimizer=options)
    assert calls == 0
    assert journal.found == [SEARCH, SEARCH]
    assert published(again) == published(first)
    assert {task: one.scores for task, one in again.items()} == {t: one.scores for t, one in first.items()}
    assert all(len(row) == VALIDATION for one in first.values() for row in one.scores)
    progress = first_tally.progress()
    assert progress.entities
    assert progress.entities.trial == progress.entities.total_trials == first["entities"].evaluations
    assert progress.entities.best_validation_f1 == round(first["entities"].validation_f1, 3)


def test_of_two_searches_only_the_one_that_did_not_end_is_made() -> None:
    """A pod lost after one task goes on with the other; both are what they are together."""
    journal, both = MemoryJournal(), [search("entities"), search("relations")]
    alone, first = searched(journal, both[0])
    found, rest = searched(journal, *both)
    together, calls = searched(MemoryJournal(), *both)
    assert first + rest == calls
    assert published(found) == published(together)
    assert published(alone)["entities"] == published(found)["entities"]


def test_a_run_of_another_fingerprint_searches_for_itself() -> None:
    """What another run ended with is not this one's, where both see the same answers."""
    journal, one = Told(), search()
    searched(journal, one)
    journal.found.clear()
    searched(journal, one, optimizer={"seed": 3})
    assert journal.found[0] == "nothing"
    assert SEARCH not in journal.found


def test_a_search_that_the_budget_ended_is_not_kept() -> None:
    """With a larger budget it goes on."""
    one, journal = search(), MemoryJournal()
    finished = Finished(journal, "")
    finished.keep(Found(Extraction(one.form), 0.5, cut=True), one.form, one.train)
    assert finished.find(one.form, one.train) is None


def test_a_program_that_a_record_would_change_is_not_kept() -> None:
    """A demo that is none of the samples, or that no answer gives, is searched for again."""
    one, journal = search(), MemoryJournal()
    finished, (stranger,) = Finished(journal, ""), examples(parsed(100)[-1:], "entities")
    unreadable = one.train[0].copy(augmented=True, reasoning="", entities=[{"name": "A", "type": "NO TYPE"}])
    for demo in (stranger, unreadable):
        program = Extraction(one.form)
        program.predictors()[0].demos = [demo]
        finished.keep(Found(program, 0.5), one.form, one.train)
        assert finished.find(one.form, one.train) is None


@pytest.mark.parametrize("score", [-0.1, 1.1, "1", True])
def test_scores_that_are_none_make_no_record(score: Any) -> None:
    """The search is made again."""
    assert kept(json.dumps({**GOOD, "scores": [[0.5, None]]})) is not None
    assert kept(json.dumps({**GOOD, "scores": [[0.5, score]]})) is None


def test_too_many_scores_are_left_out_and_the_search_is_kept() -> None:
    """Then the data doctor has less to say; nothing is searched again for it."""
    one, finished = search(), Finished(MemoryJournal(), "")
    scores = ((0.5,) * (MAX_SCORES + 1),)
    finished.keep(Found(Extraction(one.form), 0.5, scores=scores), one.form, one.train)
    found = finished.find(one.form, one.train)
    assert found
    assert found.scores == ()


def test_the_first_end_of_a_search_is_the_one_for_ever() -> None:
    """As with answers."""
    one, finished = search(), Finished(MemoryJournal(), "")
    for f1 in (0.5, 0.75):
        finished.keep(Found(Extraction(one.form), f1), one.form, one.train)
    found = finished.find(one.form, one.train)
    assert found
    assert found.validation_f1 == 0.5


def test_a_record_is_what_the_search_ended_with() -> None:
    """Instruction, labelled demos as they are in the data, others with the model's own answer."""
    found = kept(json.dumps(GOOD))
    assert found
    (predictor,) = found.program.predictors()
    assert predictor.signature.instructions == "Name them."
    train = search().train
    assert predictor.demos[0] == train[1]
    assert predictor.demos[1].toDict() == {
        "augmented": True,
        "text": train[0].text,
        "reasoning": "",
        "entities": [],
    }
    assert (found.validation_f1, found.evaluations, found.cut) == (0.5, 11, False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[" * 100_000,
        "\ud800",
        json.dumps(GOOD | {"instruction": "\ud800"}),
        json.dumps(GOOD)[:-1],
        json.dumps({name: value for name, value in GOOD.items() if name != "demos"}),
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"validationF1": 1.5}),
        json.dumps(GOOD | {"validationF1": float("nan")}),
        json.dumps(GOOD | {"validationF1": "0.5"}),
        json.dumps(GOOD | {"evaluations": -1}),
        json.dumps(GOOD | {"instruction": "long" * 2**19}),
        json.dumps(GOOD | {"demos": [{"sample": 0}] * 257}),
        json.dumps(GOOD | {"demos": [{"sample": TRAIN}]}),
        json.dumps(GOOD | {"demos": [{"sample": -1}]}),
        json.dumps(GOOD | {"demos": [{"sample": True}]}),
        json.dumps(GOOD | {"demos": [{"sample": 0, "answer": "{}"}]}),
        json.dumps(GOOD | {"demos": [{"sample": 0, "answer": "[" * 100_000}]}),
        json.dumps(
            GOOD
            | {
                "demos": [
                    {
                        "sample": 0,
                        "answer": '{"reasoning": "", "entities": [{"name": "A", "type": "NO TYPE"}]}',
                    }
                ]
            }
        ),
        json.dumps(GOOD) + " " * 5 * 2**20,
    ],
    ids=range(21),
)
def test_a_record_that_gives_no_program_is_none(content: str) -> None:
    """Whatever stands in the file: the search is made again."""
    assert kept(content) is None


def test_an_answer_of_a_model_is_no_end_of_a_search() -> None:
    """Even if it says the same."""
    assert kept(json.dumps(GOOD), done_reason="stop") is None


def test_a_journal_that_cannot_keep_it_ends_the_run() -> None:
    """The volume is full: the run ends with the reason, and not with a result."""
    with pytest.raises(GivenUp) as ended:
        searched(Told(full=True), search())
    assert ended.value.error.reason is Reason.JOURNAL_UNUSABLE


def test_a_finished_run_is_replayed_with_the_same_little_work_whatever_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call and no search; the journal is read as often after a medium run as after a light one."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))
    reads: list[str] = []
    find = FileJournal.find

    def counted(journal: FileJournal, key: str) -> ChatAnswer | None:
        reads.append(key)
        return find(journal, key)

    monkeypatch.setattr(FileJournal, "find", counted)

    def never(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a search is made")

    def run(auto: str) -> tuple[str, int]:
        server, sink = ScriptedServer(moody), RecordedReport()
        folders = Folders(tmp_path, journal=tmp_path / "journal")
        code, _ = attempt(make_run(auto=auto), folders, sink, lambda *_: server)
        assert code == SUCCESS
        return sink.data[RESULT_KEY], len(server.bodies)

    first = {auto: run(auto) for auto in ("light", "medium")}
    assert all(calls > A_SEARCH for _, calls in first.values())
    monkeypatch.setattr(searching, "compile_search", never)
    monkeypatch.setattr(searching, "LookAhead", never)
    work = set()
    for auto, (whole, _) in first.items():
        reads.clear()
        assert run(auto) == (whole, 0)
        work.add(len(reads))
    assert work == {2 * OUTSIDE_CALLS + len(make_run().tasks)}


def test_a_form_stays_what_the_run_says() -> None:
    """Types and the form of the answer are the run's: a record only fills in instruction and demos."""
    found = kept(json.dumps(GOOD))
    assert found
    form: Form = found.program.adapter.form
    assert form == search().form


def test_a_record_is_of_its_train_samples_alone() -> None:
    """It numbers them: with others at their places it would show other demos."""
    one, journal = search(), MemoryJournal()
    assert _keys(journal, one) == _keys(journal, one)
    assert _keys(journal, replace(one, train=one.train[::-1])) != _keys(journal, one)
    assert _keys(journal, replace(one, train=one.train[:-1])) != _keys(journal, one)
