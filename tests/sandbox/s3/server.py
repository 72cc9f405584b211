"""One S3 server on loopback, with users and buckets that the tests make."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import urllib3
from minio import Minio

from tests.sandbox.build import s3_binary
from tests.sandbox.components import free_ports
from tests.sandbox.daemons import Daemon
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say

START_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.05
REGION: Final = "us-east-1"


class S3:
    """A server whose objects are files of a state folder.

    Args:
        state: the folder.
    """

    def __init__(self, state: Path) -> None:
        self.access_key, self.secret_key = "tests", secrets.token_hex(16)
        self._state = state
        self._daemon = Daemon("s3", state)
        self._port = free_ports().api
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self, say: Say) -> None:
        """Returns when it answers. Raises SandboxError with the end of its log where it does not."""
        self._binary = s3_binary(say)
        folders = [self._state / name for name in ("objects", "users", "versions", "sidecar")]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        objects, users, versions, sidecar = map(str, folders)
        command = [str(self._binary), "--port", f"127.0.0.1:{self._port}", "--region", REGION]
        command += ["--iam-dir", users, "--iam-cache-disable", "--quiet", "posix"]
        command += ["--versioning-dir", versions, "--sidecar", sidecar, objects]
        self._daemon.start(command, self._environment(), self._state)
        self._await_answer()

    def stop(self) -> None:
        """Ends it; no effect where it doesn't run."""
        self._daemon.stop(signal.SIGKILL)

    def client(self) -> Minio:
        """A client of the owner of all buckets."""
        return Minio(
            self.url.partition("://")[2], self.access_key, self.secret_key, secure=False, region=REGION
        )

    def add_user(self, name: str, secret: str) -> None:
        """A user who owns nothing."""
        command = [str(self._binary), "admin", "--endpoint-url", self.url, "create-user"]
        command += ["--access", name, "--secret", secret, "--role", "user"]
        access = {"ADMIN_ACCESS_KEY_ID": self.access_key, "ADMIN_SECRET_ACCESS_KEY": self.secret_key}
        subprocess.run(
            command, env={**self._environment(), **access}, check=True, capture_output=True, timeout=60
        )

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {
            "PATH": path,
            "ROOT_ACCESS_KEY_ID": self.access_key,
            "ROOT_SECRET_ACCESS_KEY": self.secret_key,
        }

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._daemon.expect_running()
            try:
                urllib3.request("GET", self.url, retries=False, timeout=1.0)
            except urllib3.exceptions.HTTPError:
                if time.monotonic() > deadline:
                    words = f"the S3 server does not answer\n{self._daemon.tail()}"
                    raise SandboxError(words) from None
                time.sleep(PAUSE_SECONDS)
            else:
                return
