"""The demos of a published prompt as the graph holds them: one JSON string for each task. Pure."""

import json
from typing import Any, Final

from domaintraining.api.published import read_messages
from domaintraining.api.spec import Task

TEXT: Final = "Text:\n"
ENTITIES: Final = "\n\nEntities:\n"


def demos_json(messages: str, task: Task) -> str:
    """The demos of a prompt: a JSON list of `{"text", "entities"}`, for relations also `"relations"`.

    Args:
        messages: `<task>.messages.json`; one that can't be read has no demos.
        task: of the prompt.
    """
    try:
        chat = read_messages(messages)
    except ValueError:
        return "[]"
    turns = [one["content"] for one in chat[1:-1]]
    demos = [_demo(*pair, task) for pair in zip(turns[::2], turns[1::2], strict=True)]
    return encodable(json.dumps(demos, ensure_ascii=False))


def encodable(text: str) -> str:
    """A text as a database takes it: half a surrogate pair, which is no UTF-8, becomes a question mark."""
    return text.encode(errors="replace").decode()


def _demo(question: str, answer: str, task: Task) -> dict[str, Any]:
    text, _, lines = question.removeprefix(TEXT).rpartition(ENTITIES)
    if task == "entities" or not text:
        text, lines = question.removeprefix(TEXT), ""
    given = {} if task == "entities" else {"entities": _entities(lines)}
    return {"text": text} | given | {task: _items(answer, task)}


def _entities(lines: str) -> list[dict[str, str]]:
    """Given entities, of lines `- name (type)`."""
    found = []
    for line in lines.splitlines():
        name, _, kind = line.removeprefix("- ").rpartition(" (")
        if name and kind.endswith(")"):
            found.append({"name": name, "type": kind[:-1]})
    return found


def _items(answer: str, task: Task) -> Any:
    try:
        items = json.loads(answer)[task]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return items if isinstance(items, list) else []
