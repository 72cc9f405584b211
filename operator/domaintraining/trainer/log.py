"""The job's log: JSON lines on stdout, in our own words only.

DSPy, optuna and tqdm write sample texts, prompts and answers to loggers, stdout and stderr (on errors whole
examples). So all of that is caught: a line passes only if it is one of the few that are known, and then as
our own sentence with nothing of theirs in it but numbers. Unknown warnings are counted by their place.
"""

import io
import json
import logging
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from traceback import extract_tb
from typing import Any, Final, TextIO

from domaintraining.api.spec import Task

MAX_LINE: Final = 4096
MAX_MESSAGE: Final = 1024
MAX_PARTIAL_LINE: Final = 8 * 1024
"""Most that is kept of a caught line before its end is seen."""
FRAMES: Final = 12
LIBRARIES: Final = ("dspy", "optuna")
NUMBER: Final = r"(-?\d+(?:\.\d+)?)"
ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")

Where = Callable[[], tuple[int, str]]
"""Percentage and step of the run at this moment."""

_task: ContextVar[Task | None] = ContextVar("task", default=None)


@contextmanager
def about(task: Task) -> Iterator[None]:
    """Lines that this thread causes inside are about a task."""
    token = _task.set(task)
    try:
        yield
    finally:
        _task.reset(token)


@dataclass(frozen=True, slots=True)
class Known:
    """A line of a library that may be told, and how."""

    theirs: re.Pattern[str]
    event: str
    ours: str
    fields: tuple[str, ...] = ()
    """What the numbers in their line are."""


def _known(theirs: str, event: str, ours: str, *fields: str) -> Known:
    return Known(re.compile(theirs.replace("#", NUMBER), re.DOTALL), event, ours, fields)


MIPRO_LINES: Final = (
    _known(r"==> STEP 1: .*", "search_step", "MIPROv2 collects demos"),
    _known(r"==> STEP 2: .*", "search_step", "MIPROv2 proposes instructions"),
    _known(r"==> STEP 3: .*", "search_step", "MIPROv2 tries combinations of instruction and demos"),
    _known(r"Bootstrapping N=# sets .*", "demo_sets", "making sets of demos", "sets"),
    _known(r"Bootstrapping set #/#", "demo_set", "making a set of demos", "set", "sets"),
    _known(
        r"Bootstrapped # full traces after # examples for up to # rounds, amounting to # attempts\.",
        "demo_set_made",
        "demos collected",
        "demos",
        "last_sample",
        "rounds",
        "attempts",
    ),
    _known(r"Proposing N=# instructions\.\.\.", "proposals", "proposing instructions", "instructions"),
    _known(r"== Trial # / \d+ - Minibatch ==", "trial_started", "trial on a minibatch", "trial"),
    _known(r"=+ Trial # / \d+ - Full Evaluation.*", "full_evaluation", "full evaluation", "trial"),
    _known(r"=+ Trial # / \d+ =+", "trial_started", "trial", "trial"),
    _known(r"Default program score: #", "start_scored", "the start is scored", "score"),
    _known(r"Score: # on minibatch of size # with .*", "trial_scored", "trial scored", "score", "samples"),
    _known(r"Score: # with parameters .*", "trial_scored", "trial scored", "score"),
    _known(r"Best (?:full )?score so far!? (?:Score: )?#", "best_score", "best score so far", "score"),
    _known(r"Best (?:full )?score so far: #", "best_score", "best score so far", "score"),
    _known(r"New best full eval score! Score: #", "best_score", "best score so far", "score"),
    _known(r"Returning best identified program with score #!", "search_ended", "search ended", "score"),
)


