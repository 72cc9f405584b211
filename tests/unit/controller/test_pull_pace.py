"""A pull in status: its percentage moves, and does not cost a write for each percent."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

from domaintraining.controller.models import ModelInfo
from domaintraining.controller.pulls import Pulls
from tests.unit.controller.world import KEY, SPEC, World

MODEL = "new:1b"
LAYER = {"status": "pulling", "digest": "sha256:1", "total": 100}


def test_a_pull_is_written_every_three_seconds() -> None:
    """99 steps in 25 s are 9 writes; that the model is there is written at once."""
    world = World(SPEC | {"model": {"name": MODEL}})
    start = world.now
    written: list[float] = []

    async def live() -> None:
        step, moved = asyncio.Event(), asyncio.Event()

        async def lines(_endpoint: str, _model: str) -> AsyncGenerator[dict[str, Any], None]:
            for percent in range(1, 101):
                await step.wait()
                step.clear()
                if percent == 100:
                    world.models.models[MODEL] = ModelInfo("sha256:2", frozenset({"completion"}))
                yield LAYER | {"completed": percent} if percent < 100 else {"status": "success"}

        world.controller.pulls = Pulls(lines)
        world.controller.wake = lambda _key: moved.set()
        for quarter in range(101):
            world.now = start + timedelta(seconds=quarter / 4)
            before = len(world.cluster.writes)
            again = await world.controller.reconcile(KEY)
            assert again is not None
            written.extend(
                quarter / 4 for entry in world.cluster.writes[before:] if entry.startswith("status")
            )
            step.set()
            if quarter < 100:
                await moved.wait()
                moved.clear()
        await world.controller.pulls.close()

    asyncio.run(live())
    assert written == [0, 3, 6, 9, 12, 15, 18, 21, 24, 25]
    assert world.conditions["ModelReady"] == ("True", "ModelReady")
