"""The report ConfigMap: what the trainer tells the controller while it runs, and its result.

A report that cannot be written never stops the training; only the result insists.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from domaintraining.api.budget import Spent
from domaintraining.api.reasons import Reason
from domaintraining.api.report import REPORT_KEY, Failure, Prompts, Report
from domaintraining.api.status import Progress
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.outage import pauses
from domaintraining.trainer.calls.server import GiveUp, raise_given_up
from domaintraining.trainer.prompts.export import check_size

MAX_REPORT_BYTES: Final = 1_000_000
"""Most bytes of both revisions in the report; a ConfigMap holds 1,048,576 with everything."""

EVERY_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 30.0
"""A report in which nothing but times has changed is written so often."""
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
MAX_MESSAGE: Final = 1024


class NotWritten(Exception):  # noqa: N818 - a failure that may pass, caught where it is tried again
    """The report was not written; it may be the next time."""


class ReportSink(Protocol):
    """Where a report goes."""

    def publish(self, data: Mapping[str, str]) -> None:
        """Sets keys of the report and leaves the others.

        Raises:
            NotWritten: this time; it may pass.
            DomainTrainingError: the run is gone or superseded, or the report is too large.
        """

    def read(self) -> Mapping[str, str]:
        """All keys as they are now; empty where that cannot be found out."""


def failure_of(error: DomainTrainingError) -> Failure:
    """An error as the report holds it."""
    return Failure(reason=error.reason, message=error.message[:MAX_MESSAGE])


class Reporter:
    """Keeps the report and publishes it from a thread of its own, at most every 2 s.

    Args:
        sink: where it goes.
        report: the report to begin with.
        progress: asked for the counts each time.
        spent: asked for what the run has cost each time.
        give_up: ends the run when it is gone or superseded; called by the reporter's thread.
        sleep, clock: for tests.
    """

    def __init__(  # noqa: PLR0913 - the wiring of a seam
        self,
        sink: ReportSink,
        report: Report,
        progress: Callable[[], Progress],
        *,
        spent: Callable[[], Spent | None] = lambda: None,
        give_up: GiveUp = raise_given_up,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink, self._report = sink, report
        self._progress, self._spent = progress, spent
        self._give_up, self._sleep, self._clock = give_up, sleep, clock
        self._lock = threading.Lock()
        self._publishing = threading.Lock()
        self._prompts: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._told: Report | None = None
        self._told_at = 0.0
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begins to publish."""
        self._thread.start()

    def update(self, **changes: Any) -> None:
        """Sets fields of the report; they are published within two seconds, or at the next flush.

        Raises:
            TypeError: a name is no field of the report.
            ValidationError: a value is not one of its field.
        """
        if unknown := set(changes) - set(Report.model_fields):
            raise TypeError(f"no field of the report: {', '.join(sorted(unknown))}")
        with self._lock:
            self._report = Report(**{**dict(self._report), **changes})

    def attach(self, key: str, prompts: Prompts) -> None:
        """Adds the prompts of a revision under a key of the ConfigMap; sent once.

        Raises:
            DomainTrainingError: with those that are there it is too much (ResultTooLarge).
        """
        text = prompts.model_dump_json(by_alias=True, exclude_none=True)
        check_size("the report", [*self._prompts.values(), text], MAX_REPORT_BYTES)
        with self._lock:
            self._prompts[key] = text

    def flush(self) -> None:
        """Has the report published at once, without waiting for it."""
        self._wake.set()

    def insist(self, seconds: float) -> None:
        """Returns when the report as it is now has been written.

        Raises:
            DomainTrainingError: it could not be written within so many seconds (ObjectsRefused), the run is
                gone or superseded, or the report is too large.
        """
        deadline = self._clock() + seconds
        for pause in pauses():
            try:
                self._publish()
            except NotWritten as error:
                if self._clock() >= deadline:
                    message = f"the report could not be written for {seconds:.0f} s: {error}"
                    raise DomainTrainingError(Reason.OBJECTS_REFUSED, message) from error
                self._sleep(min(pause, LONGEST_PAUSE_SECONDS))
            else:
                return

    def close(self) -> None:
        """Stops the thread; what was not written yet stays so."""
        self._closed.set()
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(CONNECT_SECONDS + READ_SECONDS)

    def _run(self) -> None:
        retry = pauses()
        pause = 0.0
        while not self._closed.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._publish()
            except NotWritten:
                pause = min(next(retry), LONGEST_PAUSE_SECONDS)
            except DomainTrainingError as error:
                self._give_up(error)
            else:
                retry = pauses()
                pause = EVERY_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - spreads the writers

    def _publish(self) -> None:
        with self._publishing:
            with self._lock:
                now = {"progress": self._progress(), "spent": self._spent()}
                report = self._report.model_copy(update=now)
                new = {key: text for key, text in self._prompts.items() if self._sent.get(key) != text}
            told = _timeless(report)
            if not new and told == self._told and self._clock() - self._told_at < HEARTBEAT_SECONDS:
                return
            self._sink.publish({REPORT_KEY: report.model_dump_json(by_alias=True, exclude_none=True), **new})
            self._sent |= new
            self._told, self._told_at = told, self._clock()


def _timeless(report: Report) -> Report:
    """What a report says, whenever it says it."""
    times = dict.fromkeys(("estimated_completion_time", "estimated_seconds", "last_updated_time"))
    progress = report.progress.model_copy(update=times)
    return report.model_copy(update={"progress": progress, "spent": None})


class RecordedReport:
    """The shipped fake: keeps what it is given; raises what it was told to, once each."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.data: dict[str, str] = {}
        self.writes: list[dict[str, str]] = []

    def publish(self, data: Mapping[str, str]) -> None:
        """Merges the data, or raises the next failure."""
        if self._failures:
            raise self._failures.pop(0)
        self.writes.append(dict(data))
        self.data |= data

    def read(self) -> Mapping[str, str]:
        """What it was given so far."""
        return dict(self.data)

    @property
    def report(self) -> Report:
        """The report as the controller would read it."""
        return Report.model_validate_json(self.data[REPORT_KEY])
