"""Reads a model's answer: a JSON object of the answer schema, or nothing at all."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, NoReturn

from domaintraining.api.spec import Task, TypeDefinition

MAX_ANSWER: Final = 2**20
"""Most characters of an answer."""

_KEYS: Final[dict[Task, tuple[str, ...]]] = {
    "entities": ("name", "type"),
    "relations": ("source", "type", "target"),
}


class Answered(NamedTuple):
    """What an answer says."""

    items: list[dict[str, str]]
    """Entities or relations by their wire keys; empty where the answer can't be read."""
    reasoning: str
    """The thoughts before them; empty where there are none."""
    readable: bool
    """Whether it was an answer of the schema, and whole."""


class _UnreadableError(ValueError):
    """The answer is none of the schema."""


def read_answer(
    content: str,
    done_reason: str,
    task: Task,
    types: Iterable[TypeDefinition] | Iterable[str],
    *,
    chain_of_thought: bool = False,
) -> Answered:
    """Reads an answer strictly: nothing is repaired, one bad item makes the whole answer unreadable.

    Args:
        content: the answer, a JSON object with white space around it at most.
        done_reason: how it ended: `stop` is whole, anything else (`length`, empty) was cut.
        task: what was asked.
        types: the closed list, as definitions or names; an item of another type is none of the schema.
        chain_of_thought: whether the schema asks for `reasoning`; else it may be missing.

    Returns:
        The items, with the schema's keys only: further keys are allowed and left out. Never raises.
    """
    names = {kind if isinstance(kind, str) else kind.name for kind in types}
    try:
        if done_reason != "stop":
            raise _UnreadableError
        answer = _parsed(content)
        reasoning = _text(answer["reasoning"] if chain_of_thought else answer.get("reasoning", ""))
        items = [_item(item, _KEYS[task], names) for item in _list(answer[task])]
    except (ValueError, KeyError, RecursionError):
        return Answered([], "", readable=False)
    return Answered(items, reasoning, readable=True)


def _refuse_constant(_name: str) -> NoReturn:
    raise _UnreadableError  # NaN and Infinity, which Python's json would take


def _parsed(content: str) -> dict[str, Any]:
    if len(content) > MAX_ANSWER:
        raise _UnreadableError
    answer = json.loads(content, parse_constant=_refuse_constant)
    if not isinstance(answer, dict):
        raise _UnreadableError
    return answer


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _UnreadableError
    return value


def _item(item: Any, keys: tuple[str, ...], types: set[str]) -> dict[str, str]:
    if not isinstance(item, dict):
        raise _UnreadableError
    plain = {key: _text(item[key]) for key in keys}
    if plain["type"] not in types:
        raise _UnreadableError
    return plain


def _text(value: Any) -> str:
    """The string, if it is one that can be sent again; half a surrogate pair can't (UnicodeEncodeError)."""
    if not isinstance(value, str):
        raise _UnreadableError
    value.encode()
    return value
