"""What a model server says is read within bounds, and a pull is followed once."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from domaintraining.api.reasons import Reason
from domaintraining.controller.models import HttpModelServers, ModelInfo, ScriptedModels
from domaintraining.controller.pulls import Pulls, PullState
from domaintraining.errors import DomainTrainingError

from .serving import Answer, serving

TAGS = {"models": [{"name": "qwen3:32b", "digest": "aa"}, {"name": "small:latest", "digest": "sha256:bb"}]}
SHOWN = {
    "capabilities": ["completion", "thinking"],
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
}


async def ollama(request: web.Request) -> web.StreamResponse:
    if request.path == "/api/version":
        return web.json_response({"version": "0.33.0"})
    if request.path == "/api/tags":
        return web.json_response(TAGS)
    assert request.path == "/api/show"
    model = (await request.json())["model"]
    if model in {"small", "qwen3:32b"}:
        return web.json_response(SHOWN)
    return web.json_response({"error": f"model '{model}' not found"}, status=404)


def asked(answer: Answer, question: Callable[[HttpModelServers, str], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        servers = HttpModelServers()
        try:
            async with serving(answer) as url:
                return await question(servers, url)
        finally:
            await servers.close()

    return asyncio.run(ask())


def test_a_model_is_found_with_and_without_its_tag() -> None:
    """`small` is `small:latest`; digest, capabilities and context length are the server's."""
    found = asked(ollama, lambda servers, url: servers.show(url, "small"))
    assert found == ModelInfo("bb", frozenset({"completion", "thinking"}), 40960)
    assert asked(ollama, lambda servers, url: servers.digest(url, "qwen3:32b")) == "aa"
    assert asked(ollama, lambda servers, url: servers.digest(url, "qwen3:8b")) == ""
    assert asked(ollama, lambda servers, url: servers.version(url + "/")) == "0.33.0"


def test_a_missing_model_is_no_error() -> None:
    """The caller decides whether it is pulled."""
    assert asked(ollama, lambda servers, url: servers.show(url, "other")) is None


def replying(status: int, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (replying(500, b'{"error": "no\\u001b[31m\\nmemory"}'), "answers 500: no [31m memory"),
        (replying(404, b"404 page not found"), "answers 404"),
        (replying(302, b"", {"Location": "http://169.254.169.254/"}), "answers 302"),
        (replying(200, b"<html>"), "something else than a JSON object"),
        (replying(200, b"[" * 100_000), "something else than a JSON object"),
        (replying(200, b" " * (4 * 2**20 + 1)), "more than 4194304 bytes"),
    ],
)
def test_a_server_that_is_none_is_unavailable(answer: Answer, said: str) -> None:
    """Redirects are not followed, replies are bounded, control characters stay out of the message."""
    with pytest.raises(DomainTrainingError) as error:
        asked(answer, lambda servers, url: servers.show(url, "small"))
    assert error.value.reason == Reason.MODEL_SERVER_UNAVAILABLE
    assert said in error.value.message
    assert error.value.message.isprintable()


def test_a_server_that_is_gone_is_unavailable() -> None:
    """The message names its URL."""

    async def ask() -> None:
        async with serving(ollama) as url:
            pass
        servers = HttpModelServers()
        with pytest.raises(DomainTrainingError, match=f"{url} does not answer: .") as error:
            await servers.version(url)
        await servers.close()
        assert error.value.retryable

    asyncio.run(ask())


def test_the_fake_answers_like_a_server() -> None:
    """Names with and without tag, and servers that are down."""
    fake = ScriptedModels({"small": ModelInfo("bb")}, down={"http://down"})
    assert asyncio.run(fake.show("http://up", "small:latest")) == ModelInfo("bb")
    assert asyncio.run(fake.show("http://up", "other")) is None
    with pytest.raises(DomainTrainingError):
        asyncio.run(fake.version("http://down"))


def streaming(*lines: dict[str, Any]) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/pull"
        return web.Response(body="".join(json.dumps(line) + "\n" for line in lines).encode())

    return answer


