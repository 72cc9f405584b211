"""What a run may cost: told over all attempts, never gone beyond, and the best so far is kept."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.budget import Limits, Spent, SpentOn
from domaintraining.api.reasons import Reason
from domaintraining.api.report import REPORT_KEY, RESULT_KEY, Report
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import Budget, BudgetSpent
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.calls.slots import CERTAIN, Wish
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import MemoryJournal
from domaintraining.trainer.main import NEEDS_A_CHANGE, SUCCESS, attempt, spent_before
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from domaintraining.trainer.session import CountedServer, Ending
from tests.unit.trainer.calls.test_calls import Held, asking, body
from tests.unit.trainer.scripted import answer, make_run, samples

BASELINE_CALLS = 25
ENOUGH = 260
"""Calls for the first evaluations of both searches, not for all."""


@pytest.mark.parametrize(
    ("limits", "seconds", "calls", "left"),
    [
        (Limits(), 1e6, 10**6, 9),
        (Limits(calls=10), 0, 0, 5),
        (Limits(calls=10), 0, 3, 2),
        (Limits(calls=10), 0, 5, 0),
        (Limits(seconds=100), 39, 0, 9),
        (Limits(seconds=100), 40, 0, 0),
    ],
)
def test_a_budget_counts_all_attempts(limits: Limits, seconds: float, calls: int, left: int) -> None:
    """Earlier attempts took 60 s and 5 calls; a call counts when it is sent, and once."""
    times = iter([0.0])
    budget = Budget(limits, Spent(seconds=60, calls=5), lambda: calls, lambda: next(times, seconds))
    budget.begin()
    assert [budget.reserve() for _ in range(9)] == [True] * left + [False] * (9 - left)
    assert budget.spent() == Spent(seconds=60 + seconds, calls=5 + calls)
    if left:
        budget.release()
        assert budget.reserve()


@pytest.mark.parametrize(("own", "left"), [(0, 20), (15, 5), (20, 0), (90, 0)])
def test_what_a_search_gets_in_any_case_it_gets_once(own: int, left: int) -> None:
    """What it has cost in an attempt before counts; all that is left is another's."""
    budget = Budget(Limits(calls=100 + own), Spent(calls=own), lambda: 0)
    part = budget.part(2, SpentOn(name="a:1b", calls=own, seconds=0), least=20, later=100)
    part.begin()
    assert sum(part.reserve() for _ in range(99)) == left


def test_nothing_is_sent_beyond_a_budget_and_nobody_is_left_waiting() -> None:
    """What was sent is waited for; what waits for a slot ends; what is answered stays free."""
    held = Held()
    server, tally = ScriptedServer(held), Tally()
    calls = Calls(CountedServer(server, tally, Ending()), MemoryJournal(), 1)
    with calls.limited(Budget(Limits(calls=1), Spent(), lambda: tally.model_calls)) as search:
        first, got = asking(calls, "first")
        assert held.inside.acquire(timeout=5)
        calls.expect(body("expected"), Wish(CERTAIN))
        held.go_on.release()
        first.join(5)
        assert got == ["FIRST"]
        with pytest.raises(BudgetSpent):
            search.chat(body("second"))
        assert search.chat(body("first")).content == "FIRST"
    with pytest.raises(BudgetSpent):
        search.chat(body("too late"))
    held.go_on.release()
    assert calls.chat(body("after")).content == "AFTER"
    assert len(server.bodies) == 2
    calls.close()


Attempt = Callable[..., tuple[int, DomainTrainingError | None, RecordedReport, int]]


