"""Names of data servers are anybody's: how long they take holds up nobody else."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.controller import network as module
from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.network import Network
from domaintraining.controller.observe import read_resource
from domaintraining.controller.observed import Resource
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard

from .test_network import ENVIRONMENT, SLICE
from .world import BARE, World

URL = "http://data.slow.example/samples.jsonl"


@contextmanager
def slow() -> Iterator[Guard]:
    """Names that no server of names answers for, until all is over; addresses are there at once."""
    over = threading.Event()

    def look_up(host: str, _port: int, /) -> list[str]:
        if not host[0].isdigit():
            over.wait(30)
        return [host]

    try:
        yield Guard(look_up=look_up)
    finally:
        over.set()


def network(guard: Guard) -> Network:
    return Network(Settings(trainer_image="i"), ApiServer(MemoryCluster(SLICE), ENVIRONMENT, ()), guard)


def resource() -> Resource:
    body = World().resource
    body["spec"]["dataset"] = {"http": {"url": URL}}
    return read_resource(body)


def run(endpoint: str, url: str | None = URL) -> Run:
    remote = {"http": {"url": url}} if url else {}
    return Run.model_validate(
        {
            **BARE,
            "data": {"file": "f", "source": "s", "remote": remote},
            "model": {"name": "m", "endpoint": endpoint, "source": "spec"},
        }
    )


def test_a_slow_name_of_data_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """As unreachable data, which is tried again; both before the start and within it."""
    monkeypatch.setattr(module, "LOOK_UP_SECONDS", 0.05)

    async def both(of: Network) -> list[Reason]:
        found = []
        for look in (of.look_ahead(resource()), of.policy(resource(), run("http://192.0.2.4"))):
            with pytest.raises(DomainTrainingError, match=r"data\.slow\.example can't be resolved") as raised:
                await look
            found.append(raised.value.reason)
        return found

    with slow() as guard:
        assert asyncio.run(both(network(guard))) == [Reason.DATASET_UNREACHABLE] * 2


def test_a_slow_name_of_a_model_server_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server that is away."""
    monkeypatch.setattr(module, "LOOK_UP_SECONDS", 0.05)

    async def policy(of: Network) -> None:
        try:
            await of.policy(resource(), run("http://gpu.example", None))
        finally:
            answered.close()  # the loop's end waits for its threads

    with ExitStack() as answered, pytest.raises(DomainTrainingError, match="no answer") as raised:
        asyncio.run(policy(network(answered.enter_context(slow()))))
    assert raised.value.reason is Reason.MODEL_SERVER_UNAVAILABLE


def test_what_was_looked_up_ahead_is_not_asked_for_again() -> None:
    """Starts wait for each other, and this one has its answer; the next start asks anew."""
    asked: list[str] = []

    def look_up(host: str, _port: int, /) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    async def start(of: Network) -> None:
        await of.look_ahead(resource())
        for _ in range(2):
            assert await of.policy(resource(), run("http://192.0.2.4")) is not None

    asyncio.run(start(network(Guard(look_up=look_up))))
    assert asked.count("data.slow.example") == 2


def test_what_was_looked_up_ahead_is_checked() -> None:
    """Where the name leads counts, whenever it was asked for."""

    async def start(of: Network) -> None:
        await of.look_ahead(resource())
        await of.policy(resource(), run("http://192.0.2.4"))

    def look_up(host: str, _port: int, /) -> list[str]:
        return ["169.254.169.254"] if host == "data.slow.example" else [host]

    with pytest.raises(DomainTrainingError) as raised:
        asyncio.run(start(network(Guard(look_up=look_up))))
    assert raised.value.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED
