"""What the controller connects to is what was checked, and nothing is sent to what is refused."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from domaintraining.api.reasons import Reason
from domaintraining.controller import models
from domaintraining.controller.models import HttpModelServers
from domaintraining.controller.pulls import Pulls, http_lines
from domaintraining.controller.resolver import CheckedResolver
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard
from domaintraining.reach import Reach

from .serving import serving

NAME = "models.example"


class Stub(AbstractResolver):
    """A resolver that leads every name to this machine, and counts how often it is asked."""

    asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        Stub.asked += 1
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def _stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    Stub.asked = 0
    monkeypatch.setattr(models, "CheckedResolver", lambda guard: CheckedResolver(guard, Stub()))


def asked(question: Callable[[str, Reach], Awaitable[Any]], *, named: bool, literal: bool = False) -> Any:
    """The answer to a question at a server that a name leads to, and what reached the server."""
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(f"{request.host.split(':')[0]}{request.path}")
        return web.json_response({"version": "1", "status": "success"})

    async def ask() -> Any:
        async with serving(answer) as url:
            port = urlsplit(url).port or 0
            host = "127.0.0.1" if literal else NAME
            guard = Guard(frozenset({(host, port)}) if named else frozenset())
            try:
                return await question(f"http://{host}:{port}", Reach(guard=guard))
            except DomainTrainingError as error:
                return error

    return asyncio.run(ask()), reached


async def version(url: str, reach: Reach) -> str:
    """The server's version."""
    servers = HttpModelServers(reach)
    try:
        return await servers.version(url)
    finally:
        await servers.close()


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """One question to the resolver, and the name stays in the request: it can't lead elsewhere meanwhile."""
    assert asked(version, named=True) == ("1", [f"{NAME}/api/version"])
    assert Stub.asked == 1


@pytest.mark.parametrize("literal", [False, True])
def test_nothing_is_sent_to_what_is_refused(*, literal: bool) -> None:
    """Neither by name nor by address; it is not taken for a server that is down."""
    error, reached = asked(version, named=False, literal=literal)
    assert error.reason is Reason.MODEL_NOT_ALLOWED
    assert "loopback" in error.message
    assert reached == []


@pytest.mark.parametrize("literal", [False, True])
def test_no_pull_is_asked_for_there(*, literal: bool) -> None:
    """It ends with the reason."""

    async def pulled(url: str, reach: Reach) -> str:
        pulls = Pulls(lambda endpoint, model: http_lines(endpoint, model, reach))
        done = asyncio.Event()
        pulls.start(url, "m", done.set)
        await done.wait()
        state = pulls.state(url, "m")
        await pulls.close()
        return (state.error if state else None) or ""

    error, reached = asked(pulled, named=False, literal=literal)
    assert "loopback" in error
    assert reached == []
    assert asked(pulled, named=True, literal=literal)[1] != []
