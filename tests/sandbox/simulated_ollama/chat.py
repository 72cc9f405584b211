"""One chat call: what it is answered, how it ends, and the lines or the body that carry it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .latency import Call, Message, Timing, prompt_tokens
from .learner import answer, nothing
from .models import Model
from .proposals import reply_to
from .request import ChatRequest, Refused
from .text import count_tokens, fraction

TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, "
    "adjust the context length in settings, or use a model with a longer context length"
)
_CHUNKS = 24
_THINKING = {True: 400, "low": 150, "medium": 400, "high": 900, "max": 1600}
_THOUGHT = "This model is simulated and has nothing to think about, so it counts words instead. "


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered: text, thoughts, tokens of both, and why it ends."""

    content: str
    thinking: str
    tokens: int
    done_reason: str
    prompt: int


def fitted(request: ChatRequest, model: Model, context: int) -> tuple[Message, ...]:
    """The messages that fit the context: all, or what is left where Ollama drops the first ones.

    Raises:
        Refused: 400 where they don't fit and the call says `truncate: false`; where the model cannot do it.
    """
    if "completion" not in model.capabilities:
        raise Refused(400, f'"{request.model}" does not support chat')
    if request.think and "thinking" not in model.capabilities:
        raise Refused(400, f'"{request.model}" does not support thinking')
    messages = request.messages
    if prompt_tokens(messages) <= context:
        return messages
    if not request.truncate:
        raise Refused(400, TOO_LONG)
    for start in range(len(messages)):
        kept = (*(one for one in messages[:start] if one[0] == "system"), *messages[start:])
        if prompt_tokens(kept) <= context:
            return kept
    return kept


def replied(request: ChatRequest, messages: Sequence[Message], model: Model, context: int) -> Reply:
    """What the simulated model answers, cut where the call or the context says so."""
    content = _content(request, messages, model)
    found = [content.find(stop) for stop in request.stop if stop and stop in content]
    content = content[: min(found)] if found else content
    prompt = prompt_tokens(messages)
    room = max(context - prompt, 1)
    limit = room if request.num_predict is None else min(request.num_predict, room)
    thinking = thoughts(model, request.think)
    spent, thinking_cut = _cut(thinking, limit)
    used, content_cut = _cut(content, limit - spent) if spent < limit or not content else (0, "")
    whole = thinking_cut == thinking and content_cut == content
    return Reply(content_cut, thinking_cut, spent + used, "stop" if whole else "length", prompt)


def _content(request: ChatRequest, messages: Sequence[Message], model: Model) -> str:
    if request.schema is not None:
        if model.lapses and fraction("lapse", model.build, *messages[-1]) < model.lapses:
            return nothing(request.schema)
        return answer(messages, request.schema, request.temperature, request.seed)
    if request.loose_json:
        return '{"simulated": true}'
    return reply_to(messages, request.temperature, request.seed)


def thoughts(model: Model, think: bool | str | None) -> str:  # noqa: FBT001 - as in the protocol
    """The thinking of a reply: where the model can think it does so unless it is told not to."""
    if "thinking" not in model.capabilities or think is False:
        return ""
    wanted = _THINKING[True if think is None else think]
    return _THOUGHT * max(round(wanted / count_tokens(_THOUGHT)), 1)


def _cut(text: str, limit: int) -> tuple[int, str]:
    """Tokens of a text and the text, cut to so many tokens."""
    tokens = count_tokens(text)
    if tokens <= limit:
        return tokens, text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens(text[:middle]) <= limit else (low, middle - 1)
    return limit, text[:low]


def garbled(reply: Reply, prompt: str) -> Reply:
    """The reply of a model that ran away: the beginning of the answer, then white space up to the limit."""
    keep = int(len(reply.content) * fraction("garbled", prompt))
    return Reply(reply.content[:keep] + " \n" * 40, reply.thinking, reply.tokens + 80, "length", reply.prompt)


def shown_model(name: str) -> str:
    """The model name of every reply: it says that nobody real answered."""
    return f"simulated-{name}"


def line(request: ChatRequest, content: str = "", thinking: str = "") -> dict[str, Any]:
    """A part of a reply, not the last one."""
    message = {"role": "assistant", "content": content} | ({"thinking": thinking} if thinking else {})
    return {"model": shown_model(request.model), "created_at": now(), "message": message, "done": False}


def last(request: ChatRequest, reason: str, metrics: dict[str, int] | None = None) -> dict[str, Any]:
    """The end of a reply, with what it cost."""
    return line(request) | {"done": True, "done_reason": reason} | (metrics or {})


def metrics_of(reply: Reply, timing: Timing, total: float, load: float) -> dict[str, int]:
    """Tokens, and durations in nanoseconds; these are real time, as the client saw it pass."""
    return {
        "total_duration": nanoseconds(total),
        "load_duration": nanoseconds(load),
        "prompt_eval_count": reply.prompt,
        "prompt_eval_duration": nanoseconds(timing.prefill_seconds),
        "eval_count": reply.tokens,
        "eval_duration": nanoseconds(timing.decode_seconds),
    }


def nanoseconds(seconds: float) -> int:
    """At least 1: Go leaves a zero out."""
    return max(int(seconds * 1e9), 1)


def now() -> str:
    """The time as Go writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def written(call: Call, reply: Reply) -> None:
    """Spend the time that a reply takes, all at once."""
    await call.write(reply.tokens)


async def chunks(call: Call, reply: Reply) -> AsyncIterator[tuple[str, str]]:
    """The reply in at most 24 parts (thinking, content), each when its time has come."""
    text = reply.thinking + reply.content
    parts = max(min(_CHUNKS, reply.tokens), 1)
    done = 0
    for number in range(1, parts + 1):
        upto = len(text) * number // parts
        await call.write(reply.tokens * number // parts - reply.tokens * (number - 1) // parts)
        edge = len(reply.thinking)
        yield text[done : min(upto, edge)], text[max(done, edge) : max(upto, edge)]
        done = upto
