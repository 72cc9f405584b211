"""One chat call that is being served, and the bytes of its reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from . import chat
from .latency import Call, Message, Timing
from .request import ChatRequest


@dataclass(frozen=True, slots=True)
class Turn:
    """A chat call on its way: what was asked, what it is answered, and what goes wrong with it."""

    asked: ChatRequest
    messages: tuple[Message, ...]
    reply: chat.Reply
    digest: str
    fault: str
    began: float
    load: float

    def body(self, timing: Timing) -> dict[str, Any]:
        """The whole reply as one object; a cut one has no end and no figures of it."""
        if self.fault == "cut":
            return chat.line(
                self.asked, self.reply.content[: len(self.reply.content) // 2], self.reply.thinking
            )
        whole = chat.line(self.asked, self.reply.content, self.reply.thinking)
        return chat.last(self.asked, self.reply.done_reason, self._metrics(timing)) | {
            "message": whole["message"]
        }

    async def lines(self, call: Call) -> AsyncIterator[dict[str, Any]]:
        """The reply in parts; a cut one stops in the middle."""
        sent = 0
        async for thinking, content in chat.chunks(call, self.reply):
            yield chat.line(self.asked, content, thinking)
            sent += len(content) + len(thinking)
            if self.fault == "cut" and 2 * sent >= len(self.reply.content):
                return
        yield chat.last(self.asked, self.reply.done_reason, self._metrics(call.timing))

    def _metrics(self, timing: Timing) -> dict[str, int]:
        total = asyncio.get_running_loop().time() - self.began
        return chat.metrics_of(self.reply, timing, total, self.load)
