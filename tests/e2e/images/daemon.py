"""A Docker daemon of our own: own data and socket, no hand on the machine's firewall, bridges or routing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.images.debian import program
from tests.sandbox.errors import SandboxError
from tests.sandbox.proc import look_up
from tests.sandbox.progress import Say, run_telling

START_SECONDS: Final = 60
STOP_SECONDS: Final = 20
LOG_LINES: Final = 20
SETTINGS: Final = {"builder": {"gc": {"enabled": True, "defaultKeepStorage": "3GB"}}}
"""Instead of the machine's /etc/docker/daemon.json; what builds keep for the next one is bounded."""


@dataclass(frozen=True)
class Docker:
    """The client, bound to one daemon."""

    client: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Without the user's Docker settings: contexts and stores of credentials are no business of ours."""
        own = {
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "config"),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return {**inherited, **own, "DOCKER_BUILDKIT": "1"}

    def ask(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """One short command with what it printed, also where it failed."""
        return subprocess.run(
            [self.client, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def tell(self, arguments: Sequence[str], counted: str, say: Say) -> None:
        """One long command; raises SandboxError with its last lines where it fails."""
        run_telling([self.client, *arguments], Path("/"), self.environment, counted, say)

    def has(self, image: str) -> bool:
        """Whether the daemon holds an image of this name."""
        return self.ask("image", "inspect", image).returncode == 0


@contextlib.contextmanager
def docker_daemon(data: Path) -> Iterator[Docker]:
    """A daemon with its images in `data`, for the time of the block; the caller holds the lock of `data`.

    Raises SandboxError with the end of the daemon's log where it doesn't start.
    """
    # A socket's path has room for 107 characters, which a cache folder may not leave.
    folder = Path("/run") / f"domaintraining-docker-{hashlib.sha256(bytes(data)).hexdigest()[:8]}"
    _await_predecessor(folder)
    _let_go(folder)
    folder.mkdir(mode=0o700)
    (folder / "daemon.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    try:
        with (folder / "log").open("wb") as log, _started(folder, data, log.fileno()) as daemon:
            docker = Docker(program("docker") or "docker", folder)
            _wait(docker, daemon)
            yield docker
    finally:
        _let_go(folder)


def _command(folder: Path, data: Path) -> list[str]:
    # Ends with us however we end; its containerd ends with it.
    bound = ["setpriv", "--pdeathsig", "TERM", "--", program("dockerd") or "dockerd"]
    places = [f"--data-root={data}", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    network = [
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--bridge=none",
    ]
    # Machines without CAP_SYS_RESOURCE can't lower the score, and then the daemon doesn't start.
    places += [f"--config-file={folder}/daemon.json"]
    return [*bound, *places, f"--host=unix://{folder}/docker.sock", *network, "--oom-score-adjust=0"]


@contextlib.contextmanager
def _started(folder: Path, data: Path, log: int) -> Iterator[subprocess.Popen[bytes]]:
    data.mkdir(parents=True, exist_ok=True)
    daemon = subprocess.Popen(
        _command(folder, data), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # The session is the daemon's and its containerd's alone.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def _wait(docker: Docker, daemon: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while docker.ask("version").returncode:
        if daemon.poll() is not None or time.monotonic() > until:
            lines = (docker.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            raise SandboxError("dockerd did not start:\n" + "\n".join(lines[-LOG_LINES:]))
        time.sleep(0.1)


def _await_predecessor(folder: Path) -> None:
    """A daemon whose owner was killed is on its way out, and has the data until then."""
    until = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "pid").read_text(encoding="ascii"))
        while look_up(pid) and time.monotonic() < until:
            time.sleep(0.1)


def _let_go(folder: Path) -> None:
    """Takes away what the daemon leaves behind: a network namespace and its empty groups."""
    subprocess.run(["umount", str(folder / "exec" / "netns" / "default")], capture_output=True, check=False)
    for groups in (Path("/sys/fs/cgroup/docker"), *Path("/sys/fs/cgroup").glob("*/docker")):
        for group in sorted(groups.glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()
    shutil.rmtree(folder, ignore_errors=True)
