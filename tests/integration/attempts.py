"""Attempts at one run against a simulated model server: in this process, or in one that can be killed.

No cluster takes part: what a trainer's pod finds mounted is a folder, its report a stand-in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Report
from domaintraining.api.run import Run
from domaintraining.api.status import ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import ModelServer, OllamaServer
from domaintraining.trainer.journal.answerfile import read_header, read_lines
from domaintraining.trainer.main import attempt
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from domaintraining.trainer.search.finished import SEARCH
from domaintraining.trainer.session import Session
from tests.integration.watched_ollama import MODEL, SLOTS, Action
from tests.sandbox.cluster import REPOSITORY
from tests.unit.trainer.loopback import Loopback, Received, Reply

ROWS: Final = (
    (REPOSITORY / "crds" / "samples" / "tech-docs.jsonl").read_text(encoding="utf-8").splitlines()[:40]
)
CHILD_SECONDS: Final = 120

Json = dict[str, Any]


class Mounts:
    """The folders of a trainer's pod, with samples."""

    def __init__(self, folder: Path, rows: list[str] = ROWS, journal: Path | None = None) -> None:
        self.data, self.served, self.run_file = folder / "data", folder / "served", folder / "run.json"
        self.journal = journal or folder / "journal"
        self.words = folder / "words"
        for made in (self.data, self.journal):
            made.mkdir(parents=True, exist_ok=True)
        (self.data / "samples.jsonl").write_text("\n".join(rows), encoding="utf-8")

    @property
    def folders(self) -> Folders:
        """As an attempt takes them."""
        return Folders(self.data, self.served, self.journal)

    def kept(self) -> list[str]:
        """The keys of all answers in the journal, without the ends of searches."""
        lines = [line for path in self._files() for line in _answers(path)]
        return [json.loads(line)["k"] for line in lines]

    def forget_ends(self) -> None:
        """Take the ends of searches out of the journal, so that they are made again from its answers."""
        for path in self._files():
            kept = b"".join(_answers(path))
            with path.open("rb") as file:
                header = file.readline()
            path.write_bytes(header + kept)

    def _files(self) -> list[Path]:
        return sorted(self.journal.glob("*/*.jsonl"))


def _answers(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        header = read_header(file)
        lines = list(read_lines(file, header.length)) if header else []
    whole = path.read_bytes()
    for line in lines:
        text = whole[line.offset : line.offset + line.length]
        if line.key is not None and json.loads(text)["done_reason"] != SEARCH:
            yield text


def make_run(url: str, **changes: Any) -> Run:
    """A run of both tasks on a simulated server."""
    model = ModelStatus(name=MODEL, digest="sha256:simulated", endpoint=url, source="spec")
    values: Json = {
        "name": "docs",
        "namespace": "lab",
        "uid": "0",
        "domain": "tech_docs",
        "number": 1,
        "hash": "0",
        "image": "trainer",
        "tasks": ["entities", "relations"],
        "data": {"file": "samples.jsonl", "source": "configmap samples"},
        "model": model.model_dump(by_alias=True),
        "maxConcurrentRequests": SLOTS,
        "namedServers": [url],
        "verbose": True,
    }
    return Run.model_validate(values | changes)


class Revisions(NamedTuple):
    """Both revisions of a report, byte for byte; they hold no times."""

    baseline: str
    result: str

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Revisions:
        """Those in a report."""
        return cls(data[BASELINE_KEY], data[RESULT_KEY])


class Ended(NamedTuple):
    """An attempt that ended."""

    code: int
    error: DomainTrainingError | None
    data: dict[str, str]
    log: list[Json]

    @property
    def revisions(self) -> Revisions:
        """What it reported."""
        return Revisions.of(self.data)

    @property
    def report(self) -> Report:
        """Its last report."""
        return Report.model_validate_json(self.data[REPORT_KEY])

    def scores(self, task: str) -> list[float]:
        """The scores of a task's search, in the order of its trials."""
        scored = {"start_scored", "trial_scored", "search_ended"}
        events = [one["data"] for one in self.log if one["event_type"] in scored]
        return [data["score"] for data in events if data["task"] == task]


class FastTime:
    """Time that passes so many times as fast."""

    def __init__(self, times: float) -> None:
        self._times = times

    def clock(self) -> float:
        """Seconds that never fall."""
        return time.monotonic() * self._times

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds / self._times)


