"""Programs that outlive the one that started them: their ids, logs and ends, kept in a folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.sandbox import proc
from tests.sandbox.errors import SandboxError

TAIL_BYTES = 4000


class Daemon:
    """One program of the sandbox, known by its name and the state folder, from whichever process one asks."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.log = state / "logs" / f"{name}.log"
        self._record = state / "pids" / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        """Starts the program in a session of its own, its output appended to the log."""
        for file in (self.log, self._record):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if process := proc.look_up(self._child.pid):
            self._record.write_text(json.dumps(process.record()), encoding="utf-8")

    def running(self) -> proc.Process | None:
        """The program's process, None when it has ended or was never started."""
        if self._child:
            self._child.poll()  # else it would stay a zombie of this process
        try:
            return proc.find(json.loads(self._record.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def expect_running(self) -> None:
        """Raises SandboxError with the end of the log if the program has ended."""
        if not self.running():
            raise SandboxError(f"{self.name} has ended; the end of its log:\n{self.tail()}")

    def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 5.0) -> None:
        """Ends the program: the signal first, SIGKILL after `patience` seconds."""
        process = self.running()
        if process:
            proc.send(process, number)
            if not self._ends_within(patience):
                proc.send(process, signal.SIGKILL)
                self._ends_within(patience)
        if self._child:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=0.1)
        self._record.unlink(missing_ok=True)

    def tail(self) -> str:
        """The last lines of the log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return "(no log)"

    def _ends_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


def recorded(state: Path) -> list[Daemon]:
    """All programs that the folder knows of."""
    return [Daemon(file.stem, state) for file in sorted((state / "pids").glob("*.json"))]
