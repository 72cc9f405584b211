"""What model servers are asked for, and how often."""

import asyncio
from datetime import timedelta

from domaintraining.controller.digests import Digests
from domaintraining.controller.models import ModelInfo, ScriptedModels
from tests.unit.controller.world import NOW

SERVER = "http://ollama:11434"


def test_all_resources_share_one_request_in_a_while() -> None:
    """Asked at once or one after the other, in whatever spelling; then anew."""
    models = ScriptedModels({"qwen3:32b": ModelInfo("sha256:1"), "qwen3:8b": ModelInfo("sha256:2")})
    now = NOW
    digests = Digests(models, 270, lambda: now)

    async def ask() -> list[str]:
        names = ["qwen3:32b"] * 200 + ["QWEN3:32B", "qwen3:8b"]
        return await asyncio.gather(*(digests.of(f"{SERVER}/", name) for name in names))

    async def work() -> None:
        nonlocal now
        found = await ask()
        assert (found[0], found[-1]) == ("sha256:1", "sha256:2")
        now += timedelta(seconds=269)
        await ask()
        assert len(models.asked) == 2
        now += timedelta(seconds=2)
        await ask()
        assert len(models.asked) == 4

    asyncio.run(work())


def test_a_server_that_is_down_says_nothing_and_is_not_asked_again_at_once() -> None:
    """No error, no digest; and a model that is not there has none either."""
    models = ScriptedModels(down={SERVER})
    digests = Digests(models, 270, lambda: NOW)

    async def work() -> None:
        assert await digests.of(SERVER, "qwen3:32b") == ""
        assert await digests.of(SERVER, "qwen3:32b") == ""
        assert len(models.asked) == 1
        assert await digests.of("http://other:11434", "qwen3:32b") == ""

    asyncio.run(work())
