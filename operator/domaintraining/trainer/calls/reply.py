"""What a reply of the model server says: an answer, a failure that may pass, or one that will not. Pure.

Error bodies as Ollama writes them: https://github.com/ollama/ollama/blob/main/docs/api/errors.mdx
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError

CUT: Final = "cut"
"""done_reason of an answer that the server broke off because the model repeats itself without end; `length`
is that of one cut by num_predict."""
REPEATING: Final = re.compile(r"\s{30}|\s*(\S{1,64}?)(?:\s*\1){29}")
"""The end of such an answer, backwards: before 0.34.1 Ollama breaks off at the 31st equal token, blanks
aside, and the reply says no more than `"done": false` (https://github.com/ollama/ollama/pull/18374)."""
REPEATING_LENGTH: Final = 8192
REPEAT_LIMIT: Final = re.compile(r"repeat limit", re.IGNORECASE)
"""What it says since then, with HTTP 500."""
TOO_LONG: Final = re.compile(
    r"context (size|length|window)|too (long|many tokens)|exceeds? .*context|input length", re.IGNORECASE
)
NOT_A_SCHEMA: Final = re.compile(r"invalid JSON schema", re.IGNORECASE)
FINAL_STATUSES: Final = (400, 413, 422)
QUOTED_LENGTH: Final = 200
TELLING_LENGTH: Final = 16
"""So many characters of a prompt in the server's words are no accident."""
WITHHELD: Final = "(the server's words quote the prompt and are left out)"


class ChatAnswer(NamedTuple):
    """One answer of the model. What it holds is untrusted."""

    content: str
    """What the model wrote, without its thinking."""
    done_reason: str
    """`stop`, `length` (cut by num_predict) or `cut` (broken off, as the model repeats itself)."""
    prompt_tokens: int
    answer_tokens: int
    model: str
    """Model as the server names it."""


class CallFailed(Exception):  # noqa: N818 - a failure that may pass, caught where it is tried again
    """A call without an answer; tried again."""

    def __init__(self, what: str, retry_after: float = 0.0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


def encode(body: Mapping[str, Any]) -> bytes:
    """A body as it goes over the wire. Raises UnicodeEncodeError for text that is not valid Unicode."""
    return json.dumps(body, ensure_ascii=False).encode()


def no_quote(body: Mapping[str, Any]) -> Callable[[str], str]:
    """A filter for the server's words: one short line, or nothing of it where it quotes the prompt.

    Names that embeddings are asked for are short: any of them in the server's words is a quotation; texts are
    long, and a part of one is.
    """
    names = [str(name) for name in body.get("input", ())]
    prompt = "\n".join([*(str(message.get("content")) for message in body.get("messages", ())), *names])

    def quotable(words: str) -> str:
        line = " ".join(words.split())[:QUOTED_LENGTH]
        starts = range(max(1, len(line) - TELLING_LENGTH + 1))
        quotes = any(line[start : start + TELLING_LENGTH] in prompt for start in starts)
        quotes = quotes or any(name.casefold() in line.casefold() for name in names)
        return WITHHELD if line and quotes else line

    return quotable


def read_chat(values: Mapping[str, Any]) -> ChatAnswer:
    """The answer in what /api/chat replies with 200. Raises CallFailed: there is none."""
    message = values.get("message")
    message = message if isinstance(message, Mapping) else {}
    content = message.get("content")
    done = values.get("done")
    if not isinstance(content, str) or not isinstance(done, bool):
        raise CallFailed("HTTP 200 with a reply that is not one of /api/chat")
    if not done and not _repeats(content or str(message.get("thinking", ""))):
        raise CallFailed('HTTP 200 with a reply that was broken off ("done": false)')
    reason = values.get("done_reason")
    return ChatAnswer(
        content=content,
        done_reason=(str(reason)[:32] if reason else "stop") if done else CUT,
        prompt_tokens=counted(values.get("prompt_eval_count")),
        answer_tokens=counted(values.get("eval_count")),
        model=str(values.get("model"))[:200],
    )


def read_reply(
    status: int,
    reply: bytes,
    quotable: Callable[[str], str],
    retry_after: float = 0.0,
    read: Callable[[Mapping[str, Any]], ChatAnswer] = read_chat,
) -> ChatAnswer:
    """The answer in a reply; `read` finds it in what was replied with 200.

    Raises:
        CallFailed: no answer, but it may come: 404 (the model is being loaded or removed), 429, 5xx,
            a redirect, a refusal by a proxy, a reply that is not Ollama's, or one that was broken off while
            the model did not repeat itself.
        DomainTrainingError: a refusal that stays: the prompt is too long (PromptTooLong) or the model
            or server cannot do what is asked (ModelUnsuitable).
    """
    values = _object(reply)
    words = values.get("error")
    if status == 200 and not words:
        return read(values)
    words = words if isinstance(words, str) else ""
    if REPEAT_LIMIT.search(words):
        return ChatAnswer("", CUT, 0, 0, "")
    said = quotable(words)
    _refuse_for_good(status, words, said)
    raise CallFailed(f"HTTP {status}{': ' if said else ''}{said}", retry_after)


def _refuse_for_good(status: int, words: str, said: str) -> None:
    if status == 413 or (status in {*FINAL_STATUSES, 500} and TOO_LONG.search(words)):
        raise DomainTrainingError(Reason.PROMPT_TOO_LONG, f"the model server refuses a prompt: {said}")
    if status in FINAL_STATUSES or NOT_A_SCHEMA.search(words):
        message = f"the model server refuses the call with HTTP {status}: {said}"
        raise DomainTrainingError(Reason.MODEL_UNSUITABLE, message)


def _object(reply: bytes) -> dict[str, Any]:
    try:
        values = json.loads(reply)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _repeats(written: str) -> bool:
    return REPEATING.match(written[-REPEATING_LENGTH:][::-1]) is not None


def counted(value: Any) -> int:
    """A number of tokens as the server gives it; 0 for anything else."""
    return value if type(value) is int and 0 <= value <= 1_000_000_000 else 0
