"""The role `trainer`: one attempt at one run, or at a check between two, in a pod of its own.

Exit codes: 0 the result is written; 3 a failure that needs a change; 75 a failure whose cause may pass. Both
failures stand in the report and in the container's termination message.
"""

import contextlib
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from domaintraining.api.budget import Spent
from domaintraining.api.reasons import Reason
from domaintraining.api.report import REPORT_KEY, Report
from domaintraining.api.run import Run
from domaintraining.api.status import ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard, origin_of
from domaintraining.reach import PLAIN, Reach
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.connect import Serve
from domaintraining.trainer.calls.server import GivenUp, ModelServer, OllamaServer, patience
from domaintraining.trainer.check import check
from domaintraining.trainer.costs import Costs
from domaintraining.trainer.kubereport import KubeReport, in_cluster_api
from domaintraining.trainer.log import JsonLog, captured
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import Reporter, ReportSink, failure_of
from domaintraining.trainer.session import Ending, Session
from domaintraining.trainer.settings import TrainerSettings
from domaintraining.trainer.training import train

SUCCESS: Final = 0
NEEDS_A_CHANGE: Final = 3
MAY_PASS: Final = 75
"""EX_TEMPFAIL of sysexits.h."""
TERMINATED: Final = 128 + signal.SIGTERM
MOST_SLOTS: Final = 64
LAST_WORDS_SECONDS: Final = 60.0
MAX_RUN_FILE: Final = 1_048_576


def main(argv: list[str]) -> int:
    """Run the trainer with its arguments (without the program's name) and give the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        settings = TrainerSettings.read(argv, os.environ)
        run = read_run(settings.run_file)
        sink = KubeReport(
            in_cluster_api(settings.credentials, settings.service),
            settings.report_namespace,
            settings.report_name,
        )
    except DomainTrainingError as error:
        JsonLog(sys.stdout, "unknown", "unknown").event("failed", error.message, reason=error.reason)
        _last_words(os.environ.get("TERMINATION_LOG"), error)
        return _code(error)
    folders = Folders(
        settings.data_dir,
        settings.served_dir,
        settings.journal_dir,
        settings.similar_dir,
        settings.data_credentials_dir,
        settings.reach,
    )
    serve = partial(ollama, reach=settings.reach)
    code, failure = attempt(run, folders, sink, serve, settings.attempt)
    if failure is not None:
        _last_words(settings.termination_log, failure)
    return code


def attempt(
    run: Run, folders: Folders, sink: ReportSink, serve: Serve, number: int = 1
) -> tuple[int, DomainTrainingError | None]:
    """One attempt at a run or a check: works, reports, logs to standard output.

    Args:
        run: the run.
        folders: what is mounted.
        sink: where the report goes.
        serve: makes model servers.
        number: of the attempt, from 1.

    Returns:
        The exit code, and what went wrong.
    """
    earlier = spent_before(run, sink)
    tally, ending = Tally(earlier=earlier), Ending()
    costs = Costs(earlier)
    budget = Budget(
        run.budget, earlier, lambda: tally.model_calls, short=lambda: tally.short_calls, models=costs.spent
    )
    log = JsonLog(sys.stdout, _called(run), run.domain)
    log.where = lambda: _where(tally)
    report = Report(run=run.number, attempt=number)
    reporter = Reporter(sink, report, tally.progress, spent=budget.spent, give_up=ending.leave)
    session = Session(run, tally, reporter, log, ending, budget, costs)
    with captured(log, verbose=run.verbose):
        reporter.start()
        log.event("run_started", f"attempt {number}", model=run.model.name, image=run.image)
        error = _ended(session, folders, serve)
        if error is not None:
            _report_failure(session, error)
        reporter.close()
    return (SUCCESS, None) if error is None else (_code(error), error)


def spent_before(run: Run, sink: ReportSink) -> Spent:
    """What the run cost before this attempt.

    The controller tells it when it starts a Job; a pod that takes the place of another one of the same Job
    finds the rest in the report.
    """
    try:
        report = Report.model_validate_json(sink.read().get(REPORT_KEY, ""))
    except ValidationError:
        return run.spent
    told = report.spent if report.run == run.number else None
    return told if told is not None and told.calls >= run.spent.calls else run.spent


def ollama(session: Session, model: ModelStatus, reach: Reach = PLAIN) -> ModelServer:
    """A model's Ollama server; its failures are told, and the last one ends the run."""
    run = session.run
    return OllamaServer(
        model.endpoint,
        permits=run.max_concurrent_requests or MOST_SLOTS,
        outage_seconds=run.outage_seconds,
        reach=replace(reach, guard=guard_of(run)),
        on_wait=session.waiting,
        on_recovered=session.recovered,
        give_up=session.ending.give_up,
        read_seconds=patience(run.options.max_tokens, run.max_concurrent_requests or 1),
    )


def guard_of(run: Run) -> Guard:
    """Refuses what no model server's name may lead to, but for the servers that the operator's owner named.

    A proxy is no server of the run: what stands behind it is checked there.
    """
    named = frozenset(map(origin_of, run.named_servers))
    return Guard(named, lambda: run.api_server)


def read_run(path: Path) -> Run:
    """The run as the controller wrote it.

    Raises:
        DomainTrainingError: it can't be read or is not valid (TrainerFailed); the message names the field.
    """
    try:
        with path.open("rb") as file:
            return Run.model_validate_json(file.read(MAX_RUN_FILE))
    except OSError as error:
        message = f"{path.name} can't be read: {error.strerror}"
        raise DomainTrainingError(Reason.TRAINER_FAILED, message) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = f"{path.name}: {field}: {first['msg']}"
        raise DomainTrainingError(Reason.TRAINER_FAILED, message) from error


def _ended(session: Session, folders: Folders, serve: Serve) -> DomainTrainingError | None:
    try:
        if session.run.check is not None:
            check(session, session.run.check, folders, serve)
        else:
            train(session, folders, serve)
    except GivenUp as given_up:
        return given_up.error
    except DomainTrainingError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the last resort: nothing is a result
        session.log.crash(error)
        what = f"{type(error).__name__} in the trainer; the job's log says where"
        return DomainTrainingError(Reason.TRAINER_FAILED, what)
    return None


def _report_failure(session: Session, error: DomainTrainingError) -> None:
    """Stop whatever still runs, and leave the reason where the controller finds it."""
    with contextlib.suppress(GivenUp):
        session.ending.give_up(error)
    session.log.event("failed", error.message, reason=error.reason, remedy=error.remedy)
    if error.reason is Reason.SUPERSEDED:
        return
    try:
        session.reporter.update(failure=failure_of(error), waiting=None)
        session.reporter.insist(LAST_WORDS_SECONDS)
    except DomainTrainingError as unwritten:
        session.log.event("report_not_written", unwritten.message)


def _called(run: Run) -> str:
    return f"{run.namespace}/{run.name}-{'check' if run.check else f'r{run.number}'}"


def _where(tally: Tally) -> tuple[int, str]:
    progress = tally.progress()
    return progress.percent, progress.step


def _code(error: DomainTrainingError) -> int:
    return MAY_PASS if error.retryable else NEEDS_A_CHANGE


def _last_words(path: str | Path | None, error: DomainTrainingError) -> None:
    """Kubernetes shows the file as the container's message; that it can't be written hides no error."""
    if path:
        with contextlib.suppress(OSError):
            Path(path).write_text(f"{error.reason}: {error.message}\n")


def _terminated(*_: Any) -> None:
    """A pod's first process has no default action for SIGTERM; without one it would be killed 30 s later."""
    os._exit(TERMINATED)
