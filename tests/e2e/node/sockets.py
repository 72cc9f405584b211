"""What a container's processes listen on, as the kernel shows it without entering the container."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.sandbox import proc

LISTEN: Final = "0A"
TABLES: Final = ("tcp", "tcp6")


def listening(pid: int) -> list[int]:
    """The TCP ports that anybody listens on in the network namespace of a process."""
    return sorted(
        {
            port
            for table in TABLES
            for port in listening_ports(Path(proc.PROC, str(pid), "net", table).read_text(encoding="ascii"))
        }
    )


def listening_ports(table: str) -> set[int]:
    """The ports of the listening sockets in a table of /proc/PID/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTEN}
