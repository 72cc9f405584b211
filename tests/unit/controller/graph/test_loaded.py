"""The driver of Neo4j is there where a graph is configured, and nowhere else."""

import os
import subprocess
import sys


def test_without_a_graph_the_driver_is_not_loaded() -> None:
    """It takes memory that every controller would pay for."""
    environ = "{'TRAINER_IMAGE': 'i'}"
    assert opened(environ) == "[]"
    assert "'neo4j'" in opened("{'TRAINER_IMAGE': 'i', 'NEO4J_URI': 'bolt://127.0.0.1:1'}")


def opened(environ: str) -> str:
    """What is loaded of the driver after a controller's start with an environment."""
    program = f"""
import asyncio, sys
from domaintraining.controller import main
from domaintraining.controller.graph.start import open_graph
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.settings import Settings

async def start():
    graph = open_graph(Settings.read({environ}), MemoryCluster(), print)
    if graph is not None:
        await graph.graph.close()

asyncio.run(start())
print(sorted(one for one in sys.modules if one == "neo4j"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
