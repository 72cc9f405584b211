"""The watch of ConfigMaps with samples: who is woken, and what it lives through."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from domaintraining.controller.sources import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    METADATA,
    SELECTOR,
    Sources,
    SourceWatch,
)
from domaintraining.controller.workqueue import Key

DOCS, LOGS = ("team", "docs"), ("team", "logs")


def test_each_config_map_has_its_resources() -> None:
    """Until they refer to another, or are gone; nothing of them stays."""
    sources = Sources()
    sources.refer(DOCS, "samples")
    sources.refer(LOGS, "samples")
    sources.refer(("other", "docs"), "samples")
    assert sources.of(("team", "samples")) == [DOCS, LOGS]
    sources.refer(DOCS, "more")
    assert sources.of(("team", "samples")) == [LOGS]
    assert sources.within("team") == [DOCS, LOGS]
    assert sources.within(None) == [("other", "docs"), DOCS, LOGS]
    for key in (DOCS, LOGS, ("other", "docs")):
        sources.refer(key, None)
    assert sources.within(None) == []
    assert not vars(sources)["_keys"]


class SimulatedApiServer:
    """Answers lists and watches of ConfigMaps as it is told."""

    def __init__(self, *watches: list[dict[str, Any]] | int) -> None:
        self.watches = list(watches)
        """Events of each watch in turn, or the status that it is refused with; the last stays open."""
        self.asked: list[dict[str, str]] = []
        self.accepted: set[str] = set()
        self.pauses: list[float] = []
        """Seconds that the watch would have waited."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.asked.append(dict(request.query))
        self.accepted.add(request.headers["Accept"])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": f"{100 * len(self.asked)}"}})
        given = self.watches.pop(0) if self.watches else []
        if isinstance(given, int):
            return web.Response(status=given)
        response = web.StreamResponse()
        await response.prepare(request)
        for event in given:
            await response.write(json.dumps(event).encode() + b"\n")
        if not self.watches:
            await asyncio.Event().wait()
        return response


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    """An event of metadata."""
    return {
        "type": kind,
        "object": {"metadata": {"namespace": "team", "name": name, "resourceVersion": version}},
    }


def woken(server: SimulatedApiServer, enough: Callable[[list[Key]], bool]) -> list[Key]:
    """Keys that a watch puts on the queue, until there are enough."""
    keys: list[Key] = []

    async def work() -> None:
        app = web.Application()
        app.router.add_get("/api/v1/configmaps", server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        sources, full = Sources(), asyncio.Event()
        sources.refer(DOCS, "samples")
        sources.refer(LOGS, "more")

        def add(key: Key) -> None:
            keys.append(key)
            if enough(keys):
                full.set()

        async def open_session(_: aiohttp.TraceConfig) -> tuple[str, aiohttp.ClientSession]:
            return url, aiohttp.ClientSession()

        async def pause(seconds: float) -> None:
            server.pauses.append(seconds)
            await asyncio.sleep(0)

        watch = asyncio.create_task(SourceWatch(sources, open_session, add, pause).run(()))
        async with asyncio.timeout(20):
            await full.wait()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await runner.cleanup()

    asyncio.run(work())
    return keys


def test_the_resources_of_a_config_map_that_changed_are_woken() -> None:
    """All once at the start, as something may have happened before; then each by its own."""
    server = SimulatedApiServer(
        [event("MODIFIED", "else", "201"), event("BOOKMARK", "", "202"), event("MODIFIED", "samples", "203")]
    )
    assert woken(server, lambda keys: len(keys) == 3) == [DOCS, LOGS, DOCS]
    assert server.asked[0] == {"limit": "1", "labelSelector": SELECTOR}
    assert server.asked[1]["resourceVersion"] == "100"
    assert all("as=PartialObjectMetadata" in one for one in server.accepted), "no content is asked for"
    assert METADATA in server.accepted


def test_a_watch_that_ends_goes_on_where_it_ended() -> None:
    """What happens between two watches is told by the next; nobody else is woken."""
    server = SimulatedApiServer([event("MODIFIED", "samples", "201")], [event("MODIFIED", "more", "202")])
    assert woken(server, lambda keys: len(keys) == 4) == [DOCS, LOGS, DOCS, LOGS]
    assert [one.get("resourceVersion") for one in server.asked] == [None, "100", "201"]
    assert server.pauses == [], "what was told is told on without a wait"


def grow(pauses: list[float]) -> bool:
    """Whether each pause is about twice the one before, up to the longest."""
    most = [min(FIRST_PAUSE * 2**place, LONGEST_PAUSE) for place in range(len(pauses))]
    return all(top / 2 <= one <= top for one, top in zip(pauses, most, strict=True))


def test_an_error_that_is_not_410_lets_the_version_stand_and_waits() -> None:
    """As `etcdserver: leader changed`: a storm of lists would be no help to an API server in need."""
    failing = [{"type": "ERROR", "object": {"code": 500, "message": "etcdserver: leader changed"}}]
    server = SimulatedApiServer(*[failing] * 4, [event("MODIFIED", "samples", "205")])
    assert woken(server, lambda keys: len(keys) == 3) == [DOCS, LOGS, DOCS]
    assert [one.get("resourceVersion") for one in server.asked] == [None, *["100"] * 5]
    assert len(server.pauses) == 4
    assert grow(server.pauses)


def test_a_history_that_is_gone_again_and_again_is_asked_for_ever_more_rarely() -> None:
    server = SimulatedApiServer(*[410] * 7, [])
    woken(server, lambda keys: len(keys) == 16)
    assert len(server.pauses) == 7
    assert grow(server.pauses)


def test_watches_that_end_at_once_are_opened_ever_more_rarely() -> None:
    """A proxy may end each of them; nobody is woken by that, and nothing that comes later is missed."""
    server = SimulatedApiServer(*[[]] * 5, [event("MODIFIED", "samples", "201")])
    assert woken(server, lambda keys: len(keys) == 3) == [DOCS, LOGS, DOCS]
    assert [one.get("resourceVersion") for one in server.asked] == [None, *["100"] * 6]
    assert len(server.pauses) == 5
    assert grow(server.pauses)


def test_an_event_without_a_version_is_not_a_reason_to_wake_all() -> None:
    """The version before it counts on."""
    nameless = {"type": "MODIFIED", "object": {"metadata": {"namespace": "team", "name": "samples"}}}
    server = SimulatedApiServer([nameless], [event("MODIFIED", "more", "202")])
    assert woken(server, lambda keys: len(keys) == 4) == [DOCS, LOGS, DOCS, LOGS]
    assert [one.get("resourceVersion") for one in server.asked] == [None, "100", "100"]


def test_a_history_that_is_gone_wakes_all() -> None:
    """As after a long outage; and so does an error in the stream."""
    for refusal in (410, [{"type": "ERROR", "object": {"code": 410}}]):
        server = SimulatedApiServer(refusal, [])
        assert woken(server, lambda keys: len(keys) == 4) == [DOCS, LOGS, DOCS, LOGS]


def test_an_api_server_that_fails_is_asked_again() -> None:
    """From the version that was known: nothing is missed, and not everybody is woken."""
    server = SimulatedApiServer(
        [event("MODIFIED", "samples", "201")], 500, [event("MODIFIED", "more", "205")]
    )
    assert woken(server, lambda keys: len(keys) == 4) == [DOCS, LOGS, DOCS, LOGS]
    assert [one.get("resourceVersion") for one in server.asked] == [None, "100", "201", "201"]