class WatchedReport(RecordedReport):
    """The shipped fake, which does something when a report says for the first time that it waits."""

    def __init__(self, on_waiting: Action = lambda: None) -> None:
        super().__init__()
        self._on_waiting = on_waiting
        self.waits: list[str] = []
        """What was waited for, each time anew."""
        self.waiting = False

    def publish(self, data: Mapping[str, str]) -> None:
        """As the base class."""
        super().publish(data)
        waiting = self.report.waiting
        if waiting is not None and not self.waiting:
            self.waits.append(f"{waiting.reason}: {waiting.message}")
            self._on_waiting()
        self.waiting = waiting is not None


def attempt_here(
    mounts: Mounts,
    run: Run,
    sink: RecordedReport | None = None,
    passing: FastTime | None = None,
    read_seconds: float = 60.0,
) -> Ended:
    """One attempt in this process.

    Args:
        mounts: its folders.
        run: the run.
        sink: its report.
        passing: the time of its calls: pauses and budgets.
        read_seconds: real seconds for one answer.
    """
    time_ = passing or FastTime(1.0)

    def serve(session: Session, model: ModelStatus) -> ModelServer:
        server = OllamaServer(
            model.endpoint,
            permits=16,
            outage_seconds=run.outage_seconds,
            on_wait=session.waiting,
            on_recovered=session.recovered,
            give_up=session.ending.give_up,
            read_seconds=read_seconds,
            sleep=time_.sleep,
            clock=time_.clock,
        )
        connections.callback(server.close)
        return server

    report = sink or RecordedReport()
    with redirect_stdout(StringIO()) as log, ExitStack() as connections:
        code, error = attempt(run, mounts.folders, report, serve)
    return Ended(code, error, report.data, [json.loads(line) for line in log.getvalue().splitlines()])


class SimulatedApi(Loopback):
    """A stand-in for the API server: one report ConfigMap, merged from patches."""

    def __init__(self) -> None:
        super().__init__(self._patched)
        self.data: dict[str, str] = {}
        self.orders: dict[str, Action] = {}
        """What to do, once, when a key comes, before it is written."""

    @property
    def report(self) -> Report:
        """The last report."""
        return Report.model_validate_json(self.data[REPORT_KEY])

    def _patched(self, request: Received) -> Reply:
        try:
            data: dict[str, str] = request.json["data"]
        except ValueError:  # the trainer was killed while it wrote
            return Reply(drop=True)
        ordered = [self.orders.pop(key) for key in data if key in self.orders]
        for action in ordered:
            action()
        if ordered:
            return Reply(drop=True)
        self.data |= data
        return Reply({"kind": "ConfigMap"})


class TrainerProcess:
    """A trainer in a process of its own, from its arguments to its exit code.

    Args:
        mounts: its folders.
        run: the run.
        api: where it reports.
    """

    def __init__(self, mounts: Mounts, run: Run, api: SimulatedApi) -> None:
        mounts.run_file.write_text(run.model_dump_json(by_alias=True), encoding="utf-8")
        arguments = {"--run-file": mounts.run_file, "--data-dir": mounts.data, "--served-dir": mounts.served}
        settings = {
            "REPORT_NAME": "docs-r1-report",
            "REPORT_NAMESPACE": "lab",
            "ATTEMPT": "1",
            "KUBE_CREDENTIALS_DIR": str(mounts.data),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "TERMINATION_LOG": str(mounts.words),
            "JOURNAL_DIR": str(mounts.journal),
            "SIMULATED_API": api.url,
            "PYTHONPATH": "operator:.",
        }
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.trainer_pod", *map(str, sum(arguments.items(), ()))],
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """`kill -9`."""
        os.kill(self._child.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code; that of a killed one is negative."""
        return self._child.wait(CHILD_SECONDS)

    def stop(self) -> None:
        """Be rid of it, whatever it does."""
        self._child.kill()
        self._child.wait()


@contextmanager
def trainer_process(mounts: Mounts, run: Run, api: SimulatedApi) -> Iterator[TrainerProcess]:
    """A trainer that is gone behind the block."""
    trainer = TrainerProcess(mounts, run, api)
    try:
        yield trainer
    finally:
        trainer.stop()
