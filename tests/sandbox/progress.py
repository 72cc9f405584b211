"""Running what takes minutes, with a sign of life every few seconds."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.sandbox.errors import SandboxError

Say = Callable[[str], None]
PROGRESS_SECONDS = 5.0
KEPT_LINES = 30


def run_telling(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], counted: str, say: Say
) -> None:
    """Runs a command; `say` hears every 5 seconds how long it runs and how many lines it wrote to stderr.

    `counted` names what one line stands for. Raises SandboxError with the last lines if the command fails.
    """
    started = time.monotonic()
    running = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    lines = _LastLines()
    reader = threading.Thread(target=lines.read, args=(running.stderr,), daemon=True)
    reader.start()
    try:
        while _still_runs(running):
            say(f"  {time.monotonic() - started:4.0f} s, {lines.count} {counted}")
    finally:
        running.kill()
        running.wait()
        reader.join(timeout=PROGRESS_SECONDS)
        running.stderr.close()
    if running.returncode:
        raise SandboxError(f"`{' '.join(command[:4])} …` in {folder} failed:\n{lines.text()}")


def _still_runs(running: subprocess.Popen[str]) -> bool:
    try:
        running.wait(timeout=PROGRESS_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


class _LastLines:
    """Counts lines and keeps the last of them."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)

    def read(self, stream: Iterable[str]) -> None:
        for line in stream:
            self.count += 1
            self._kept.append(line)

    def text(self) -> str:
        return "".join(self._kept)
