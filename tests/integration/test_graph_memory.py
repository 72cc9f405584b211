"""What the controller holds in memory beside a graph: the driver, and what is to be written."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench_operator.measure import crowd, trainings
from tests.bench_operator.stage import SPACE, stage
from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.neo4j.server import Neo4j

AT_REST = 130.0
AT_WORK = 145.0


def test_memory_is_bounded_beside_a_graph(cluster: Cluster, neo4j: Neo4j, tmp_path: Path) -> None:
    """At rest, and with twenty trainings that each report once a second; in MB, the most there ever was."""
    # the image has no numpy, which the driver would load along
    (tmp_path / "numpy.py").write_text("raise ImportError\n", encoding="ascii")
    libraries = os.pathsep.join((str(REPOSITORY / "operator"), str(tmp_path)))
    access = {"NEO4J_URI": neo4j.uri, "NEO4J_PASSWORD": neo4j.password, "GRAPH_DOMAINS": f"{SPACE}=*"}
    with stage(cluster, tmp_path / "log", PYTHONPATH=libraries, **access) as here:
        time.sleep(3)
        _, at_rest = here.memory()
        crowd(here, 20)
        running = trainings(here, 20, 20)
        _, at_work = here.memory()
        count = (
            "MATCH (d:Domain)-[:HAS_TRAINING_LOG]->(l) WHERE l.progress_percent >= 10 RETURN count(l) AS logs"
        )
        wait_for("the progress of all", lambda: neo4j.query(count) == [{"logs": 20}])
        neo4j.kill()
        trainings(here, 20, 10)
        _, without = here.memory()
        print(
            f"at rest {at_rest:.0f} MB, at work {at_work:.0f} MB, with the graph lost {without:.0f} MB; "
            f"the last status {running.lag:.1f} s late"
        )
        assert at_rest <= AT_REST
        assert max(at_work, without) <= AT_WORK
        assert running.lag <= 8
