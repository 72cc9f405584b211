"""One run of a container: a process in a session of its own that outlives the node, and how it ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sandbox import proc
from tests.sandbox.node.status import Terminated, timestamp

MESSAGE_BYTES = 4096
FALLBACK_BYTES = 2048
FALLBACK_LINES = 80
KILLED = 128 + signal.SIGKILL
# The shell stands between node and process only to write the exit code down: a node that was started again
# is not the parent any more and could not learn it.
# Its own remarks ("Terminated") do not belong into the container's log.
SHELL = 'file=$1; shift; exec 3>&2 2>/dev/null; "$@" 2>&3 3>&-; code=$?; echo "$code" > "$file"; exit "$code"'
MARKER = "SIMULATED_CONTAINER"


@dataclass
class Record:
    """What is written down of a run for the next node program."""

    pid: int
    started: int
    started_at: str
    restarts: int


class Program:
    """The files and the process of one container; a new run follows the last one in the same folder."""

    def __init__(self, name: str, pod_folder: Path) -> None:
        self.name = name
        self.folder = pod_folder / "containers" / name
        self.log = pod_folder / f"{name}.log"
        self.previous_log = pod_folder / f"{name}.previous.log"
        self.message_file = self.folder / "termination-log"
        self.out_of_memory = False
        self._exit_file = self.folder / "exit-code"
        self._record_file = self.folder / "run.json"
        self._child: subprocess.Popen[bytes] | None = None
        self.record: Record | None = None

    def start(self, words: Sequence[str], environment: Mapping[str, str], folder: str, restarts: int) -> None:
        """Starts a run. Raises OSError where the program or the working folder is not there."""
        self._clear()
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", SHELL, "sh", str(self._exit_file), *words],
                cwd=folder,
                env={**environment, MARKER: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = proc.look_up(self._child.pid)
        started = process.started if process else 0
        self.record = Record(self._child.pid, started, timestamp(), restarts)
        self._record_file.write_text(json.dumps(asdict(self.record)), encoding="utf-8")

    def adopt(self) -> Record | None:
        """The run that an earlier node program has started, None when there was none."""
        try:
            return Record(**json.loads(self._record_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return None

    @property
    def process(self) -> proc.Process | None:
        """The leader of the container's session, None once it has ended."""
        return proc.find({"pid": self.record.pid, "started": self.record.started}) if self.record else None

    def processes(self) -> list[proc.Process]:
        """All processes of the run's session."""
        record = self.record
        if not record:
            return []
        members = proc.of_session(record.pid, proc.running())
        return [process for process in members if process.started >= record.started]

    async def wait(self) -> int:
        """Waits for the end of the run, kills what it left behind and gives the exit code."""
        assert self.record, "no run to wait for"
        await _end_of(self.record.pid, lambda: self.process is None)
        if self._child:
            self._child.wait()
            self._child = None
        self.kill()
        try:
            return int(self._exit_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return KILLED  # the shell was killed before it could write

    def terminate(self) -> None:
        """SIGTERM to the container's main process, as a container runtime does."""
        leader = self.process
        mine = [each for each in self.processes() if leader and each.parent == leader.pid]
        for process in mine or ([leader] if leader else []):
            proc.send(process, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all processes of the run, also to those that left its session."""
        for process in [*self.processes(), *proc.with_environment(f"{MARKER}={self.folder}")]:
            proc.send(process, signal.SIGKILL)

    def ended(self, code: int, policy: str, container_id: str) -> Terminated:
        """The state after the run; `policy` is the container's terminationMessagePolicy."""
        reason = "OOMKilled" if self.out_of_memory else "Error" if code else "Completed"
        message = tail(self.message_file, MESSAGE_BYTES)
        if not message and code and policy == "FallbackToLogsOnError":
            lines = tail(self.log, FALLBACK_BYTES).splitlines(keepends=True)
            message = "".join(lines[-FALLBACK_LINES:])
        started = self.record.started_at if self.record else timestamp()
        return Terminated(code, reason, started, timestamp(), message, container_id)

    def _clear(self) -> None:
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.out_of_memory = False
        self._exit_file.unlink(missing_ok=True)
        self.message_file.write_bytes(b"")
        if self.log.exists():
            self.log.replace(self.previous_log)


def tail(file: Path, limit: int) -> str:
    """At most `limit` bytes from the end of a file, as text; empty when there is no file."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - limit))
            return opened.read(limit).decode(errors="replace")
    except OSError:
        return ""


async def _end_of(pid: int, ended: Callable[[], bool]) -> None:
    """Returns when a process has ended, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel without process descriptors
        while not ended():  # noqa: ASYNC110 - nothing tells but looking
            await asyncio.sleep(0.2)
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        if not ended():
            await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
