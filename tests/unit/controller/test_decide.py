"""Decisions: the contract's sentences on what starts, stops, goes on and is served."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domaintraining.api.hashing import run_hash
from domaintraining.api.reasons import Reason
from domaintraining.api.report import Failure, Prompts
from domaintraining.api.run import Run, RunData
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import DomainTrainingStatus, Metrics, ModelStatus
from domaintraining.controller.attempt import Attempt, pause
from domaintraining.controller.decide import Step, decide, next_number, retrain_wanted
from domaintraining.controller.observed import (
    JobState,
    Observed,
    Preflight,
    ReportState,
    Resource,
    Revision,
    RunRecord,
)
from domaintraining.errors import DomainTrainingError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SPEC = DomainTrainingSpec.model_validate({"dataset": {"configMap": {"name": "data", "key": "samples.jsonl"}}})
MODEL = ModelStatus(name="qwen3:32b", digest="sha256:1", endpoint="http://ollama:11434", source="default")
HASH = run_hash(SPEC)


def resource(**changes: Any) -> Resource:
    """A DomainTraining that the API server would hold."""
    base = Resource("docs", "team", "uid-1", 1, {}, {}, SPEC, HASH, DomainTrainingStatus())
    return replace(base, **changes)


def record(number: int = 1, run_hash: str = HASH, **attempt: Any) -> RunRecord:
    """A run that was started."""
    run = Run(
        name="docs",
        namespace="team",
        uid="uid-1",
        domain="docs",
        number=number,
        hash=run_hash,
        image="domaintraining:1",
        tasks=["entities", "relations"],
        data=RunData(file="samples.jsonl", source="configmap data, key samples.jsonl"),
        model=MODEL,
    )
    values = {"number": 1, "start_time": "2026-11-23T11:00:00Z", "data_digest": "d", "settings_digest": "s"}
    return RunRecord(run, Attempt.model_validate(values | attempt))


def job(run: int = 1, attempt: int = 1, **changes: Any) -> JobState:
    """The Job of an attempt, active unless said otherwise."""
    base = JobState(f"docs-r{run}-a{attempt}", "uid-job", run, attempt, owned=True, active=True)
    return replace(base, **changes)


def revision(number: int, run_hash: str = HASH, *, promoted: bool = True, owned: bool = True) -> Revision:
    """A kept revision."""
    return Revision(number, run_hash, promoted, {"manifest.json": f"{number}"}, {}, owned)


def failed(reason: Reason, **changes: Any) -> dict[str, Any]:
    """Fields of an attempt that ended without a result at 11:30."""
    failure = Failure(reason=reason, message="it ended")
    return {"failure": failure, "failed_time": "2026-11-23T11:30:00Z"} | changes


def test_a_new_resource_starts_run_1() -> None:
    """Nothing is there: the first attempt at run 1."""
    plan = decide(Observed(resource(), NOW))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 1)


def test_a_killed_controller_creates_the_same_job_again() -> None:
    """The attempt is recorded and its Job is not there yet: the same name, no second attempt."""
    plan = decide(Observed(resource(), NOW, record=record()))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 1)


def test_a_running_job_is_watched() -> None:
    """One Job, whatever the number of reconciles."""
    plan = decide(Observed(resource(), NOW, record=record(), jobs=(job(),)))
    assert (plan.step, plan.stop) == (Step.WATCH, ())


def test_a_job_whose_result_was_taken_over_ends_by_itself() -> None:
    """Its log stays readable until its time to live is over, also when the spec changes meanwhile."""
    done = Observed(resource(), NOW, record=record(), revisions=(revision(1),), jobs=(job(),))
    assert decide(done).stop == ()
    changed = replace(done, resource=resource(hash="another"))
    assert (decide(changed).stop, decide(changed).step) == ((), Step.START)


def test_a_rejected_revision_is_not_served_and_not_tried_again() -> None:
    """Rejected is an end that needs a person."""
    plan = decide(Observed(resource(), NOW, record=record(), revisions=(revision(1, promoted=False),)))
    assert (plan.step, plan.serve) == (Step.REST, None)


def test_a_promoted_revision_is_served_and_an_edit_is_undone() -> None:
    """`<name>-prompt` always holds the served revision's bytes."""
    one = revision(1)
    edited = replace(one, data={"manifest.json": "edited"})
    for served in (None, edited):
        plan = decide(Observed(resource(), NOW, record=record(), revisions=(one,), served=served))
        assert plan.serve == one
    assert decide(Observed(resource(), NOW, record=record(), revisions=(one,), served=one)).serve is None


def test_an_edited_prompt_is_undone_while_another_spec_trains() -> None:
    """What is served stays served, byte for byte, until something better passes."""
    one = revision(1, "old")
    edited = replace(one, data={"manifest.json": "edited"})
    seen = Observed(resource(), NOW, record=record(2), jobs=(job(2),), revisions=(one,), served=edited)
    assert decide(seen).serve == one


def test_a_result_is_taken_over_before_anything_else() -> None:
    """Also when the Job ended or is gone."""
    result = Prompts.model_construct(metrics=Metrics(), manifest={})
    seen = Observed(resource(), NOW, record=record(), report=ReportState(result=result))
    assert decide(seen).step is Step.TAKE_OVER


