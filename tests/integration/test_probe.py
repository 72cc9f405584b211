"""The slots of a server that does not tell them, measured against the simulated one."""

from __future__ import annotations

import pytest

from domaintraining.api.spec import ModelOptions
from domaintraining.trainer.calls.probe import MOST, TOKENS, measure_slots
from domaintraining.trainer.calls.server import OllamaServer
from tests.integration.watched_ollama import MODEL, WatchedOllama

SCALE = 0.2
"""Real seconds for a model second: a call then takes a hundred times as long as its way."""


@pytest.mark.parametrize("slots", [1, 2, 4, 16])
def test_the_slots_of_a_server_are_found(slots: int) -> None:
    """With streams that slow each other down, prompts read one by one, and a model to be loaded first."""
    with WatchedOllama(SCALE, slots) as simulated:
        server = OllamaServer(simulated.url, permits=MOST, outage_seconds=60)
        assert measure_slots(server, MODEL, ModelOptions()) == slots
        server.close()
        calls = 1 + (2 * MOST if slots == MOST else MOST)
        assert simulated.asked == calls
        assert simulated.stats()["decodedTokens"] <= calls * TOKENS
