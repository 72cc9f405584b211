"""`make bench-operator`: prints what the controller costs; `--quick` with 40 resources instead of 200."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.bench_operator.measure import Crowd, crowd, trainings
from tests.bench_operator.stage import Stage, delete_all, stage
from tests.sandbox.build import controlplane_binary
from tests.sandbox.cluster import Cluster

RESOURCES = 200
TRAININGS = 20
TRAINING_SECONDS = 30.0
IDLE_SECONDS = 60.0
SETTLING_SECONDS = 5.0


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_operator", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 resources and shorter looks")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "cluster")
        cluster.start(controlplane_binary(print))
        try:
            with stage(cluster, Path(folder) / "log") as here:
                measure(here, quick=quick)
        finally:
            cluster.stop()


def measure(here: Stage, *, quick: bool) -> None:
    """All measurements in their order, each printed when it is there."""
    time.sleep(SETTLING_SECONDS)
    tell("at rest, nothing to do", f"{memory(here)}")
    few = crowd(here, TRAININGS)
    running = trainings(here, TRAININGS, TRAINING_SECONDS / (3 if quick else 1))
    writes = f"{running.writes / running.seconds:.1f} status writes/s, the last after {running.lag:.1f} s"
    tell(f"{running.trainings} trainings, a report a second each", f"{writes}, {memory(here)}")
    tell("  their start", spread(few))
    delete_all(here)
    many = crowd(here, 40 if quick else RESOURCES)
    tell(f"{many.resources} new resources at once", f"{spread(many)}, {memory(here)}")
    total = sum(many.requests.values())
    tell("requests for each", f"{total / many.resources:.1f}")
    for what, count in many.requests.most_common():
        tell(f"  {what}", f"{count / many.resources:.2f}")
    tell("processor for each", f"{1000 * many.processor / many.resources:.1f} ms")
    before, used = len(here.asked()), here.seconds_of_processor()
    seconds = IDLE_SECONDS / (3 if quick else 1)
    time.sleep(seconds)
    asked = len(here.asked()) - before
    processor = here.seconds_of_processor() - used
    waiting = f"{seconds:.0f} s, their pods waiting for a node"
    tell(waiting, f"{asked / seconds:.0f} requests/s, {processor / seconds:.0%} of a processor")


def memory(here: Stage) -> str:
    """In words."""
    now, most = here.memory()
    return f"{now:.0f} MB (never more than {most:.0f} MB)"


def spread(found: Crowd) -> str:
    """How soon Jobs were made."""
    return f"Job made in {found.percentile(0.5):.2f} s (median), {found.percentile(0.99):.2f} s (99 %)"


def tell(what: str, number: str) -> None:
    """One line."""
    print(f"{what:44} {number}", flush=True)


if __name__ == "__main__":
    main()
