"""What the stages of a run share, and how it ends."""

import json
from io import StringIO

import pytest

from domaintraining.api.budget import Limits, Spent
from domaintraining.api.reasons import Reason
from domaintraining.api.report import Report
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer
from domaintraining.trainer.log import JsonLog
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.reporter import NotWritten, RecordedReport, Reporter
from domaintraining.trainer.session import CountedServer, Ending, Session
from tests.unit.trainer.scripted import make_run

BODY = {"model": "m", "messages": []}
GONE = DomainTrainingError(Reason.SUPERSEDED, "gone")
BROKEN = DomainTrainingError(Reason.TRAINER_FAILED, "broken")


def make_session(sink: RecordedReport) -> tuple[Session, StringIO]:
    tally, stream = Tally(), StringIO()
    reporter = Reporter(sink, Report(run=1, attempt=1), tally.progress, sleep=lambda _: None)
    budget = Budget(Limits(), Spent(), lambda: 0)
    return Session(make_run(), tally, reporter, JsonLog(stream, "r", "d"), Ending(), budget), stream


def test_the_first_error_is_the_one_that_counts() -> None:
    """Errors that follow from the first one don't hide it."""
    ending = Ending()
    for error in (GONE, BROKEN):
        with pytest.raises(GivenUp) as given_up:
            ending.give_up(error)
        assert given_up.value.error is GONE


def test_a_run_that_is_being_ended_calls_no_model() -> None:
    """Threads that DSPy leaves behind get no further answer, and count none."""
    tally, ending, server = Tally(), Ending(), ScriptedServer(lambda _: "{}")
    counted = CountedServer(server, tally, ending)
    counted.chat(BODY)
    with pytest.raises(SystemExit):
        ending.leave(GONE)
    with pytest.raises(GivenUp):
        counted.chat(BODY)
    assert len(server.bodies) == tally.progress().model_calls == 1


def test_an_api_server_that_is_away_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be announced is told later; the log says so."""
    monkeypatch.setattr("domaintraining.trainer.session.ANNOUNCE_SECONDS", 0.0)
    session, stream = make_session(RecordedReport(NotWritten("away")))
    session.announce()
    assert json.loads(stream.getvalue())["event_type"] == "report_late"


def test_a_report_that_belongs_to_another_run_stops_the_run() -> None:
    """Nothing is trained for a run that is gone."""
    session, _ = make_session(RecordedReport(GONE))
    with pytest.raises(DomainTrainingError):
        session.announce()


def test_waiting_for_the_model_server_stands_in_the_report_while_it_lasts() -> None:
    """The report says what is waited for, and no longer when it is over."""
    sink = RecordedReport()
    session, stream = make_session(sink)
    session.waiting("http://ollama/api/chat: HTTP 503")
    session.reporter.insist(1)
    waiting = sink.report.waiting
    assert waiting
    assert waiting.reason is Reason.MODEL_SERVER_UNAVAILABLE
    session.recovered()
    session.reporter.insist(1)
    assert sink.report.waiting is None
    assert len(stream.getvalue().splitlines()) == 2
