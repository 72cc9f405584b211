"""What the controller holds in memory, at rest and while twenty trainings run."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench_operator.measure import crowd, trainings
from tests.bench_operator.stage import stage
from tests.sandbox.cluster import Cluster

AT_REST = 110.0
AT_WORK = 140.0


def test_memory_is_bounded(cluster: Cluster, tmp_path: Path) -> None:
    """At rest, and with twenty trainings that each report once a second; in MB, the most there ever was."""
    with stage(cluster, tmp_path / "log") as here:
        time.sleep(3)
        _, at_rest = here.memory()
        crowd(here, 20)
        running = trainings(here, 20, 10)
        _, at_work = here.memory()
        print(f"at rest {at_rest:.0f} MB, at work {at_work:.0f} MB; the last status {running.lag:.1f} s late")
        assert at_rest <= AT_REST
        assert at_work <= AT_WORK
        assert running.writes <= 20 * (running.seconds + running.lag) / 3 + 20, "one write in 3 s for each"
        assert running.lag <= 8
