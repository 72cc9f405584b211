"""Status: conditions as kstatus reads them, counts that never fall, and only true numbers."""

from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.report import Failure, Report
from domaintraining.api.runs import RunStatus
from domaintraining.api.status import DomainTrainingStatus, Metrics, Progress, Scores, TaskMetrics, wire
from domaintraining.controller.decide import decide
from domaintraining.controller.observed import Observed, ReportState
from domaintraining.controller.project import Outcome, f1_text, project
from domaintraining.errors import DomainTrainingError
from tests.unit.controller.test_decide import HASH, NOW, failed, job, record, resource, revision

METRICS = Metrics(
    entities=TaskMetrics(
        f1=0.8, precision=0.8, recall=0.8, baseline=Scores(f1=0.5, precision=0.5, recall=0.5), documents=20
    )
)


def shown(observed: Observed, problem: DomainTrainingError | None = None) -> dict[str, Any]:
    """The status as the API server would get it."""
    return wire(project(observed, Outcome(decide(observed), problem)))


def said(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_served_prompt_is_ready_and_neither_reconciling_nor_stalled() -> None:
    """Kstatus reads Current."""
    one = replace(revision(1), manifest={"metrics": wire(METRICS), "completionTime": "2026-11-23T11:59:00Z"})
    status = shown(Observed(resource(), NOW, record=record(), revisions=(one,), served=one))
    conditions = said(status)
    assert conditions["Ready"] == conditions["Available"] == conditions["Promoted"] == ("True", "Promoted")
    assert "Reconciling" not in conditions
    assert "Stalled" not in conditions
    assert status["summary"]["entities"] == "0.500→0.800"
    assert status["progress"]["percent"] == 100
    assert status["history"][0]["reason"] == "Promoted"
    assert status["observedGeneration"] == 1


def test_a_running_job_is_reconciling() -> None:
    """Queued until its pod runs, then Training."""
    for started, reason in ((False, "Queued"), (True, "Training")):
        status = shown(Observed(resource(), NOW, record=record(), jobs=(job(started=started),)))
        assert said(status)["Ready"] == ("False", reason)
        assert said(status)["Reconciling"][0] == "True"


@pytest.mark.parametrize("reason", [one for one in Reason if REASONS[one].stalled and one != "Rejected"])
def test_every_end_that_needs_a_person_is_stalled_and_says_what_to_do(reason: Reason) -> None:
    """Never reconciling at the same time; the remedy stands in the message."""
    problem = DomainTrainingError(reason, "it happened here")
    status = shown(Observed(resource(), NOW), problem)
    conditions = said(status)
    assert conditions["Stalled"] == ("True", reason.value)
    assert conditions["Ready"] == ("False", "Failed")
    assert "Reconciling" not in conditions
    message = next(one["message"] for one in status["conditions"] if one["type"] == "Stalled")
    assert message.startswith("it happened here. ")
    assert REASONS[reason].remedy in message


@pytest.mark.parametrize("reason", [one for one in Reason if REASONS[one].passes])
def test_what_may_pass_is_reconciling_and_not_stalled(reason: Reason) -> None:
    """GitOps tools go on waiting."""
    conditions = said(shown(Observed(resource(), NOW), DomainTrainingError(reason, "for now")))
    assert conditions["Reconciling"] == ("True", reason.value)
    assert conditions["Ready"] == ("False", "Pending")
    assert "Stalled" not in conditions


def test_a_rejected_run_is_stalled_and_leaves_the_earlier_prompt_available() -> None:
    """Available is about any generation, Ready about this one."""
    old, new = revision(1, "old"), revision(2, promoted=False)
    conditions = said(shown(Observed(resource(), NOW, record=record(2), revisions=(old, new), served=old)))
    assert conditions["Ready"] == ("False", "Rejected")
    assert conditions["Stalled"] == ("True", "Rejected")
    assert conditions["Available"] == ("True", "Promoted")


def test_a_recorded_failure_is_told_until_the_next_attempt() -> None:
    """The reason survives the Job."""
    conditions = said(shown(Observed(resource(), NOW, record=record(**failed(Reason.OUT_OF_MEMORY)))))
    assert conditions["Trained"] == ("False", "OutOfMemory")
    assert conditions["Stalled"] == ("True", "OutOfMemory")


def test_waiting_for_the_model_server_is_told_while_the_job_runs() -> None:
    """The trainer waits; no score is taken."""
    waiting = Failure(reason=Reason.MODEL_SERVER_UNAVAILABLE, message="refused")
    report = ReportState(Report(run=1, attempt=1, waiting=waiting))
    seen = Observed(resource(), NOW, record=record(), jobs=(job(started=True),), report=report)
    conditions = said(shown(seen))
    assert conditions["ModelReady"] == ("False", "ModelServerUnavailable")
    assert conditions["Ready"] == ("False", "Training")


def test_the_percentage_never_falls_within_a_run() -> None:
    """A second attempt counts from 0; status goes on from where it was."""
    before = DomainTrainingStatus(run=RunStatus(number=1, hash=HASH), progress=Progress(percent=60))
    report = ReportState(Report(run=1, attempt=2, progress=Progress(percent=10)))
    seen = Observed(
        resource(status=before), NOW, record=record(number=1), jobs=(job(started=True),), report=report
    )
    assert shown(seen)["progress"]["percent"] == 60
    other = replace(seen, resource=resource(status=before), record=record(2))
    assert shown(other)["progress"]["percent"] == 10


def test_advice_is_that_of_the_current_run_and_outlives_its_report() -> None:
    """A later run has none until its own search is over."""
    told = ["entities: nearly every candidate got line 7 wrong: look at the labels there"]
    report = ReportState(Report(run=1, attempt=1, advice=told))
    seen = Observed(resource(), NOW, record=record(), jobs=(job(started=True),), report=report)
    assert shown(seen)["advice"] == told
    before = DomainTrainingStatus(run=RunStatus(number=1, hash=HASH), advice=told)
    gone = Observed(resource(status=before), NOW, record=record(number=1))
    assert shown(gone)["advice"] == told
    assert shown(replace(gone, record=record(2)))["advice"] == []


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (["entities: as many samples"], ["entities: as many samples"]),
        (["a"] * 6, []),
        (["a\x1b[2J"], ["a [2J"]),
        ({}, []),
    ],
    ids=["as the trainer wrote it", "too many lines", "a terminal's commands", "no list"],
)
def test_advice_of_a_run_whose_trainer_ran_elsewhere_is_its_revisions(kept: Any, told: list[str]) -> None:
    """A reused run has no report, and nothing of it was told here before; a manifest is hostile input."""
    ended = revision(1)
    ended = replace(ended, manifest=ended.manifest | {"advice": kept})
    before = DomainTrainingStatus(run=RunStatus(number=1, hash=HASH))
    seen = Observed(resource(status=before), NOW, record=record(number=1), revisions=(ended,))
    assert shown(seen)["advice"] == told


