"""The report reaches its ConfigMap, never stops the training, and its result insists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Prompts, Report
from domaintraining.api.status import Metrics, Progress
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.reporter import NotWritten, RecordedReport, Reporter, failure_of
from tests.unit.trainer.loopback import Clock

GONE = DomainTrainingError(Reason.SUPERSEDED, "gone")


class Counted:
    """Progress that a test sets."""

    def __init__(self) -> None:
        self.percent = 0
        self.seconds = 0

    def __call__(self) -> Progress:
        return Progress(percent=self.percent, last_updated_time=f"2026-01-01T12:00:{self.seconds:02}Z")


class AwaitedReport(RecordedReport):
    """Tells when something was written."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__(*failures)
        self.arrived = threading.Semaphore(0)

    def publish(self, data: Mapping[str, str]) -> None:
        super().publish(data)
        self.arrived.release()


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def report(clock: Clock, counted: Counted) -> Callable[..., Reporter]:
    def make(sink: RecordedReport, **settings: Any) -> Reporter:
        return Reporter(sink, Report(run=3, attempt=1), counted, sleep=clock.sleep, clock=clock, **settings)

    return make


def prompts() -> Prompts:
    return Prompts.model_construct(metrics=Metrics(), manifest={"seed": 9})


def test_the_report_goes_out_with_the_counts_of_the_moment(
    report: Callable[..., Reporter], counted: Counted
) -> None:
    sink = RecordedReport()
    reporter = report(sink)
    counted.percent = 41
    reporter.update(failure=failure_of(DomainTrainingError(Reason.TRAINER_FAILED, "x" * 5000)))
    reporter.insist(60)
    assert sink.report.progress.percent == 41
    assert sink.report.failure is not None
    assert len(sink.report.failure.message) == 1024
    assert (sink.report.run, sink.report.attempt) == (3, 1)


def test_unknown_fields_and_wrong_values_are_refused(report: Callable[..., Reporter]) -> None:
    reporter = report(RecordedReport())
    with pytest.raises(TypeError, match="no field of the report: waitng"):
        reporter.update(waitng=None)
    with pytest.raises(ValidationError):
        reporter.update(waiting="server down")


def test_prompts_are_sent_once_beside_the_report(report: Callable[..., Reporter], counted: Counted) -> None:
    sink = RecordedReport()
    reporter = report(sink)
    reporter.attach(BASELINE_KEY, prompts())
    reporter.insist(60)
    counted.percent = 50
    reporter.insist(60)
    reporter.attach(RESULT_KEY, prompts())
    reporter.insist(60)
    assert [set(write) for write in sink.writes] == [
        {REPORT_KEY, BASELINE_KEY},
        {REPORT_KEY},
        {REPORT_KEY, RESULT_KEY},
    ]


def test_a_report_with_nothing_new_is_written_every_half_minute_only(
    report: Callable[..., Reporter], counted: Counted, clock: Clock
) -> None:
    sink = RecordedReport()
    reporter = report(sink)
    for second in range(5):
        counted.seconds = second
        reporter.insist(60)
    assert len(sink.writes) == 1
    clock.now += 31
    reporter.insist(60)
    assert len(sink.writes) == 2


def test_the_result_insists_until_it_is_written(report: Callable[..., Reporter], clock: Clock) -> None:
    sink = RecordedReport(*[NotWritten("HTTP 503")] * 5)
    report(sink).insist(600)
    assert len(sink.writes) == 1
    assert len(clock.slept) == 5
    assert max(clock.slept) <= 5


def test_insisting_ends_with_the_outage_budget(report: Callable[..., Reporter], clock: Clock) -> None:
    sink = RecordedReport(*[NotWritten("configmap lab/x: HTTP 503")] * 1000)
    with pytest.raises(DomainTrainingError, match="60 s: configmap lab/x: HTTP 503") as error:
        report(sink).insist(60)
    assert error.value.retryable
    assert 60 <= clock.now - 1000 <= 70


def test_a_run_that_is_gone_is_said_at_once(report: Callable[..., Reporter], clock: Clock) -> None:
    with pytest.raises(DomainTrainingError, match="gone"):
        report(RecordedReport(GONE)).insist(600)
    assert clock.slept == []


def test_the_thread_publishes_by_itself_and_at_once_when_flushed(
    report: Callable[..., Reporter], counted: Counted
) -> None:
    sink = AwaitedReport()
    reporter = report(sink)
    reporter.start()
    assert sink.arrived.acquire(timeout=5)
    counted.percent = 45
    reporter.flush()
    assert sink.arrived.acquire(timeout=5)
    reporter.close()
    assert sink.report.progress.percent == 45


def test_a_failing_api_server_does_not_stop_anything(report: Callable[..., Reporter]) -> None:
    sink = AwaitedReport(*[NotWritten("HTTP 503")] * 3)
    reporter = report(sink)
    reporter.start()
    for _ in range(50):
        reporter.flush()
        if sink.arrived.acquire(timeout=0.05):
            break
    reporter.close()
    assert len(sink.writes) >= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_thread_gives_up_when_the_run_is_gone(report: Callable[..., Reporter]) -> None:
    ended = threading.Event()
    reasons: list[Reason] = []

    def give_up(error: DomainTrainingError) -> Any:
        reasons.append(error.reason)
        ended.set()
        raise SystemExit

    reporter = report(RecordedReport(GONE), give_up=give_up)
    reporter.start()
    assert ended.wait(5)
    reporter.close()
    assert reasons == [Reason.SUPERSEDED]
