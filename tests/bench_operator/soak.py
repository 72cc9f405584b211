"""`make soak`: resources come and go for long, the API server is killed now and then; nothing may grow.

Ends with 1 where a Job is missing or made twice, where memory grows, or where the controller is not ready.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench_operator.stage import Stage, answers, delete_all, stage
from tests.integration.waiting import wait_for
from tests.sandbox.build import controlplane_binary
from tests.sandbox.cluster import Cluster

CROWD = 50
KILL_EVERY = 5
"""Rounds from one end of the API server to the next."""
AWAY_SECONDS = 3.0
WARM_ROUNDS = 4
"""Rounds until everything was loaded and used once."""
GROWTH = 1.2
"""Times as much memory as after those rounds that counts as growing."""


@dataclass
class Seen:
    """What the rounds showed."""

    memory: list[float] = field(default_factory=list)
    """MB after each."""
    problems: list[str] = field(default_factory=list)

    def grown(self) -> str:
        """What is wrong with the memory; empty: nothing."""
        if len(self.memory) <= WARM_ROUNDS or self.memory[-1] <= GROWTH * self.memory[WARM_ROUNDS - 1]:
            return ""
        return f"memory grew from {self.memory[WARM_ROUNDS - 1]:.0f} MB to {self.memory[-1]:.0f} MB"


def main() -> int:
    """Entry point; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_operator.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "cluster")
        cluster.start(controlplane_binary(print))
        try:
            with stage(cluster, Path(folder) / "log") as here:
                seen = soak(here, time.monotonic() + 60 * minutes)
        finally:
            cluster.stop()
    problems = [*seen.problems, *filter(None, [seen.grown()])]
    print("\n".join(problems) or f"well after {len(seen.memory)} rounds")
    return 1 if problems else 0


def soak(here: Stage, until: float) -> Seen:
    """Rounds until a moment of the monotonic clock, at least one."""
    seen = Seen()
    while not seen.memory or time.monotonic() < until:
        number = len(seen.memory) + 1
        here.create(CROWD)
        if number % KILL_EVERY == 0:
            kill_api_server(here)
        wait_for("a Job for each", lambda: len(here.jobs()) >= CROWD, seconds=180)
        if len(here.jobs()) != CROWD:
            seen.problems.append(f"round {number}: {len(here.jobs())} Jobs for {CROWD} resources")
        delete_all(here)
        wait_for("ready", here.ready, seconds=120)
        seen.memory.append(here.memory()[0])
        print(f"round {number}: {seen.memory[-1]:.0f} MB", flush=True)
    return seen


def kill_api_server(here: Stage) -> None:
    """Has it away for three seconds."""
    here.cluster.component("kube-apiserver").stop(signal.SIGKILL)
    time.sleep(AWAY_SECONDS)
    here.cluster.start_component("kube-apiserver")
    wait_for("the API server", lambda: answers(here.cluster), seconds=60)


if __name__ == "__main__":
    sys.exit(main())
