"""Suspend and budget: what stops, what goes on, and how status tells it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.budget import Limits, Spent
from domaintraining.api.hashing import run_hash
from domaintraining.api.reasons import Reason
from domaintraining.api.report import Report
from domaintraining.api.run import RunJournal
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import wire
from domaintraining.controller.apply import failure_of, record_failure
from domaintraining.controller.decide import Step, decide
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.observe import observe
from domaintraining.controller.observed import Observed, Preflight, ReportState, Resource, Revision
from domaintraining.controller.project import Outcome, project
from domaintraining.controller.resolve import resolve
from domaintraining.controller.settings import Settings
from domaintraining.controller.spending import goes_further, spending
from tests.unit.controller.test_decide import HASH, MODEL, NOW, failed, job, record, resource, revision

SMALLEST: dict[str, Any] = {"dataset": {"configMap": {"name": "data", "key": "samples.jsonl"}}}
SETTINGS = Settings(trainer_image="domaintraining:1")


def wanting(**spec: Any) -> Resource:
    """A resource whose spec differs in what starts no run."""
    parsed = DomainTrainingSpec.model_validate(SMALLEST | spec)
    assert run_hash(parsed) == HASH
    return resource(spec=parsed)


SUSPENDED = wanting(suspend=True)


def shown(observed: Observed) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    status = wire(project(observed, Outcome(decide(observed))))
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_nothing_starts_while_suspended() -> None:
    """Neither the first run, nor one more attempt, nor a run that is asked for."""
    assert decide(Observed(SUSPENDED, NOW)).step is Step.SUSPEND
    asked = replace(
        SUSPENDED, annotations={"training.aegisrag.io/retrain-requested-at": "2026-11-23T12:00:00Z"}
    )
    assert decide(Observed(asked, NOW, revisions=(revision(1),), served=revision(1))).step is Step.REST
    due = failed(Reason.MODEL_SERVER_UNAVAILABLE)
    assert decide(Observed(SUSPENDED, NOW, record=record(**due))).step is Step.SUSPEND


def test_suspend_ends_the_attempt_and_deletes_its_job() -> None:
    """First the reason is written down, so that a controller that is killed then still knows it."""
    running = Observed(SUSPENDED, NOW, record=record(), jobs=(job(started=True),))
    plan = decide(running)
    assert (plan.step, plan.stop, plan.run) == (Step.RECORD_FAILURE, (), 1)
    assert failure_of(running).reason is Reason.SUSPENDED
    noted = replace(running, record=record(**failed(Reason.SUSPENDED)))
    plan = decide(noted)
    assert (plan.step, [one.name for one in plan.stop]) == (Step.SUSPEND, ["docs-r1-a1"])


def test_a_result_that_is_there_is_taken_over_while_suspended() -> None:
    """It costs no call."""
    report = ReportState(Report(run=1, attempt=1), result=object())  # type: ignore[arg-type]
    seen = Observed(SUSPENDED, NOW, record=record(**failed(Reason.SUSPENDED)), report=report)
    assert decide(seen).step is Step.TAKE_OVER


def test_an_attempt_that_failed_by_itself_keeps_its_reason() -> None:
    """Suspend came later."""
    seen = Observed(SUSPENDED, NOW, record=record(), jobs=(job(active=False, failed="BackoffLimitExceeded"),))
    assert decide(seen).step is Step.RECORD_FAILURE
    assert failure_of(seen).reason is Reason.TRAINER_FAILED


def test_going_on_takes_the_same_run_and_the_next_attempt_at_once() -> None:
    """No backoff: nothing failed."""
    plan = decide(Observed(resource(), NOW, record=record(**failed(Reason.SUSPENDED))))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 2)


def test_suspended_is_neither_reconciling_nor_stalled() -> None:
    """Nothing is done and nobody has to act; Ready says why."""
    conditions = shown(Observed(SUSPENDED, NOW, record=record(**failed(Reason.SUSPENDED))))
    assert conditions["Ready"] == conditions["Trained"] == ("False", "Suspended")
    assert "Reconciling" not in conditions
    assert "Stalled" not in conditions


def test_a_served_prompt_stays_served_and_ready_while_suspended() -> None:
    """Suspend is about runs."""
    one = revision(1)
    seen = Observed(SUSPENDED, NOW, record=record(), revisions=(one,), served=one)
    assert shown(seen)["Ready"] == shown(seen)["Available"] == ("True", "Promoted")
    other = replace(seen, resource=replace(SUSPENDED, hash="another"))
    assert shown(other)["Ready"] == ("False", "Suspended")
    assert shown(other)["Available"] == ("True", "Promoted")


def test_what_an_attempt_cost_is_written_down_with_its_end() -> None:
    """The next attempt is told; a report that says nothing leaves what was known."""
    for told, kept in ((Spent(seconds=90, calls=12), 12), (None, 5)):
        cluster = MemoryCluster()
        before = record(spent={"seconds": 30, "calls": 5})
        report = ReportState(Report(run=1, attempt=1, spent=told))
        ended = Observed(SUSPENDED, NOW, record=before, jobs=(job(),), report=report)
        asyncio.run(record_failure(cluster, ended))
        found = asyncio.run(observe(cluster, SUSPENDED, NOW)).record
        assert found is not None
        assert found.attempt.failure is not None
        assert (found.attempt.spent.calls, found.attempt.failure.reason) == (kept, "Suspended")
        run = resolve(Observed(resource(), NOW, record=found), 1, MODEL, SETTINGS)
        assert run.spent == found.attempt.spent


def exhausted(number: int = 1, *, promoted: bool = True, **changes: Any) -> Revision:
    """A revision whose run ended at 1 h of at most 2,000 calls."""
    manifest = {
        "budgetExhausted": True,
        "budget": {"seconds": 3600.0, "calls": 2000},
        "spent": {"seconds": 3600.2, "calls": 1500},
    }
    return replace(revision(number, promoted=promoted), manifest=manifest | changes)


@pytest.mark.parametrize(
    ("budget", "further"),
    [
        (Limits(seconds=3600, calls=2000), False),
        (Limits(seconds=7200, calls=2000), True),
        (Limits(calls=2000), True),
        (Limits(), True),
        (Limits(seconds=7200, calls=1500), False),
        (Limits(seconds=7200, calls=1501), True),
        (Limits(seconds=3600, calls=4000), False),
        (Limits(seconds=60), False),
    ],
)
def test_only_a_budget_that_leaves_something_goes_further(budget: Limits, *, further: bool) -> None:
    """One limit has grown, and each is beyond what was spent."""
    assert goes_further(exhausted().manifest, budget) is further


@pytest.mark.parametrize(
    "manifest", [{}, {"budgetExhausted": True}, {"budgetExhausted": True, "spent": "much"}]
)
def test_a_manifest_that_says_nothing_readable_starts_nothing(manifest: dict[str, Any]) -> None:
    """Whoever edited it."""
    assert not goes_further(manifest, Limits())


def test_a_larger_budget_goes_on_as_a_run_with_the_next_number() -> None:
    """A revision never changes; the one that is there stays served meanwhile."""
    for one in (exhausted(), exhausted(promoted=False)):
        served = one if one.promoted else None
        same = Observed(resource(), NOW, record=record(), revisions=(one,), served=served)
        small = replace(same, resource=wanting(budget={"maxDuration": "1h", "maxModelCalls": 2000}))
        assert decide(small).step is Step.REST
        plan = decide(replace(same, resource=wanting(budget={"maxDuration": "2h"})))
        assert (plan.step, plan.run, plan.attempt, plan.serve) == (Step.START, 2, 1, None)


def test_a_run_that_went_further_is_the_last_word() -> None:
    """Also where it was rejected: the earlier one does not start it again."""
    both = (exhausted(1), revision(2, promoted=False))
    seen = Observed(
        wanting(budget={"maxDuration": "2h"}), NOW, record=record(2), revisions=both, served=both[0]
    )
    assert decide(seen).step is Step.REST


def test_a_run_without_a_result_goes_on_itself_when_the_budget_changes() -> None:
    """The budget is part of what an attempt depends on."""
    seen = Observed(resource(), NOW, record=record(**failed(Reason.BUDGET_EXHAUSTED)))
    same = Preflight(data_digest="d", settings_digest="s")
    assert decide(replace(seen, preflight=same)).step is Step.WAIT
    plan = decide(replace(seen, preflight=replace(same, settings_digest="t")))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 2)


def test_an_exhausted_budget_is_told_and_the_prompt_is_ready() -> None:
    """The end of the search is no failure of the run."""
    one, same = exhausted(), wanting(budget={"maxDuration": "1h", "maxModelCalls": 2000})
    conditions = shown(Observed(same, NOW, record=record(), revisions=(one,), served=one))
    assert conditions["Trained"] == ("True", "BudgetExhausted")
    assert conditions["Ready"] == ("True", "Promoted")
    assert "Stalled" not in conditions


@pytest.mark.parametrize(
    ("before", "now", "calls"),
    [("docs-journal", "docs-journal", 1500), ("docs-journal", "other", 0), ("", "", 0)],
)
def test_what_was_spent_counts_where_the_journal_was_kept(before: str, now: str, calls: int) -> None:
    """Without it there is nothing to go on from, and the larger budget is all there is."""
    last = record()
    last = replace(
        last, run=last.run.model_copy(update={"journal": RunJournal(kept=bool(before), claim=before)})
    )
    journal = {"claimName": now} if now else {}
    wanted = wanting(budget={"maxDuration": "2h"}, job={"journal": journal})
    seen = Observed(wanted, NOW, record=last, revisions=(exhausted(),))
    assert resolve(seen, 2, MODEL, SETTINGS).spent.calls == calls


def test_a_run_that_is_asked_for_has_the_whole_budget() -> None:
    """It goes on from nothing."""
    last = record()
    last = replace(last, run=last.run.model_copy(update={"journal": RunJournal(kept=True, claim="c")}))
    same = wanting(budget={"maxDuration": "1h", "maxModelCalls": 2000}, job={"journal": {"claimName": "c"}})
    run = resolve(Observed(same, NOW, record=last, revisions=(exhausted(),)), 2, MODEL, SETTINGS)
    assert (run.spent, run.budget) == (Spent(), Limits(seconds=3600, calls=2000))


def test_the_manifest_says_what_ended_the_search() -> None:
    """With the budget it had; a search that came to its own end has no such words."""
    run = record().run.model_copy(update={"budget": Limits(calls=10)})
    report = Report(run=1, attempt=1, budget_exhausted=True, spent=Spent(seconds=3, calls=10))
    assert spending(run, report) == {
        "budgetExhausted": True,
        "budget": {"calls": 10},
        "spent": {"seconds": 3.0, "calls": 10},
    }
    assert spending(run, Report(run=1, attempt=1)) == {"budgetExhausted": False}


def test_wrong_data_of_a_volume_are_looked_at_again() -> None:
    """Nobody but a trainer sees when they are corrected; those of a ConfigMap are watched."""
    fields = failed(Reason.DATASET_INVALID)
    for claim, step in (("samples", Step.START), ("", Step.WAIT)):
        one = record(**fields)
        data = one.run.data.model_copy(update={"claim": claim})
        one = replace(one, run=one.run.model_copy(update={"data": data}))
        assert decide(Observed(resource(), NOW, record=one)).step is step


def test_the_mode_that_adaptive_chose_is_shown_with_its_rule() -> None:
    """Before the samples are read nobody knows it."""
    one = record()
    one = replace(one, run=one.run.model_copy(update={"auto": "adaptive"}))
    report = Report.model_validate(
        {
            "run": 1,
            "attempt": 1,
            "auto": "light",
            "autoReason": "fewer than 50 validation samples",
            "dataset": {"samples": 80, "train": 20, "validation": 40, "test": 20},
        }
    )
    seen = Observed(resource(), NOW, record=one, jobs=(job(started=True),))
    assert project(seen, Outcome(decide(seen))).auto == "adaptive"
    seen = replace(seen, report=ReportState(report))
    status = project(seen, Outcome(decide(seen)))
    (valid,) = (condition for condition in status.conditions if condition.type == "DatasetValid")
    assert status.auto == "light"
    assert valid.message.endswith("; adaptive chose light: fewer than 50 validation samples")


def test_an_outage_is_waited_out_between_attempts() -> None:
    """A pod that gave up (exit 75) is no end that needs a person; the reason stays until the next attempt."""
    waiting = record(**failed(Reason.MODEL_SERVER_UNAVAILABLE, failed_time="2026-11-23T11:59:50Z"))
    conditions = shown(Observed(resource(), NOW, record=waiting))
    assert conditions["Reconciling"] == ("True", "ModelServerUnavailable")
    assert conditions["ModelReady"] == ("False", "ModelServerUnavailable")
    assert conditions["Ready"] == ("False", "Pending")
    assert "Stalled" not in conditions
