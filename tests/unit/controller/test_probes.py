"""The signs of life are gathered from what the parts do, and served where the kubelet asks."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import aiohttp
import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from domaintraining.controller.handlers import configure, watched_paths
from domaintraining.controller.health import UNANSWERED
from domaintraining.controller.probes import Health, application, serve
from domaintraining.controller.watches import LOGIN_PAUSE, Watches, register_login
from domaintraining.controller.workqueue import LONGEST_RECONCILE, Key, WorkQueue
from tests.unit.simulated_ollama.virtual import run

from .serving import serving

JOBS = "/apis/batch/v1/jobs"
KEY = ("team", "docs")


async def nothing(*_: Any) -> None:
    """A reconcile or ping that does nothing."""


def health_of(
    clock: Callable[[], float], watches: Watches | None = None, queue: WorkQueue | None = None
) -> Health:
    """The signs of life of parts; without any, there is nothing to be watched and nothing to be done."""
    return Health(queue or WorkQueue(nothing), watches or Watches([], clock), nothing, 300, clock)


def test_both_probes_answer_and_say_why() -> None:
    """An API server out of reach is no reason to start anew."""
    now = [0.0]

    async def ask() -> list[tuple[int, str]]:
        health = health_of(lambda: now[0])
        async with TestClient(TestServer(application(health))) as client:
            well = [await client.get(path) for path in ("/readyz", "/healthz")]
            health.told(0)
            now[0] = UNANSWERED
            ill = [await client.get(path) for path in ("/readyz", "/healthz")]
            health.told(404)
            again = await client.get("/readyz")
            return [(one.status, await one.text()) for one in (*well, *ill, again)]

    answers = asyncio.run(ask())
    assert [status for status, _ in answers] == [200, 200, 503, 200, 200]
    assert answers[0][1] == answers[3][1] == "ok\n"
    assert answers[2][1].startswith("api server: no answer, or none but 5xx, since ")


def test_a_watch_is_heard_when_it_opens_and_whenever_something_comes() -> None:
    """An event or a bookmark, without a look at what it says."""
    now, more = [1.0], asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({})
        stream = web.StreamResponse()
        await stream.prepare(request)
        await more.wait()
        await stream.write(b'{"type": "BOOKMARK"}\n')
        await asyncio.sleep(60)
        return stream

    async def listen() -> list[float | None]:
        heard: list[float | None] = []
        watches = Watches([JOBS], lambda: now[0])
        async with serving(answer) as url, aiohttp.ClientSession(trace_configs=[watches.trace()]) as session:
            (await session.get(f"{url}{JOBS}")).close()
            heard.append(watches.heard()[JOBS])
            async with session.get(f"{url}{JOBS}?watch=true") as stream:
                heard.append(watches.heard()[JOBS])
                now[0] = 50.0
                watches.look()
                heard.append(watches.heard()[JOBS])
                more.set()
                await stream.content.readany()
                watches.look()
                now[0] = 90.0
                watches.look()
                heard.append(watches.heard()[JOBS])
        return heard

    assert asyncio.run(listen()) == [None, 1.0, 1.0, 50.0]


def test_a_watch_that_is_refused_is_not_heard() -> None:
    """It counts as not connected, and as refused until the API server allows it."""
    status = 403

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=status)

    async def listen() -> None:
        nonlocal status
        watches = Watches([JOBS], lambda: 1.0)
        async with serving(answer) as url, aiohttp.ClientSession(trace_configs=[watches.trace()]) as session:
            (await session.get(f"{url}{JOBS}?watch=true")).close()
            assert watches.heard()[JOBS] is None
            assert watches.refused() == {JOBS}
            status = 200
            (await session.get(f"{url}{JOBS}")).close()
            assert not watches.refused()

    asyncio.run(listen())


def test_there_has_to_be_a_watch_for_each_kind_and_namespace() -> None:
    """All namespaces are one."""
    assert [path.rpartition("/")[2] for path in watched_paths([])] == [
        "domaintrainings",
        "jobs",
        "pods",
        "configmaps",
    ]
    assert len(watched_paths(["a", "b"])) == 8
    assert "/apis/batch/v1/namespaces/a/jobs" in watched_paths(["a", "b"])


def test_kopf_never_gives_up_a_request() -> None:
    """It would end with the first watch that does, for one namespace without rights."""
    settings = kopf.OperatorSettings()
    configure(settings)
    assert isinstance(settings.networking.error_backoffs, Iterable)
    for _ in range(2):
        pauses = list(islice(settings.networking.error_backoffs, 1000))
        assert (len(pauses), pauses[0], max(pauses) <= 30) == (1000, 1.0, True)


def test_a_token_that_is_refused_again_and_again_is_not_asked_for_all_the_time() -> None:
    """The first login is at once."""
    times: list[float] = []

    async def log_in() -> None:
        registry, watches = kopf.OperatorRegistry(), Watches([], lambda: 0.0)

        async def session(_: aiohttp.TraceConfig) -> Any:
            times.append(asyncio.get_running_loop().time())
            return "https://api", None

        register_login(registry, watches, session)
        (handler,) = registry._activities.get_all_handlers()
        login: Any = handler.fn
        for _ in range(3):
            assert (await login()).server == "https://api"

    run(log_in())
    assert times == [0.0, LOGIN_PAUSE, 2 * LOGIN_PAUSE]


def test_the_queue_tells_what_stands_in_it_longest() -> None:
    """What waits, what is worked on, when something ended."""

    async def script() -> None:
        clock = asyncio.get_running_loop().time

        async def slow(_: Key) -> None:
            await asyncio.sleep(100)

        queue = WorkQueue(slow, workers=1, most=1)
        work = asyncio.create_task(queue.run())
        queue.add(KEY)
        await asyncio.sleep(10)
        queue.add(("team", "second"))
        queue.add(("team", "third"))
        await asyncio.sleep(10)
        assert queue.state() == (2, 10.0, 0.0, KEY, None)
        await asyncio.sleep(81)
        assert queue.state() == (1, 10.0, 100.0, ("team", "second"), 100.0)
        assert clock() == 101.0
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    run(script())


def test_a_look_that_takes_too_long_is_given_up_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Each of its requests has a limit of its own; all of them together have one, too."""
    began: list[float] = []

    async def script() -> None:
        async def hangs(_: Key) -> None:
            began.append(asyncio.get_running_loop().time())
            await asyncio.sleep(100_000)

        queue = WorkQueue(hangs, workers=1)
        work = asyncio.create_task(queue.run())
        queue.add(KEY)
        await asyncio.sleep(LONGEST_RECONCILE + 2)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    run(script())
    assert len(began) == 2
    assert "team/docs: TimeoutError" in caplog.text


