"""The clock that waits for the client only."""

from __future__ import annotations

import asyncio
import os
import threading

from tests.bench.clock import Client, cpu_nanoseconds, loop_for, sleeps


def test_waiting_takes_no_time_and_is_exact() -> None:
    """Hours pass at once, in order."""

    async def work() -> list[float]:
        loop = asyncio.get_running_loop()
        passed: list[float] = []

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            passed.append(loop.time())

        await asyncio.gather(wait(7200), wait(0.25), wait(3600))
        return passed

    with asyncio.Runner(loop_factory=lambda: loop_for(Client(), real=False)) as runner:
        assert runner.run(work()) == [0.25, 3600.0, 7200.0]


def test_a_client_that_works_is_waited_for() -> None:
    """This process is running while it asks, so it is never through; nor where the server owes it nothing."""
    client = Client()
    client.pid = os.getpid()
    assert not client.is_through()
    assert not client.is_through()
    assert not sleeps(os.getpid())
    assert cpu_nanoseconds(os.getpid()) > 0


def test_a_client_that_is_gone_is_not_waited_for() -> None:
    """The server's end takes no real time."""
    client = Client()
    client.pid = 2**22 + 1  # above the kernel's largest
    assert client.is_through()


def test_threads_that_wait_are_not_taken_for_work() -> None:
    """Only the thread that asks is running."""
    done = threading.Event()
    waiting = threading.Thread(target=done.wait)
    waiting.start()
    assert not sleeps(os.getpid())
    done.set()
    waiting.join()
