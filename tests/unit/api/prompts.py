"""Published prompts for tests, as a trainer reports them."""

import json
from typing import Any

SCHEMA = {"type": "object", "properties": {"entities": {"type": "array"}}, "required": ["entities"]}
SYSTEM = "Extract the entities.\n\nAnswer with one JSON object and nothing else."
QUESTION = "Text:\n{text}"
DEMO = ("Text:\nLoki stores logs.", '{"entities": [{"name": "Loki", "type": "Software"}]}')


def message(role: str, content: Any) -> dict[str, Any]:
    """One chat message."""
    return {"role": role, "content": content}


def messages(demos: int = 1, *, system: str = SYSTEM, last: str = QUESTION) -> list[dict[str, Any]]:
    """The messages of a prompt with so many demos."""
    shown = [message("user", DEMO[0]), message("assistant", DEMO[1])] * demos
    return [message("system", system), *shown, message("user", last)]


def files(chat: Any = None, **changed: str) -> dict[str, str]:
    """The files of a prompt; the request holds the messages, whatever they are, unless it is changed."""
    chat = messages() if chat is None else chat
    request = {"model": "m", "messages": chat, "format": SCHEMA, "options": {"temperature": 0, "seed": 9}}
    return {
        "messages": json.dumps(chat),
        "schema": json.dumps(SCHEMA),
        "request": json.dumps(request),
        "dspy": json.dumps({"predict": {"demos": []}}),
        "prompt": f"{SYSTEM}\n\n{QUESTION}\nAnswer:",
    } | changed


def task_prompt(**changed: Any) -> dict[str, Any]:
    """One task's prompt with one demo."""
    return {"files": files(), "run": 1, "instruction": "Extract the entities.", "demos": 1} | changed


def relation_prompt() -> dict[str, Any]:
    """A prompt for relations, whose last message has both placeholders."""
    last = "Text:\n{text}\n\nEntities:\n{entities}"
    return task_prompt(files=files(messages(0, last=last), prompt=f"{SYSTEM}\n\n{last}"), demos=0)


def prompts(**changed: Any) -> dict[str, Any]:
    """The prompts of one revision."""
    return {"entities": task_prompt(), "metrics": {}, "manifest": {"seed": 9}} | changed