async def ended(pulls: Pulls, url: str, model: str = "small") -> PullState:
    changed = asyncio.Event()
    pulls.start(url, model, changed.set)
    while (state := pulls.state(url, model)) is not None and state.running:
        await changed.wait()
        changed.clear()
    assert state is not None
    return state


def pulled(answer: Answer) -> PullState:
    async def pull() -> PullState:
        pulls = Pulls(clock=lambda: 7.0)
        async with serving(answer) as url:
            state = await ended(pulls, url)
        await pulls.close()
        return state

    return asyncio.run(pull())


def test_a_pull_ends_with_success() -> None:
    """And says when."""
    state = pulled(streaming({"status": "pulling manifest"}, {"status": "success"}))
    assert state == PullState(percent=100, done=True, finished_at=7.0)


@pytest.mark.parametrize(
    ("answer", "said", "not_found"),
    [
        (streaming({"error": "pull model manifest: file does not exist"}), "file does not exist", True),
        (streaming({"error": "max retries\n\u001b[0m exceeded" + "x" * 999}), "max retries [0m exc", False),
        (streaming({"status": "pulling manifest"}), "without success", False),
        (replying(500, b'{"error": "disk is full"}'), "disk is full", False),
        (replying(404, b"404 page not found"), "no reply of Ollama", False),
        (replying(200, b"x" * 3_000_000), "", False),
    ],
)
def test_a_pull_that_broke_off_says_why(answer: Answer, said: str, not_found: bool) -> None:  # noqa: FBT001
    """In one bounded line; only a model that no registry has is not worth another try."""
    state = pulled(answer)
    assert state.error
    assert said in state.error
    assert state.error.isprintable()
    assert len(state.error) <= 300
    assert (state.done, state.not_found, state.finished_at) == (False, not_found, 7.0)


class Lines:
    """Lines of a pull that the test gives one by one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.opened = 0

    async def __call__(self, _endpoint: str, _model: str) -> AsyncGenerator[dict[str, Any], None]:
        self.opened += 1
        while True:
            yield await self.queue.get()


def test_percent_sums_the_files_and_changes_are_told() -> None:
    """100 only at the end; absurd counts are ignored."""

    async def pull() -> list[int]:
        lines, seen, done = Lines(), [], asyncio.Event()
        pulls = Pulls(lines)

        def note() -> None:
            state = pulls.state("http://a", "m")
            assert state is not None
            seen.append(state.percent)
            if state.done:
                done.set()

        for digest, completed in [("a", 50), ("b", 50), ("b", 100), ("a", 100)]:
            lines.queue.put_nowait({"digest": digest, "total": 100, "completed": completed})
        lines.queue.put_nowait({"digest": "c", "total": -5, "completed": "many"})
        lines.queue.put_nowait({"status": "success"})
        pulls.start("http://a", "m", note)
        pulls.start("http://a/", "m:latest", note)
        await done.wait()
        assert lines.opened == 1
        return seen

    assert asyncio.run(pull()) == [50, 75, 99, 100]


def test_a_failed_pull_is_kept_until_it_is_started_again() -> None:
    """With its age, so that the caller can wait; forgetting leaves a running pull alone."""

    async def pull() -> None:
        now = [10.0]
        lines = Lines()
        pulls = Pulls(lines, lambda: now[0])
        lines.queue.put_nowait({"error": "disk is full"})
        state = await ended(pulls, "http://a")
        now[0] = 25.0
        assert (state.error, pulls.age("http://a", "small")) == ("disk is full", 15.0)
        pulls.start("http://a", "small", lambda: None)
        pulls.forget("http://a", "small")
        assert pulls.state("http://a", "small") == PullState()
        lines.queue.put_nowait({"status": "success"})
        assert (await ended(pulls, "http://a")).done
        pulls.forget("http://a", "small")
        assert pulls.state("http://a", "small") is None
        pulls.start("http://a", "small", lambda: None)
        await pulls.close()
        assert pulls.state("http://a", "small") is None

    asyncio.run(pull())
