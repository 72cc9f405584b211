"""What /proc tells about processes of this machine: who is who, who belongs to whom, and how much memory."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process as /proc/PID/stat showed it; `started` (ticks since boot) tells it from a reused pid."""

    pid: int
    parent: int
    session: int
    started: int
    resident_bytes: int
    ended: bool

    def record(self) -> dict[str, int]:
        """What is written down to find this process again."""
        return {"pid": self.pid, "started": self.started}


def parse_stat(pid: int, stat: str) -> Process:
    """Reads the content of /proc/PID/stat; the name in parentheses may itself hold blanks and parentheses.

    A process has ended with its last thread: until then its ports are taken, though its first is a zombie.
    """
    fields = stat[stat.rindex(")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        resident_bytes=int(fields[21]) * PAGE_BYTES,
        ended=fields[0] in "ZX" and int(fields[17]) <= 1,
    )


def look_up(pid: int) -> Process | None:
    """The process with this id, None if there is none (a zombie counts as none)."""
    try:
        process = parse_stat(pid, (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return None if process.ended else process


def find(record: dict[str, int]) -> Process | None:
    """The process that was written down, None if it has ended, even where its id was given to another one."""
    process = look_up(record["pid"])
    return process if process and process.started == record["started"] else None


def running() -> list[Process]:
    """All processes of the machine that this user can see."""
    pids = [int(each.name) for each in PROC.iterdir() if each.name.isdecimal()]
    return [process for pid in pids if (process := look_up(pid))]


def of_session(session: int, processes: Iterable[Process]) -> list[Process]:
    """Those that belong to a session, which is what a container's processes share here."""
    return [process for process in processes if process.session == session]


def with_environment(variable: str) -> Iterator[Process]:
    """Processes started with `NAME=value` in their environment, also those that left their session."""
    wanted = variable.encode()
    for process in running():
        with contextlib.suppress(OSError):
            if wanted in (PROC / str(process.pid) / "environ").read_bytes().split(b"\0"):
                yield process


def proportional_bytes(process: Process) -> int:
    """Resident memory with shared pages divided among those who share them; 0 once the process has ended."""
    try:
        text = (PROC / str(process.pid) / "smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return process.resident_bytes if look_up(process.pid) else 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def send(process: Process, number: signal.Signals) -> None:
    """Sends a signal if the process is still the one that was looked up."""
    if find(process.record()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def is_stopped(process: Process) -> bool:
    """Whether none of its threads runs: SIGSTOP reaches them one by one, after `send` has returned.

    So it is too for a process that has ended.
    """
    states: list[str] = []
    for stat in (PROC / str(process.pid) / "task").glob("*/stat"):
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            text = stat.read_text(encoding="utf-8", errors="replace")
            states.append(text[text.rindex(")") + 2])
    return set(states) <= set("TtZX")