class JsonLog:
    """Writes one JSON object a line, at most 4 KiB each; used by many threads.

    Args:
        stream: where the lines go.
        run_id: training_run_id of every line.
        domain: domain of every line.
        where: percentage and step of the run.
        now: the time.
    """

    def __init__(
        self,
        stream: TextIO,
        run_id: str,
        domain: str,
        where: Where = lambda: (0, "initializing"),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._run_id, self._domain = run_id, domain
        self.where = where
        self._now = now
        self._lock = threading.Lock()

    def event(self, event_type: str, message: str, **data: Any) -> None:
        """One line. `message` and `data` must hold no sample text; data too large for a line is left out."""
        percent, phase = self.where()
        line: dict[str, Any] = {
            "event_type": event_type,
            "timestamp": self._now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "training_run_id": self._run_id,
            "domain": self._domain,
            "progress_percent": percent,
            "phase": phase,
            "message": message[:MAX_MESSAGE],
            "data": data,
        }
        if (task := _task.get()) is not None:
            line["data"] = {"task": task, **data}
        self._write(line)

    def crash(self, error: BaseException) -> None:
        """What ended the trainer: the kind of error and where, not its words, which may quote a sample."""
        frames = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in extract_tb(error.__traceback__)[-FRAMES:]
        ]
        self.event("crashed", f"{type(error).__name__} ended the trainer", frames=frames)

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, default=lambda value: type(value).__name__)
        if len(text) >= MAX_LINE:
            text = json.dumps(line | {"data": {"left_out": len(text)}, "message": line["message"][:256]})
        with self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()


class Listener:
    """Turns lines of libraries into events: known ones in our words, warnings by their place.

    Args:
        log: where events go.
        verbose: whether known lines are told.
    """

    def __init__(self, log: JsonLog, *, verbose: bool) -> None:
        self._log = log
        self._verbose = verbose
        self._seen: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def heard(self, line: str) -> bool:
        """Tells a line if it is a known one; whether it was."""
        text = ANSI.sub("", line).strip()
        for known in MIPRO_LINES:
            if found := known.theirs.fullmatch(text):
                numbers = (float(number) if "." in number else int(number) for number in found.groups())
                if self._verbose:
                    self._log.event(known.event, known.ours, **dict(zip(known.fields, numbers, strict=True)))
                return True
        return False

    def record(self, record: logging.LogRecord) -> None:
        """A log record of a library."""
        if not self.heard(_message(record)) and record.levelno >= logging.WARNING:
            self._warn(record)

    def _warn(self, record: logging.LogRecord) -> None:
        place = (record.name, record.lineno)
        with self._lock:
            self._seen[place] += 1
            times = self._seen[place]
        if times not in {1, 10, 100} and times % 1000:
            return
        error = record.exc_info[0] if record.exc_info else None
        self._log.event(
            "library_warning",
            f"{record.name} logged a {record.levelname.lower()}; its words are left out",
            logger=record.name,
            place=f"{record.filename}:{record.lineno}",
            error=error.__name__ if error else None,
            times=times,
        )


class _Handler(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener.record(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it so
        """Says nothing: logging's own way prints the record."""


class _Caught(io.TextIOBase):
    """Stands in for stdout and stderr: complete lines are heard, nothing is printed."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._partial = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        kept = getattr(self._partial, "text", "") + text
        *lines, rest = kept.split("\n")
        self._partial.text = rest[-MAX_PARTIAL_LINE:]
        for line in lines:
            self._listener.heard(line)
        return len(text)


@contextmanager
def captured(log: JsonLog, *, verbose: bool) -> Iterator[None]:
    """Catches everything that libraries log, print or warn inside, and errors that end a thread.

    `log` must have been made with the stream of before. The loggers of DSPy and optuna lose their handlers.
    """
    listener = Listener(log, verbose=verbose)
    caught = _Caught(listener)
    stdout, stderr, hooks = sys.stdout, sys.stderr, (sys.excepthook, threading.excepthook)
    loggers = [logging.getLogger(name) for name in (None, *LIBRARIES)]
    handlers = [(logger, list(logger.handlers), logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [_Handler(listener)], False
    logging.captureWarnings(capture=True)
    sys.stdout, sys.stderr = caught, caught
    sys.excepthook = lambda _, error, __: log.crash(error)
    threading.excepthook = lambda ended: _thread_ended(log, ended)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        sys.excepthook, threading.excepthook = hooks
        logging.captureWarnings(capture=False)
        for logger, before, propagate in handlers:
            logger.handlers, logger.propagate = before, propagate


def _thread_ended(log: JsonLog, ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        log.crash(ended.exc_value)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a record that cannot be formatted says nothing
        return ""
