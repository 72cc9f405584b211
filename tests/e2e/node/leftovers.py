"""What a node leaves on the machine when its programs are gone: shims, mounts, notes, control groups."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from tests.e2e.node.network import attempt
from tests.sandbox import proc
from tests.sandbox.errors import SandboxError

END_SECONDS: Final = 5.0
CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
RESULTS: Final = Path("/var/lib/cni")
# A shim's socket has a short path, whatever containerd's state folder is.
SHIMS: Final = Path("/run/containerd")


def kill_containers(run: Path) -> None:
    """Kills what a containerd that is gone has left running, by the notes in its folder `run`.

    The first process of a container takes all others of it along.
    """
    for note in run.glob("io.containerd.runtime.v2.task/*/*/init.pid"):
        process = proc.look_up(int(note.read_text(encoding="ascii")))
        if process and _is_in_container(process, note.parent.name):
            proc.send(process, signal.SIGKILL)


def _is_in_container(process: proc.Process, container: str) -> bool:
    try:
        groups = (proc.PROC / str(process.pid) / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    return container in groups


def end_shims(socket: Path, run: Path) -> None:
    """Kills the shims of a containerd that is gone and removes their sockets, by its notes in `run`."""
    marker = f"-address\0{socket}\0".encode()
    for process in proc.running():
        try:
            arguments = (proc.PROC / str(process.pid) / "cmdline").read_bytes()
        except OSError:
            continue
        if marker in arguments and b"containerd-shim" in arguments:
            proc.send(process, signal.SIGKILL)
    for note in run.glob("io.containerd.runtime.v2.task/*/*/address"):
        address = Path(note.read_text(encoding="utf-8").removeprefix("unix://"))
        if SHIMS in address.parents:
            address.unlink(missing_ok=True)
    remove_empty(SHIMS / "s", SHIMS)


def mounts_below(folder: Path, table: str) -> list[Path]:
    """Mount points below a folder as /proc/self/mounts lists them, the innermost first."""
    points = [Path(_unescaped(line.split()[1])) for line in table.splitlines() if line]
    return sorted((point for point in points if folder in point.parents), reverse=True)


def unmount_below(folder: Path) -> None:
    """Unmounts what is mounted below a folder.

    Raises SandboxError where something stays mounted: removing the folder would remove what is mounted there.
    """
    mounts = Path("/proc/self/mounts")
    for point in mounts_below(folder, mounts.read_text(encoding="utf-8")):
        attempt("umount", "--lazy", str(point))
    if left := mounts_below(folder, mounts.read_text(encoding="utf-8")):
        raise SandboxError(f"still mounted below {folder}: {left[0]}; unmount it, then delete the folder")


def forget_networks(name: str, folder: Path = RESULTS) -> None:
    """Deletes what the network plugins have written down about this node's pods, and no others."""
    for result in folder.glob(f"results/{name}-*"):
        container = result.name.removeprefix(f"{name}-").partition("-")[0]
        for each in folder.glob(f"results/*-{container}-*"):
            each.unlink()
    remove_empty(folder / "results", folder)


def remove_empty(*folders: Path) -> None:
    """Removes folders that others may use as well, where nobody does."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_control_groups() -> None:
    """Removes the kubelet's control groups, those of version 1 below each controller."""
    deadline = time.monotonic() + END_SECONDS
    while tops := [*CONTROL_GROUPS.glob("kubepods"), *CONTROL_GROUPS.glob("*/kubepods")]:
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # a process that is about to end may still be in it
                    Path(folder).rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _unescaped(point: str) -> str:
    return point.encode().decode("unicode_escape")