@pytest.fixture
def run_attempt(tmp_path: Path) -> Attempt:
    """An attempt at a run of 40 samples, with one journal for all; gives code, error, report, calls."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))

    def run(**changes: Any) -> tuple[int, DomainTrainingError | None, RecordedReport, int]:
        sink, server = RecordedReport(), ScriptedServer(answer)
        folders = Folders(tmp_path, journal=tmp_path / "journal")
        code, error = attempt(make_run(**changes), folders, sink, lambda *_: server)
        return code, error, sink, len(server.bodies)

    return run


def test_at_its_end_the_best_so_far_is_measured_and_kept(run_attempt: Attempt) -> None:
    """The search ends early, the result says so, and is measured on the held-out documents all the same."""
    code, _, sink, calls = run_attempt(budget={"calls": ENOUGH})
    assert code == SUCCESS
    assert sink.report.budget_exhausted
    assert sink.report.spent
    assert sink.report.spent.calls == calls
    result = json.loads(sink.data[RESULT_KEY])
    assert result["metrics"]["entities"]["documents"] == 10
    assert ENOUGH <= calls <= ENOUGH + 3 * 10, "beyond the budget only the held-out documents"


def test_a_larger_budget_goes_on_and_pays_only_what_is_new(run_attempt: Attempt) -> None:
    """With the journal, what a cut run paid and what its successor pays is what one whole run costs."""
    _, _, _, cut = run_attempt(budget={"calls": ENOUGH})
    code, _, sink, rest = run_attempt(budget={"calls": 100_000}, spent={"seconds": 1, "calls": cut})
    assert code == SUCCESS
    assert not sink.report.budget_exhausted
    assert sink.report.spent
    assert sink.report.spent.calls == cut + rest
    _, _, _, none = run_attempt()
    assert none == 0


def test_a_call_that_hangs_does_not_outlast_the_time() -> None:
    """Who waits for an answer waits no longer than the budget has seconds."""
    held = Held()
    calls = Calls(ScriptedServer(held), MemoryJournal(), 1)
    with (
        calls.limited(Budget(Limits(seconds=0.2), Spent(), lambda: 0)) as search,
        pytest.raises(BudgetSpent),
    ):
        search.chat(body("hangs"))
    held.go_on.release()
    calls.close()


def test_the_start_is_scored_before_anything_else(run_attempt: Attempt) -> None:
    """A budget for no more than both starts still ends with a result: that of the start."""
    code, _, sink, calls = run_attempt(budget={"calls": BASELINE_CALLS + 40 + 4})
    assert code == SUCCESS
    assert sink.report.budget_exhausted
    assert calls == BASELINE_CALLS + 40 + 4


def test_the_calls_that_measure_a_server_count_too(run_attempt: Attempt) -> None:
    """Where the first call is one of the search, as without held-out documents: the budget is exact."""
    data = {"file": "samples.jsonl", "source": "x", "split": {"testPercent": 0, "validationPercent": 50}}
    code, _, sink, calls = run_attempt(budget={"calls": 150}, data=data, maxConcurrentRequests=None)
    assert code == SUCCESS
    assert sink.report.budget_exhausted
    assert sink.report.spent
    assert sink.report.spent.calls == calls == 150


def test_a_budget_without_one_scored_prompt_is_a_failure_with_a_reason(run_attempt: Attempt) -> None:
    """Nothing was scored, so there is nothing to keep."""
    code, error, sink, calls = run_attempt(budget={"calls": BASELINE_CALLS})
    assert code == NEEDS_A_CHANGE
    assert error
    assert error.reason is Reason.BUDGET_EXHAUSTED
    assert calls == BASELINE_CALLS
    assert RESULT_KEY not in sink.data


@pytest.mark.parametrize(
    ("data", "calls"),
    [
        ({}, 7),
        ({REPORT_KEY: "no report"}, 7),
        ({REPORT_KEY: Report(run=2, attempt=1, spent=Spent(calls=99)).model_dump_json()}, 7),
        ({REPORT_KEY: Report(run=1, attempt=1, spent=Spent(calls=3)).model_dump_json()}, 7),
        ({REPORT_KEY: Report(run=1, attempt=1, spent=Spent(calls=12)).model_dump_json()}, 12),
    ],
)
def test_a_pod_that_takes_anothers_place_goes_on_counting(data: Mapping[str, str], calls: int) -> None:
    """The report of the same run tells more than the run file, which was written before the first pod."""
    sink = RecordedReport()
    sink.data.update(data)
    assert spent_before(make_run(spent={"calls": 7}), sink).calls == calls
