"""The queue: each key once, in order, by one worker at a time; failures wait longer each time."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

from domaintraining.controller.workqueue import LONGEST_BACKOFF, MOST_AT_ONCE, Key, WorkQueue
from tests.unit.simulated_ollama.virtual import run

A, B, C = (("team", name) for name in "abc")


def worked(
    reconcile: Callable[[Key], Awaitable[float | None]],
    script: Callable[[WorkQueue], Awaitable[None]],
    workers: int = 4,
) -> None:
    """Let the queue work beside a script, in time that passes at once, until the script is over."""

    async def work() -> None:
        queue = WorkQueue(reconcile, workers)
        task = asyncio.create_task(queue.run())
        await script(queue)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(work())


def test_keys_are_worked_on_in_order_and_once() -> None:
    """However often they were added before."""
    seen: list[Key] = []

    async def reconcile(key: Key) -> None:
        seen.append(key)

    async def script(queue: WorkQueue) -> None:
        for key in (B, A, B, C, A):
            queue.add(key)
        await asyncio.sleep(1)

    worked(reconcile, script, workers=1)
    assert seen == [B, A, C]


def test_one_key_is_never_worked_on_twice_at_once() -> None:
    """What comes meanwhile is one more look afterwards; other keys go on."""
    now: set[Key] = set()
    seen: list[tuple[Key, float]] = []

    async def reconcile(key: Key) -> None:
        assert key not in now
        now.add(key)
        seen.append((key, asyncio.get_running_loop().time()))
        await asyncio.sleep(10)
        now.discard(key)

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        for _ in range(5):
            queue.add(A)
        queue.add(B)
        await asyncio.sleep(100)

    worked(reconcile, script)
    assert seen == [(A, 0.0), (B, 1.0), (A, 10.0)]


def test_the_result_says_when_to_look_again() -> None:
    """None: not before something happens."""
    times: list[float] = []

    async def reconcile(_key: Key) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 30.0 if len(times) < 3 else None

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1000)

    worked(reconcile, script)
    assert times == [0.0, 30.0, 60.0]


def test_an_event_does_not_wait_for_the_delay() -> None:
    """And takes its place: there is no second look at its time."""
    times: list[float] = []

    async def reconcile(_key: Key) -> None:
        times.append(asyncio.get_running_loop().time())

    async def script(queue: WorkQueue) -> None:
        queue.add_later(A, 50)
        queue.add_later(A, 20)
        queue.add_later(A, 40)
        await asyncio.sleep(5)
        queue.add(A)
        await asyncio.sleep(100)
        queue.add_later(A, 1)
        await asyncio.sleep(100)

    worked(reconcile, script)
    assert times == [5.0, 106.0]


def test_failures_wait_longer_each_time_and_success_starts_anew() -> None:
    """Doubled, with jitter, at most a minute."""
    times: list[float] = []

    async def reconcile(_key: Key) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) != 12:
            raise ValueError("no")

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1000)
        queue.add(A)
        await asyncio.sleep(5)

    worked(reconcile, script)
    pauses = [later - earlier for earlier, later in pairwise(times[:12])]
    for number, pause in enumerate(pauses):
        longest = min(2.0**number, LONGEST_BACKOFF)
        assert longest / 2 <= pause <= longest
    assert times[13] - times[12] <= 1.0


def test_a_key_that_fails_stops_no_other() -> None:
    """With one worker, too."""
    seen: list[Key] = []

    async def reconcile(key: Key) -> None:
        seen.append(key)
        if key == A:
            raise RuntimeError

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(0.1)

    worked(reconcile, script, workers=1)
    assert seen == [A, B]


def test_no_more_keys_at_once_than_workers() -> None:
    """The rest waits."""
    busy, most = 0, 0

    async def reconcile(_key: Key) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.1)
        busy -= 1

    async def script(queue: WorkQueue) -> None:
        for number in range(20):
            queue.add(("team", str(number)))
        await asyncio.sleep(100)

    worked(reconcile, script, workers=3)
    assert (most, busy) == (3, 0)


def test_looks_that_hang_hold_no_other_up() -> None:
    """Sixty resources on servers that don't answer, and a pin is still served in time."""
    began: dict[Key, float] = {}

    async def reconcile(key: Key) -> None:
        assert key not in began
        began[key] = asyncio.get_running_loop().time()
        await asyncio.sleep(0 if key == A else 20)

    async def script(queue: WorkQueue) -> None:
        for number in range(60):
            queue.add(("team", str(number)))
        queue.add(A)
        await asyncio.sleep(100)

    worked(reconcile, script)
    assert began[A] < 5
    assert len(began) == 61


def test_so_many_looks_may_hang_and_no_more() -> None:
    """The rest waits until one of them ends; whatever hangs is cancelled with the queue."""
    busy, most = 0, 0

    async def reconcile(_key: Key) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        try:
            await asyncio.sleep(200)
        finally:
            busy -= 1

    async def script(queue: WorkQueue) -> None:
        for number in range(2 * MOST_AT_ONCE):
            queue.add(("team", str(number)))
        await asyncio.sleep(100)
        assert busy == MOST_AT_ONCE
        await asyncio.sleep(200)
        assert busy == MOST_AT_ONCE

    worked(reconcile, script)
    assert (most, busy) == (MOST_AT_ONCE, 0)
