"""Waiting for a model server, and no longer than the resource stays as it is: an edit is seen to at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from domaintraining.controller.cluster import DOMAIN_TRAINING, Cluster
from domaintraining.controller.observed import Preflight, Resource

LOOK_EVERY: Final = 1.0
"""Seconds between two looks for an edit; most servers have answered before the first."""


class EditedError(Exception):
    """The resource is no longer what the look that goes on has read."""


async def unless_edited(
    cluster: Cluster, resource: Resource, asking: Coroutine[Any, Any, Preflight]
) -> Preflight:
    """What comes of questions that write nothing.

    Raises:
        EditedError: the resource was edited or removed before the answers came; they are not waited for.
        ClusterError: the API server failed.
        DomainTrainingError: what the questions raise.
    """
    task = asyncio.ensure_future(asking)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_EVERY))[0]:
            found = await cluster.get(DOMAIN_TRAINING, *resource.key)
            if found is None or found["metadata"].get("generation", 0) != resource.generation:
                raise EditedError
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