def test_the_beat_asks_where_it_is_quiet_and_tells_news_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each part when it stops, and when it is well again."""
    caplog.set_level(logging.INFO)
    pings: list[float] = []

    async def script() -> None:
        clock = asyncio.get_running_loop().time
        status = 200

        async def ping() -> None:
            pings.append(clock())
            health.told(status)

        health = Health(WorkQueue(nothing), Watches([], clock), ping, 300, clock)
        beat = asyncio.create_task(health.beat())
        await asyncio.sleep(41)
        assert pings == [20.0, 40.0]
        status = 503
        await asyncio.sleep(120)
        status = 200
        await asyncio.sleep(40)
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)

    run(script())
    said = [one.getMessage() for one in caplog.records if one.name.startswith("domaintraining")]
    assert len(said) == 2
    assert said[0].startswith("api server: no answer")
    assert said[1] == "api server: is well again"


def test_a_server_that_takes_questions_and_gives_no_answer_is_out_of_reach() -> None:
    """As one that refuses connections is."""

    async def script() -> list[str]:
        clock = asyncio.get_running_loop().time

        async def ping() -> None:
            await asyncio.sleep(3600)

        health = Health(WorkQueue(nothing), Watches([], clock), ping, 300, clock)
        beat = asyncio.create_task(health.beat())
        await asyncio.sleep(20 + 10 + UNANSWERED)
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        return [one.part for one in health.faults()]

    assert run(script()) == ["api server"]


def test_a_port_that_is_taken_ends_the_controller_with_its_name() -> None:
    """Probes would ask somebody else."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"HEALTH_PORT {port}: "):
            asyncio.run(serve(health_of(lambda: 0.0), port))
