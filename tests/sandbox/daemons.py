"""Programs that outlive the one that started them: their ids, logs and ends, kept in a folder."""

from __future__ import annotations

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
# The shell ends at once, so that the program is nobody's child: it outlives us and leaves no zombie.
DETACH = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'


class Daemon:
    """One program of the sandbox, known by its name and the state folder, from whichever process one asks."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.log = state / "logs" / f"{name}.log"
        self._record = state / "pids" / f"{name}.json"

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        """Starts the program in a session of its own, its output appended to the log."""
        for file in (self.log, self._record):
            file.parent.mkdir(parents=True, exist_ok=True)
        pid = subprocess.run(
            ["/bin/sh", "-c", DETACH, "sh", str(self.log), *command],
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            start_new_session=True,
            check=True,
        ).stdout
        process = proc.look_up(int(pid))
        record = process.record() if process else {"pid": int(pid), "started": 0}
        self._record.write_text(json.dumps(record), encoding="utf-8")

    def running(self) -> proc.Process | None:
        """The program's process, None when it has ended or was never started."""
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
