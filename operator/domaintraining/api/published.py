"""What holds for the files of a published prompt, whoever wrote them.

Pure checks that raise ValueError with words that hold nothing of the files: a trainer's report is hostile
input, and its texts may be samples.
"""

import json
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any, Final

MAX_DEPTH: Final = 32
"""Deepest nesting of JSON that is read; prompts and manifests have less than 10 levels."""
PLACEHOLDER: Final = re.compile(r"\{text\}|\{entities\}")

Message = dict[str, str]


def read_json(text: str, what: str) -> Any:
    """JSON that every reader understands alike: no key twice, no NaN, at most 32 levels deep.

    Raises:
        ValueError: it is not; the message names `what` and the position.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
        check_depth(value, what)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    return value


def read_object(text: str, what: str) -> dict[str, Any]:
    """The same for a JSON object."""
    value = read_json(text, what)
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")  # noqa: TRY004 - pydantic takes ValueError
    return value


def check_depth(value: Any, what: str) -> None:
    """Refuses a value nested more than 32 levels deep, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
    raise ValueError(f"{what} is nested more than {MAX_DEPTH} levels deep")


def read_messages(text: str) -> list[Message]:
    """Chat messages: system, then user and assistant for each demo, then user, with placeholders in the
    last one only: `{text}` once and `{entities}` at most once.

    Raises:
        ValueError: they are not.
    """
    messages = read_json(text, "messages.json")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages.json is not a list of messages")
    for message in messages:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise ValueError("a message has other keys than role and content")
        if not isinstance(message["content"], str):
            raise ValueError("a message's content is not a string")  # noqa: TRY004 - as above
    roles = ["system", *(role for role, _ in zip(cycle(("user", "assistant")), messages[1:], strict=False))]
    if [message["role"] for message in messages] != roles or roles[-1] != "user":
        raise ValueError("the messages are not system, user and assistant for each demo, and user")
    if any(PLACEHOLDER.search(message["content"]) for message in messages[:-1]):
        raise ValueError("a placeholder stands in another message than the last")
    check_placeholders(messages[-1]["content"], "the last message")
    return messages


def check_placeholders(content: str, what: str) -> None:
    """Whether a text can be filled: `{text}` once and `{entities}` at most once."""
    found = PLACEHOLDER.findall(content)
    if found.count("{text}") != 1 or found.count("{entities}") > 1:
        raise ValueError(f"{what} does not hold {{text}} once and {{entities}} at most once")


def check_request(request: dict[str, Any], messages: list[Message], schema: dict[str, Any]) -> None:
    """A request holds exactly the messages and the schema that are published, and no further placeholder.

    Raises:
        ValueError: it does not.
    """
    if request.get("messages") != messages or request.get("format") != schema:
        raise ValueError("request.json does not hold the messages and the schema that are published")
    rest = {key: value for key, value in request.items() if key != "messages"}
    if any(PLACEHOLDER.search(text) for text in _strings(rest)):
        raise ValueError("a placeholder stands in request.json outside of the messages")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _no_number(_: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")


def _parts(whole: Any) -> Iterator[Any]:
    if isinstance(whole, dict):
        yield from whole.values()
    elif isinstance(whole, list):
        yield from whole


def _strings(value: Any) -> Iterator[str]:
    """All keys and strings of a value that is not nested deeply."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
    for part in _parts(value):
        yield from _strings(part)