def test_an_attempt_that_ended_without_result_is_recorded() -> None:
    """A failed Job, or one whose pod can't recover."""
    over = job(active=False, failed="BackoffLimitExceeded")
    lost = job(trouble=DomainTrainingError(Reason.OUT_OF_MEMORY, "oom"))
    for one in (over, lost):
        seen = Observed(resource(), NOW, record=record(), jobs=(one,))
        assert decide(seen).step is Step.RECORD_FAILURE


def test_trouble_that_passes_leaves_the_job_alone() -> None:
    """An unschedulable pod is waited for."""
    one = job(trouble=DomainTrainingError(Reason.UNSCHEDULABLE, "no node"))
    assert decide(Observed(resource(), NOW, record=record(), jobs=(one,))).step is Step.WATCH


def test_a_failure_that_needs_a_change_waits_for_one() -> None:
    """Neither time nor a restart starts it again; other data or other settings do."""
    seen = Observed(
        resource(),
        NOW + timedelta(days=9),
        record=record(**failed(Reason.DATASET_INVALID)),
        preflight=Preflight(data_digest="d", settings_digest="s"),
    )
    assert decide(seen).step is Step.WAIT
    for data, settings in (("d2", "s"), ("d", "s2")):
        preflight = Preflight(data_digest=data, settings_digest=settings)
        plan = decide(replace(seen, preflight=preflight))
        assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 2)


def test_data_that_disappeared_are_not_a_change_to_start_for() -> None:
    """A missing ConfigMap has no digest, and no run starts on it."""
    problem = DomainTrainingError(Reason.DATASET_NOT_FOUND, "gone")
    seen = Observed(
        resource(),
        NOW,
        record=record(**failed(Reason.DATASET_INVALID)),
        preflight=Preflight(settings_digest="s", data_problem=problem),
    )
    assert decide(seen).step is Step.WAIT


def test_a_failure_that_may_pass_is_tried_again_with_backoff() -> None:
    """Same number, one more attempt, after a pause that doubles."""
    seen = Observed(resource(), NOW, record=record(**failed(Reason.MODEL_SERVER_UNAVAILABLE)))
    at = datetime(2026, 11, 23, 11, 30, tzinfo=UTC) + timedelta(seconds=pause(1))
    assert decide(replace(seen, now=at - timedelta(seconds=1))).step is Step.WAIT
    plan = decide(replace(seen, now=at))
    assert (plan.step, plan.run, plan.attempt) == (Step.START, 1, 2)
    assert [pause(attempt) for attempt in (1, 2, 3, 20)] == [30, 60, 120, 1800]


@pytest.mark.parametrize(
    ("wanted", "handled", "asked"),
    [
        ("2026-11-23T12:00:00Z", None, True),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", False),
        ("2026-11-23T13:00:00+01:00", "2026-11-23T12:00:00Z", False),
        ("2026-11-23T12:00:01Z", "2026-11-23T12:00:00Z", True),
        ("soon", None, False),
        ("", None, False),
    ],
)
def test_retrain_is_asked_for_by_a_later_time(wanted: str, handled: str | None, *, asked: bool) -> None:
    """Only a time later than the last one that was acted on."""
    status = DomainTrainingStatus(last_handled_retrain_time=handled)
    annotations = {"training.aegisrag.io/retrain-requested-at": wanted}
    seen = Observed(resource(annotations=annotations, status=status), NOW)
    assert retrain_wanted(seen) is asked


def test_retrain_starts_a_run_with_the_same_hash_once() -> None:
    """The record of the run remembers what it acted on, also when the status was lost."""
    asked = resource(annotations={"training.aegisrag.io/retrain-requested-at": "2026-11-23T12:00:00Z"})
    seen = Observed(asked, NOW, record=record(), revisions=(revision(1),), served=revision(1))
    plan = decide(seen)
    assert (plan.step, plan.run) == (Step.START, 2)
    started = replace(seen, record=record(2, retrain="2026-11-23T12:00:00Z"), jobs=(job(2),))
    assert decide(started).step is Step.WATCH


def test_a_rejected_later_run_leaves_the_promoted_one_served() -> None:
    """Ready stays as it was: the promoted revision of the hash is the one that counts."""
    both = (revision(1), revision(2, promoted=False))
    plan = decide(Observed(resource(), NOW, record=record(2), revisions=both, served=both[0]))
    assert (plan.step, plan.run, plan.serve) == (Step.REST, 1, None)


def test_a_restored_resource_adopts_its_revisions_and_counts_on() -> None:
    """Revisions without today's owner are adopted; the next run has the next number."""
    left = (revision(3, owned=False), revision(4, "other", owned=False))
    seen = Observed(resource(), NOW, revisions=left)
    plan = decide(seen)
    assert (plan.adopt, plan.step, plan.run) == (left, Step.REST, 3)
    assert next_number(seen) == 5


def test_old_revisions_are_pruned_but_not_the_served_or_kept_ones() -> None:
    """Five stay, with the served one and those labelled to be kept."""
    revisions = tuple(revision(number, str(number)) for number in range(1, 9))
    kept = replace(revisions[1], keep=True)
    revisions = (revisions[0], kept, *revisions[2:])
    plan = decide(Observed(resource(), NOW, revisions=revisions, served=revisions[0]))
    assert [one.number for one in plan.prune] == [3]
