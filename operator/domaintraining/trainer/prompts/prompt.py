"""The bytes of a prompt: one place for what is scored, what is published and what a search sends.

A prompt is a list of chat messages: a system message (instruction, form of the answer, types), a user and an
assistant message for each demo, and a last user message that holds `{text}` and, for relations,
`{entities}`. Nothing but these two changes between two uses of a prompt.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domaintraining.api.report import PLACEHOLDER
from domaintraining.api.spec import Task, TypeDefinition

MAX_INSTRUCTION: Final = 8192
"""Most characters of an instruction, as in `spec.instructions`."""

GENERAL_INSTRUCTIONS: Final[dict[Task, str]] = {
    "entities": "Extract the named entities from the text, each with its type.",
    "relations": "Extract the relations that the text states between the given entities.",
}
"""What the baseline says where the spec gives no wording."""

NO_ENTITIES: Final = "(none)"
_ENTITY_KEYS: Final = ("name", "type")
_RELATION_KEYS: Final = ("source", "type", "target")
_TEMPLATES: Final[dict[Task, str]] = {
    "entities": "Text:\n{text}",
    "relations": "Text:\n{text}\n\nEntities:\n{entities}",
}
_ANSWER_LINES: Final[dict[Task, str]] = {
    "entities": '- "entities": a list of {"name": …, "type": …}; '
    '"name" is copied from the text to the letter',
    "relations": '- "relations": a list of {"source": …, "type": …, "target": …}; '
    '"source" and "target" are names of the given entities',
}
_REASONING_LINE: Final = '- "reasoning": your thoughts, step by step, in few words'

Message = dict[str, str]
"""One chat message: `role` and `content`."""


@dataclass(frozen=True)
class Form:
    """What stays the same in all prompts of one task in one run."""

    task: Task
    types: tuple[TypeDefinition, ...]
    chain_of_thought: bool
    instruction: str
    """The wording of the baseline."""


@dataclass(frozen=True)
class Demo:
    """One worked example in a prompt."""

    text: str
    entities: Sequence[Mapping[str, Any]]
    """Given entities (`name`, `type`); for the task entities not used."""
    items: Sequence[Mapping[str, Any]]
    """The answer: entities or relations by their wire keys."""
    reasoning: str | None = None
    """The model's own reasoning; None for a label from the data."""


def holds_placeholder(text: str) -> bool:
    """Whether a text has `{text}` or `{entities}` in it."""
    return PLACEHOLDER.search(text) is not None


def neutral(text: str) -> str:
    """What a model wrote, as it may stand in a prompt.

    `{text}` becomes `(text)` and `{entities}` becomes `(entities)`, which no filling touches; half a
    surrogate pair, which is no UTF-8, becomes a question mark.
    """
    encodable = text.encode(errors="replace").decode()
    return PLACEHOLDER.sub(lambda found: f"({found.group()[1:-1]})", encodable)


def instruction_text(instruction: str) -> str:
    """An instruction as it stands in a prompt: stripped, at most 8,192 characters, without placeholders."""
    return neutral(instruction.strip()[:MAX_INSTRUCTION].rstrip())


def item_keys(task: Task) -> tuple[str, ...]:
    """Keys of one answered item, in the order of the prompt."""
    return _ENTITY_KEYS if task == "entities" else _RELATION_KEYS


def system_content(
    instruction: str,
    task: Task,
    types: Sequence[TypeDefinition],
    chain_of_thought: bool,  # noqa: FBT001
) -> str:
    """The system message: instruction, keys of the answer in their order, closed list of types."""
    lines = [
        instruction_text(instruction),
        "",
        "Answer with one JSON object and nothing else. Its keys, in this order:",
        *([_REASONING_LINE] if chain_of_thought else []),
        _ANSWER_LINES[task],
        "Types:",
        *(f"- {kind.name}: {kind.description}" if kind.description else f"- {kind.name}" for kind in types),
    ]
    return "\n".join(lines)


def entity_lines(entities: Sequence[Mapping[str, Any]]) -> str:
    """Given entities, one line `- name (type)` each in their order; `(none)` where there are none."""
    return "\n".join(f"- {entity['name']} ({entity['type']})" for entity in entities) or NO_ENTITIES


def fill(content: str, text: str, entities: str = "") -> str:
    """Put a text and entity lines in the places of `{text}` and `{entities}`, in one pass.

    A placeholder that comes with the text or an entity stays as it is.
    """
    values = {"{text}": text, "{entities}": entities}
    return PLACEHOLDER.sub(lambda found: values[found.group()], content)


def user_content(task: Task, text: str, entities: str = "") -> str:
    """The user message about one text; `entities` are the lines of `entity_lines`."""
    return fill(_TEMPLATES[task], text, entities)


def assistant_content(task: Task, items: Sequence[Mapping[str, Any]], reasoning: str | None = None) -> str:
    """The answer of a demo as one line of JSON; without reasoning there is no such key."""
    keys = item_keys(task)
    answer: dict[str, Any] = {} if reasoning is None else {"reasoning": neutral(reasoning)}
    answer[task] = [{key: neutral(str(item[key])) for key in keys} for item in items]
    return json.dumps(answer, ensure_ascii=False)


def answer_schema(
    task: Task,
    types: Sequence[TypeDefinition],
    chain_of_thought: bool,  # noqa: FBT001
) -> dict[str, Any]:
    """JSON schema of the answer, for `format` of /api/chat; `reasoning` stands first where there is any."""
    properties: dict[str, Any] = {key: {"type": "string"} for key in item_keys(task)}
    properties["type"] = {"type": "string", "enum": [kind.name for kind in types]}
    item = {"type": "object", "properties": properties, "required": list(properties)}
    answer: dict[str, Any] = {"reasoning": {"type": "string"}} if chain_of_thought else {}
    answer[task] = {"type": "array", "items": item}
    return {"type": "object", "properties": answer, "required": list(answer)}


def form_schema(form: Form) -> dict[str, Any]:
    """JSON schema of the answers of a form."""
    return answer_schema(form.task, form.types, form.chain_of_thought)


def template_messages(form: Form, instruction: str, demos: Sequence[Demo]) -> list[Message]:
    """The messages of a prompt, with placeholders in the last one."""
    task = form.task
    system = system_content(instruction, task, form.types, form.chain_of_thought)
    messages = [{"role": "system", "content": system}]
    for demo in demos:
        question = user_content(task, demo.text, entity_lines(demo.entities))
        answer = assistant_content(task, demo.items, demo.reasoning)
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": _TEMPLATES[task]}]


def filled_messages(messages: Sequence[Message], text: str, entities: str = "") -> list[Message]:
    """The messages of a prompt about one text: only the last one is filled."""
    *first, last = messages
    return [*first, {**last, "content": fill(last["content"], text, entities)}]


def plain_prompt(messages: Sequence[Message]) -> str:
    """The same prompt as one user message, for programs that know one string only."""
    system, *demos, last = (message["content"] for message in messages)
    worked = [
        f"Example {number}\n{question}\nAnswer:\n{answer}"
        for number, (question, answer) in enumerate(zip(demos[::2], demos[1::2], strict=True), start=1)
    ]
    return "\n\n".join([system, *worked, f"{last}\nAnswer:" if not worked else f"Now you\n{last}\nAnswer:"])


def baseline_prompt(form: Form) -> str:
    """The plain prompt of a form before any training: its wording and no demos."""
    return plain_prompt(template_messages(form, form.instruction, []))
