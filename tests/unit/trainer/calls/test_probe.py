"""How many calls a server serves at once is seen from when equal calls come back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from domaintraining.api.spec import ModelOptions
from domaintraining.trainer.calls.probe import MOST, TOKENS, first_wave, measure_slots
from domaintraining.trainer.calls.reply import ChatAnswer


class SimulatedServing:
    """A model server with so many slots, without a network; the time is that of the calling thread."""

    def __init__(self, slots: int, seconds: float) -> None:
        self._slots, self._seconds = slots, seconds
        self._all_came = threading.Barrier(MOST, timeout=10)
        self._here = threading.local()
        self._loaded = False
        self.bodies: list[Mapping[str, Any]] = []

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        """The first call loads the model, the others come all at once."""
        self.bodies.append(body)
        if self._loaded:
            wave = self._all_came.wait() // self._slots
            self._here.now = (1 + wave) * self._seconds
        self._loaded = True
        return ChatAnswer("1 2 3", "length", 20, TOKENS, "simulated-m")

    def clock(self) -> float:
        """When the last answer of this thread came."""
        now: float = getattr(self._here, "now", 0.0)
        return now


@pytest.mark.parametrize("seconds", [0.05, 90.0])
@pytest.mark.parametrize(("slots", "found"), [(1, 1), (2, 2), (4, 4), (5, 5), (8, 8), (16, 16), (64, 16)])
def test_as_many_are_found_as_are_served_together(slots: int, found: int, seconds: float) -> None:
    """Whether the server is fast or slow; more than 16 are not looked for."""
    server = SimulatedServing(slots, seconds)
    assert measure_slots(server, "m", ModelOptions(), server.clock) == found


def test_the_calls_are_equal_short_and_few() -> None:
    """17 of at most 24 tokens, without thinking; a context of its own would have the model loaded anew."""
    server = SimulatedServing(4, 1.0)
    measure_slots(server, "m", ModelOptions(num_ctx=4096, think="High", max_tokens=9000), server.clock)
    assert len(server.bodies) == 1 + MOST
    assert all(body == server.bodies[0] for body in server.bodies)
    (body, *_) = server.bodies
    assert (body["options"]["num_predict"], body["options"]["num_ctx"], body["think"]) == (24, 4096, False)


@pytest.mark.parametrize(
    ("seconds", "together"),
    [
        ([1.0], 1),
        ([1.0, 2.0, 3.0], 1),
        ([1.0, 1.1, 1.2, 2.1, 2.3, 2.4], 3),
        ([2.4, 1.2, 1.0, 2.1, 1.1, 2.3], 3),
        ([1.0, 1.05, 1.1, 1.15], 4),
        ([60.0, 66.0, 121.0, 130.0], 2),
    ],
)
def test_those_that_come_with_the_first_were_served_with_it(seconds: list[float], together: int) -> None:
    """Reading one prompt after the other spreads a wave a little; the next one takes as long again."""
    assert first_wave(seconds) == together
