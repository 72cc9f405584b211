"""Memory limits without cgroups: looks at the containers' processes twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from tests.sandbox import proc
from tests.sandbox.node.containers import Container

LOOK_SECONDS = 0.5


async def watch_memory(containers: Callable[[], Iterable[Container]]) -> None:
    """Kills, until cancelled, each container that is above its limit, with the reason OOMKilled."""
    while True:
        limited = [each for each in containers() if each.memory_limit and each.program.process]
        if limited:
            processes = await asyncio.to_thread(proc.running)
            for container in limited:
                if exceeds(container, processes):
                    container.program.out_of_memory = True
                    container.program.kill()
        await asyncio.sleep(LOOK_SECONDS)


def exceeds(container: Container, processes: Iterable[proc.Process]) -> bool:
    """Whether a container's processes use more than its limit, shared pages counted once."""
    if not container.program.record:
        return False
    mine = proc.of_session(container.program.record.pid, processes)
    if sum(process.resident_bytes for process in mine) <= container.memory_limit:
        return False
    return sum(map(proc.proportional_bytes, mine)) > container.memory_limit
