"""How a reply ends, what fits a context, who may think, and what each part of a reply says."""

import asyncio
from typing import Any

import pytest

from tests.sandbox.simulated_ollama import chat
from tests.sandbox.simulated_ollama.chat import TOO_LONG, Reply, chunks, fitted, garbled, replied
from tests.sandbox.simulated_ollama.latency import Slots, Speed, prompt_tokens
from tests.sandbox.simulated_ollama.models import Model
from tests.sandbox.simulated_ollama.request import ChatRequest, Refused
from tests.sandbox.simulated_ollama.text import count_tokens
from tests.unit.simulated_ollama.lessons import ASKED, SHOWN, messages, schema_of
from tests.unit.simulated_ollama.virtual import run

MODEL = Model("m:1")
THINKER = Model("t:1", ("completion", "thinking"))


def request(**changes: Any) -> ChatRequest:
    """A task call; `options` as in a body."""
    turns = [{"role": role, "content": content} for role, content in messages("entities", ASKED[0], SHOWN)]
    return ChatRequest.parsed({"model": "m:1", "messages": turns, "format": schema_of("entities"), **changes})


def reply(**changes: Any) -> Reply:
    """What such a call is answered by a model that can think."""
    asked = request(**changes)
    return replied(asked, asked.messages, THINKER, 8192)


def test_a_whole_answer_ends_with_stop_and_a_cut_one_with_length() -> None:
    """num_predict bounds the tokens of an answer."""
    whole, cut = reply(think=False), reply(think=False, options={"num_predict": 12})
    assert (whole.done_reason, cut.done_reason) == ("stop", "length")
    assert whole.content.startswith(cut.content)
    assert count_tokens(cut.content) == cut.tokens == 12 < whole.tokens


def test_an_answer_ends_before_a_stop_text() -> None:
    """As llama.cpp cuts it; that is a regular end."""
    stopped = reply(think=False, options={"stop": ['"entities"']})
    assert '"entities"' not in stopped.content
    assert stopped.done_reason == "stop"


def test_a_model_that_can_think_does_so_unless_told_not_to() -> None:
    """Absent means yes; levels differ in length; the thinking says that it is none."""
    assert reply(think=False).thinking == ""
    lengths = [count_tokens(reply(think=level).thinking) for level in ("low", None, "high")]
    assert lengths == sorted(set(lengths))
    assert "simulated" in reply().thinking


def test_thinking_counts_against_the_bound() -> None:
    """A tight bound leaves no answer."""
    cut = reply(options={"num_predict": 100})
    assert (cut.content, cut.done_reason, cut.tokens) == ("", "length", 100)


def test_a_model_that_cannot_think_or_chat_refuses() -> None:
    """400 in Ollama's words; `think: false` is always safe."""
    for model, changes, words in (
        (MODEL, {"think": True}, '"m:1" does not support thinking'),
        (Model("e:1", ("embedding",)), {}, '"m:1" does not support chat'),
    ):
        with pytest.raises(Refused) as caught:
            fitted(request(**changes), model, 8192)
        assert (caught.value.status, caught.value.message) == (400, words)
    assert fitted(request(think=False), MODEL, 8192)


def test_a_prompt_that_is_too_long_loses_its_first_turns_unless_that_is_forbidden() -> None:
    """The system message and the last one stay; our demos would go without a word."""
    asked = request()
    room = prompt_tokens(asked.messages) - 1
    kept = fitted(asked, MODEL, room)
    assert kept[0] == asked.messages[0]
    assert kept[-1] == asked.messages[-1]
    assert len(kept) < len(asked.messages)
    assert prompt_tokens(kept) <= room
    with pytest.raises(Refused) as caught:
        fitted(request(truncate=False), MODEL, room)
    assert (caught.value.status, caught.value.message) == (400, TOO_LONG)


def test_an_answer_that_does_not_fit_the_context_is_cut() -> None:
    """Prompt and answer share it."""
    asked = request()
    context = prompt_tokens(asked.messages) + 10
    cut = replied(asked, asked.messages, MODEL, context)
    assert (cut.tokens, cut.done_reason) == (10, "length")


def test_parts_of_a_stream_make_the_whole_reply_thinking_first() -> None:
    """Nothing is lost between the parts, and they take the whole reply's time."""

    async def work() -> tuple[str, str, float]:
        async with Slots(1, Speed()).serve((("user", "x"),)) as call:
            began = asyncio.get_running_loop().time()
            parts = [part async for part in chunks(call, Reply("content of it", "thoughts", 40, "stop", 5))]
            lasted = asyncio.get_running_loop().time() - began
        return "".join(part[0] for part in parts), "".join(part[1] for part in parts), lasted

    assert run(work()) == ("thoughts", "content of it", pytest.approx(1.0))


def test_a_model_that_ran_away_leaves_no_json_and_says_length() -> None:
    """As seen: padded with white space, cut."""
    gone = garbled(reply(think=False), "ab")
    assert gone.done_reason == "length"
    assert gone.content.endswith("\n")


def test_every_part_of_a_reply_names_the_model_simulated() -> None:
    """Lines, ends, load and unload alike; durations are never left out."""
    asked = request()
    for part in (chat.line(asked, "x"), chat.last(asked, "stop"), chat.last(asked, "load")):
        assert part["model"] == "simulated-m:1"
        assert part["message"]["role"] == "assistant"
    assert chat.line(asked, "x", "y")["message"] == {"role": "assistant", "content": "x", "thinking": "y"}
    assert "done_reason" not in chat.line(asked, "x")
    assert chat.nanoseconds(0.0) == 1