def test_a_report_can_not_claim_a_result_that_is_not_kept() -> None:
    """100 % only with the revision."""
    report = ReportState(Report(run=1, attempt=1, progress=Progress(percent=100)))
    seen = Observed(resource(), NOW, record=record(), jobs=(job(started=True),), report=report)
    assert shown(seen)["progress"]["percent"] == 99


def test_only_the_baseline_is_shown_while_there_is_no_revision() -> None:
    """No F1 without a result."""
    baseline = Metrics(entities=TaskMetrics(baseline=Scores(f1=0.5, precision=0.5, recall=0.5)))
    report = ReportState(Report(run=1, attempt=1, baseline=baseline))
    status = shown(Observed(resource(), NOW, record=record(), jobs=(job(started=True),), report=report))
    assert "f1" not in status["metrics"]["entities"]
    assert status["summary"]["entities"] == "0.500→"


def test_transition_times_change_with_the_status_only() -> None:
    """A new message keeps the time."""
    seen = Observed(resource(), NOW, record=record(), jobs=(job(),))
    first = project(seen, Outcome(decide(seen)))
    old = [
        one.model_copy(update={"last_transition_time": "2020-01-01T00:00:00Z"}) for one in first.conditions
    ]
    later = replace(
        seen,
        resource=resource(status=first.model_copy(update={"conditions": old})),
        jobs=(job(started=True),),
    )
    times = {one["lastTransitionTime"] for one in shown(later)["conditions"]}
    assert times == {"2020-01-01T00:00:00Z"}


def test_an_unmeasured_f1_is_an_empty_column() -> None:
    """Nothing is made up where nothing was measured."""
    assert f1_text(None) == ""
    assert f1_text(TaskMetrics()) == ""


def test_the_operators_defaults_of_today_are_told_by_no_status() -> None:
    """Without a run the mode is the spec's or none: another default changes no status."""
    assert "auto" not in shown(Observed(resource(), NOW))
    assert (
        shown(Observed(resource(spec=resource().spec.model_copy(update={"auto": "heavy"})), NOW))["auto"]
        == "heavy"
    )
