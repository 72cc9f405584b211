"""One Neo4j on loopback that can be killed, paused and started again with its data."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from neo4j import GraphDatabase, RoutingControl
from neo4j.exceptions import DriverError, Neo4jError

from tests.sandbox import proc
from tests.sandbox.build import only_builder
from tests.sandbox.components import free_ports
from tests.sandbox.daemons import Daemon
from tests.sandbox.errors import SandboxError
from tests.sandbox.neo4j.artifacts import jars, java_build, version
from tests.sandbox.progress import PROGRESS_SECONDS, Say

USER: Final = "neo4j"
SERVER: Final = "org.neo4j.server.CommunityEntryPoint"
ADMIN: Final = "org.neo4j.server.startup.Neo4jAdminCommand"
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.1
# A small server that starts fast; the packages are those that Neo4j's own start script opens.
JVM: Final = (
    *("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
    ),
    *("-Dio.netty.tryReflectionSetAccessible=true", "-Dlog4j2.disable.jmx=true"),
)
SETTINGS: Final = """\
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
server.memory.pagecache.size=16m
db.tx_log.preallocate=false
db.tx_log.rotation.size=16m
dbms.usage_report.enabled=false
"""


class Neo4j:
    """A server whose data, port and password are kept in a state folder; found again there by any process."""

    user: Final = USER

    def __init__(self, state: Path) -> None:
        self.daemon = Daemon("neo4j", state)
        self._home = state / "neo4j"

    @property
    def uri(self) -> str:
        """Where drivers find it, the same after each start."""
        return f"bolt://127.0.0.1:{self._record['port']}"

    @property
    def password(self) -> str:
        """Of `user`."""
        return str(self._record["password"])

    def start(self, say: Say) -> None:
        """Starts it with the data that are there, and returns when it answers; no effect where it runs.

        That takes 5 s; the first time on a machine a minute, for artifacts and an archive of classes.
        `say` hears at least every 5 seconds that it still starts. Raises SandboxError where the machine has
        no Java or no artifacts, or with the end of its log.
        """
        if self.daemon.running():
            return
        library = jars(say)
        archive = _archive(library, say)
        if not self._home.exists():
            self._prepare(library, archive)
        self._launch(library, _shared(archive))
        self._await_answer(say)

    def stop(self) -> None:
        """Ends it as it wants to be ended; no effect where it doesn't run."""
        self.daemon.stop(patience=STOP_SECONDS)

    def kill(self) -> None:
        """Ends it as a crash does: what it has not written is lost."""
        self.daemon.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile it takes connections and requests, and answers none."""
        process = self.daemon.running()
        if not process:
            raise SandboxError("Neo4j doesn't run")
        proc.send(process, signal.SIGSTOP)
        try:
            while not proc.is_stopped(process):
                time.sleep(PAUSE_SECONDS / 10)
            yield
        finally:
            proc.send(process, signal.SIGCONT)

    def query(self, text: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows that a query gives. Raises the driver's errors, at once."""
        access = (self.user, self.password)
        with GraphDatabase.driver(self.uri, auth=access, max_transaction_retry_time=0) as driver:
            found = driver.execute_query(text, parameters, routing_=RoutingControl.WRITE, database_="neo4j")
            return [record.data() for record in found.records]

    def empty(self) -> None:
        """Removes all nodes, constraints and indexes."""
        for one in self.query("SHOW CONSTRAINTS YIELD name"):
            self.query(f"DROP CONSTRAINT `{one['name']}`")
        for one in self.query("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name"):
            self.query(f"DROP INDEX `{one['name']}`")
        self.query("MATCH (node) DETACH DELETE node")

    @cached_property
    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self._home / "access.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SandboxError(f"there is no Neo4j in {self._home.parent}") from None
        return record

    def _prepare(self, library: Path, archive: Path | None = None) -> None:
        for name in ("conf", "data", "logs", "run", "plugins", "import"):
            (self._home / name).mkdir(parents=True)
        port, password = free_ports().api, secrets.token_hex(12)
        (self._home / "conf" / "neo4j.conf").write_text(SETTINGS.format(port=port), encoding="utf-8")
        access = self._home / "access.json"
        access.touch(mode=0o600)
        access.write_text(json.dumps({"port": port, "password": password}), encoding="utf-8")
        command = [*_java(library, _shared(archive)), ADMIN, "dbms", "set-initial-password", password]
        told = subprocess.run(
            command,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if told.returncode:
            raise SandboxError(f"Neo4j's password could not be set: {told.stderr.strip()[-1000:]}")

    def _launch(self, library: Path, options: Sequence[str]) -> None:
        command = [*_java(library, options), SERVER]
        command += [f"--home-dir={self._home}", f"--config-dir={self._home / 'conf'}"]
        self.daemon.start(command, self._environment(), self._home)

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "NEO4J_HOME": str(self._home), "NEO4J_CONF": str(self._home / "conf")}

    def _await_answer(self, say: Say) -> None:
        started = told = time.monotonic()
        while not self._answers():
            self.daemon.expect_running()
            now = time.monotonic()
            if now > started + START_SECONDS:
                raise SandboxError(f"Neo4j does not answer; the end of its log:\n{self.daemon.tail()}")
            if now > told + PROGRESS_SECONDS:
                told = now
                say(f"  {now - started:4.0f} s, Neo4j is starting")
            time.sleep(PAUSE_SECONDS)

    def _answers(self) -> bool:
        try:
            return bool(self.query("RETURN 1 AS one"))
        except (DriverError, Neo4jError):
            return False


def _shared(archive: Path | None) -> list[str]:
    return [f"-XX:SharedArchiveFile={archive}"] if archive and archive.stat().st_size else []


def _java(library: Path, options: Sequence[str]) -> list[str]:
    return ["java", *JVM, *options, "-cp", f"{library}/*"]


def _archive(library: Path, say: Say) -> Path:
    """The file with the classes loaded and checked already, which halves the time of a start.

    It is made by a first run, for each build of Java; empty where this Java makes none.
    """
    archive = library.parent / f"classes-{java_build()}.jsa"
    if archive.exists():
        return archive
    with only_builder(library.parent.parent / "build.lock", say):
        if not archive.exists():
            say(f"running Neo4j {version()} once, for an archive of its classes")
            with tempfile.TemporaryDirectory(prefix="practice-", dir=library.parent) as temporary:
                made = Path(temporary) / archive.name
                _practise(Neo4j(Path(temporary)), library, made, say)
                made.touch()
                made.rename(archive)
    return archive


def _practise(server: Neo4j, library: Path, archive: Path, say: Say) -> None:
    server._prepare(library)
    server._launch(library, [f"-XX:ArchiveClassesAtExit={archive}"])
    try:
        server._await_answer(say)
        server.query("CREATE (node:Practice {name: $name}) RETURN node", name="first")
        server.query("MATCH (node:Practice) RETURN node")
    finally:
        server.stop()
