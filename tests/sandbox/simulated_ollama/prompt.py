"""What stands in a prompt: task, instruction, types, demos, text. Pure; nothing is guessed from elsewhere."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["entities", "relations"]
Entity = tuple[str, str]
Triple = tuple[str, str, str]

_TYPES = re.compile(r"^Types:[ \t]*\n((?:- .*(?:\n|\Z))*)", re.MULTILINE)
_GIVEN = re.compile(r"^- (.+) \(([^()\n]*)\)[ \t]*$", re.MULTILINE)
_BLOCK = re.compile(r"^Text:[ \t]*\n", re.MULTILINE)
_ENTITIES = re.compile(r"\n\nEntities:[ \t]*\n")
_ASKING = re.compile(r"\n(?:Answer|Output|JSON):\s*\Z")
_FORMAT_NOTE = "\n\nAnswer with one JSON object"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with the entities that are given with it (only in the relations task)."""

    text: str
    given: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True)
class Demo:
    """One worked example of the prompt; of `entities` and `triples` only the task's own is filled."""

    sentence: Sentence
    entities: tuple[Entity, ...] = ()
    triples: tuple[Triple, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """All of a prompt that stays the same from text to text."""

    kind: Kind
    instruction: str
    types: tuple[tuple[str, str], ...]
    demos: tuple[Demo, ...]


def kind_of(schema: Mapping[str, Any]) -> tuple[Kind | None, bool]:
    """The task that an answer schema asks for (None: no known one), and whether it wants reasoning."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return None, False
    reasoning = "reasoning" in properties
    if "relations" in properties:
        return "relations", reasoning
    return ("entities" if "entities" in properties else None), reasoning


def types_of(schema: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    """The closed list of types in an answer schema, empty where there is none."""
    node: Any = schema
    for key in ("properties", kind, "items", "properties", "type", "enum"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return tuple(str(name) for name in node) if isinstance(node, Sequence) else ()


def lesson_of(messages: Sequence[tuple[str, str]], kind: Kind, allowed: Sequence[str]) -> Lesson:
    """Instruction, types and demos of the messages before the last; `allowed` are the schema's types."""
    system = "\n\n".join(content for role, content in messages if role == "system")
    demos: list[Demo] = []
    for (role, content), (after, answer) in itertools.pairwise(messages):
        if role == "user" and after == "assistant":
            demos += filter(None, [demo_of(content, answer, kind)])
    return Lesson(kind, instruction_of(system), described(system, allowed), tuple(demos))


def instruction_of(system: str) -> str:
    """The instruction in a system message: what stands before the note on the answer's format."""
    return system.split(_FORMAT_NOTE, 1)[0].strip()


def described(system: str, allowed: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Types with their descriptions; where the answer schema lists types, those and no others."""
    block = _TYPES.search(system)
    lines = [line[2:] for line in block.group(1).splitlines()] if block else []
    listed = {name.strip(): about.strip() for name, _, about in (line.partition(":") for line in lines)}
    return tuple((name, listed.get(name, "")) for name in (allowed or listed))


def sentence_of(content: str) -> Sentence:
    """The text, and the given entities, of a user message; a message of another form is all text."""
    body = _BLOCK.split(content, maxsplit=1)[-1]
    text, *rest = _ENTITIES.split(body, maxsplit=1)
    return Sentence(text.strip("\n"), tuple(_GIVEN.findall(rest[0])) if rest else ())


def demo_of(content: str, answer: str, kind: Kind) -> Demo | None:
    """A demo, or None where its answer cannot be read."""
    try:
        items = json.loads(answer)[kind]
        keys = ("name", "type") if kind == "entities" else ("source", "type", "target")
        rows = [tuple(str(item[key]) for key in keys) for item in items]
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    if kind == "entities":
        return Demo(sentence_of(content), entities=tuple((row[0], row[1]) for row in rows))
    return Demo(sentence_of(content), triples=tuple((row[0], row[1], row[2]) for row in rows))


def turns_of(content: str) -> list[tuple[str, str]]:
    """The messages inside a prompt that came as one user message: head, worked examples, last text."""
    head, *blocks = _BLOCK.split(content)
    turns = [("system", head.strip())]
    for block in blocks[:-1]:
        question, answer = _answer_in(block)
        turns += [("user", "Text:\n" + question), ("assistant", answer)] if answer else []
    last = blocks[-1] if blocks else head
    return [*turns, ("user", "Text:\n" + _ASKING.sub("", last).strip())]


def _answer_in(block: str) -> tuple[str, str]:
    """Question and answer of one worked example; the answer is its first line that starts with `{`."""
    lines = block.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("{"):
            question = (
                lines[: number - 1] if number and lines[number - 1].rstrip(":") in _LABELS else lines[:number]
            )
            return "\n".join(question).strip("\n"), line
    return block, ""


_LABELS = ("Answer", "Output", "JSON")
