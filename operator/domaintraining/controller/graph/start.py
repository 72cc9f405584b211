"""The graph of a controller, where its settings name one."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from domaintraining.controller.cluster import Cluster
from domaintraining.controller.graph.sync import GraphSync
from domaintraining.controller.graph.told import cluster_id
from domaintraining.controller.settings import Settings
from domaintraining.controller.workqueue import Key

RECHECK: Final = 0.9
"""Part of the time between two resyncs after which it is looked whether the graph holds what was written."""


def open_graph(settings: Settings, cluster: Cluster, wake: Callable[[Key], None]) -> GraphSync | None:
    """What writes into the graph; None where there is none, and then its driver is not loaded."""
    if settings.graph is None:
        return None
    from domaintraining.controller.graph.cypher import Neo4jGraph  # noqa: PLC0415 - it takes 30 MB

    return GraphSync(
        Neo4jGraph(settings.graph, settings.reach),
        settings.graph,
        partial(cluster_id, cluster),
        wake,
        asyncio.get_running_loop().time,
        recheck=RECHECK * settings.resync_seconds,
    )
