"""Runs that another one followed: what stops them, how that is told, and what is left of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.runs import HistoryEntry
from domaintraining.api.status import DomainTrainingStatus, wire
from domaintraining.controller.decide import Step, decide
from domaintraining.controller.observed import Observed
from domaintraining.controller.project import Outcome, project
from tests.unit.controller.test_decide import HASH, NOW, job, record, resource, revision
from tests.unit.controller.test_status import said, shown


def told(*numbers: int) -> DomainTrainingStatus:
    """A status that names superseded runs."""
    time = "2026-11-23T11:45:00Z"
    entries = [
        HistoryEntry(number=number, completion_time=time, reason=Reason.SUPERSEDED) for number in numbers
    ]
    return DomainTrainingStatus(history=entries)


def test_a_new_hash_stops_the_job_and_starts_the_next_number() -> None:
    """Superseded: the Job of another hash is deleted, and status says so before the next run starts."""
    seen = Observed(resource(), NOW, record=record(run_hash="other"), jobs=(job(),))
    plan = decide(seen)
    assert (plan.step, [one.name for one in plan.stop]) == (Step.SUPERSEDE, ["docs-r1-a1"])
    plan = decide(replace(seen, resource=resource(status=told(1))))
    assert (plan.step, plan.run, [one.name for one in plan.stop]) == (Step.START, 2, ["docs-r1-a1"])


@pytest.mark.parametrize("reason", [Reason.PROMOTED, Reason.REJECTED, Reason.SUPERSEDED])
def test_that_a_run_is_superseded_is_told_once(reason: Reason) -> None:
    """Whatever status said of it before, and also where it names a later run: no pass repeats for ever."""
    seen = Observed(resource(), NOW, record=record(run_hash="other"))
    for number in (1, 2):
        entry = HistoryEntry(number=number, completion_time="2026-11-23T11:45:00Z", reason=reason)
        before = DomainTrainingStatus(history=[entry])
        after = project(replace(seen, resource=resource(status=before)), Outcome(decide(seen)))
        assert decide(replace(seen, resource=resource(status=after))).step is Step.START


def test_a_record_that_a_revision_followed_is_not_superseded() -> None:
    """Somebody removed later records; nothing is told of an old run."""
    seen = Observed(resource(), NOW, record=record(2, "other"), revisions=(revision(3),))
    assert decide(seen).step is Step.REST


def test_going_back_before_the_next_run_started_goes_on_with_the_first() -> None:
    """That it was superseded holds only while it is."""
    plan = decide(Observed(resource(status=told(1)), NOW, record=record()))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 1)


def test_going_back_to_a_kept_revision_serves_it_without_a_run() -> None:
    """A revision that carries the hash is served; the running Job of the other spec is stopped."""
    seen = Observed(
        resource(status=told(2)),
        NOW,
        record=record(2, "other"),
        revisions=(revision(1),),
        served=revision(1),
        jobs=(job(2),),
    )
    plan = decide(seen)
    assert (plan.step, plan.run, plan.serve, len(plan.stop)) == (Step.REST, 1, None, 1)


def test_what_earlier_runs_left_goes_once_no_job_needs_it() -> None:
    """The last run's record stays: the next number and the attempt come from it."""
    seen = Observed(
        resource(), NOW, record=record(4), runs=(1, 2, 3, 4), revisions=(revision(1),), jobs=(job(2), job(4))
    )
    assert decide(seen).forget == (1, 3)
    ended = replace(seen, jobs=(job(2, active=False), job(4)))
    assert decide(ended).forget == (1, 2, 3)


def test_a_record_that_can_not_be_read_counts_and_is_not_pruned() -> None:
    """Another version of the operator may have written it."""
    seen = Observed(resource(hash="another"), NOW, record=record(2), runs=(1, 2, 3), revisions=(revision(2),))
    plan = decide(seen)
    assert (plan.forget, plan.run) == ((1,), 4)


def test_a_run_that_a_new_spec_stopped_is_told_as_superseded() -> None:
    """By a condition, from which the event comes, and in the history, also while the next run goes."""
    seen = Observed(resource(), NOW, record=record(run_hash="other"), jobs=(job(started=True),))
    first = project(seen, Outcome(decide(seen)))
    assert said(wire(first))["Trained"] == ("False", "Superseded")
    assert said(wire(first))["Ready"] == ("False", "Pending")
    entry = {"number": 1, "completionTime": "2026-11-23T12:00:00Z", "reason": "Superseded"}
    assert [wire(one) for one in first.history] == [entry | {"entities": "", "relations": ""}]
    later = Observed(
        resource(status=first),
        NOW + timedelta(minutes=1),
        record=record(2),
        jobs=(job(2),),
        revisions=(revision(2),),
    )
    assert shown(replace(later, revisions=()))["history"] == wire(first)["history"]
    one = replace(revision(2), manifest={"completionTime": "2026-11-23T12:01:00Z"})
    reasons = [entry["reason"] for entry in shown(replace(later, revisions=(one,)))["history"]]
    assert reasons == ["Promoted", "Superseded"]


def test_going_back_takes_superseded_out_of_the_history() -> None:
    """The run goes on; it did not end."""
    seen = Observed(resource(), NOW, record=record(run_hash="other"))
    first = project(seen, Outcome(decide(seen)))
    back = Observed(resource(status=first), NOW, record=record(run_hash=HASH), jobs=(job(),))
    assert "history" not in shown(back) or shown(back)["history"] == []
