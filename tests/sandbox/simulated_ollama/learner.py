"""Answers to prompts that ask for a JSON object.

A function of messages, schema, temperature and seed alone. Pure.

A small in-context learner: it reads the instruction, the types and the worked examples of the prompt, and
treats the last text as they suggest. More and better examples make it better, and so does a wording that
asks for the right things. It has seen no data set, and it errs: a few per cent of its answers go wrong by
the prompt's hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .entities import Reader, reader_of
from .prompt import Kind, Lesson, Sentence, kind_of, lesson_of, sentence_of, turns_of, types_of
from .relations import Linker, linker_of
from .rewording import asks_for_rewording, reworded
from .text import fraction

Message = tuple[str, str]


def answer(
    messages: Sequence[Message], schema: Mapping[str, Any], temperature: float, seed: int | None
) -> str:
    """One line of JSON that fits the schema.

    Args:
        messages: role and content of each message.
        schema: JSON schema of the answer.
        temperature: 0 or more; above 0 another seed gives another answer.
        seed: of sampling; without one, 0.
    """
    turns = tuple(turns_of(messages[0][1]) if len(messages) == 1 else messages)
    kind, reasoning = kind_of(schema)
    if asks_for_rewording(schema):
        return reworded(turns[-1][1], (_digest(turns), seed or 0 if temperature > 0 else 0))
    if kind is None:
        return nothing(schema)
    noise = (_digest(turns), seed or 0 if temperature > 0 else 0)
    sentence = sentence_of(turns[-1][1])
    reader = _learned(turns[:-1], kind, types_of(schema, kind))
    rows = _items(reader, sentence, noise, max(temperature, 0.0))
    body: dict[str, Any] = {"reasoning": _thoughts(kind, rows, sentence, noise)} if reasoning else {}
    body[kind] = rows
    return json.dumps(body, ensure_ascii=False)


def nothing(schema: Mapping[str, Any]) -> str:
    """The answer of a model that finds nothing: the emptiest that fits the schema."""
    return json.dumps(_blank(schema), ensure_ascii=False)


def _digest(turns: Sequence[Message]) -> str:
    return hashlib.sha256(json.dumps(turns).encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _learned(turns: tuple[Message, ...], kind: Kind, allowed: tuple[str, ...]) -> Reader | Linker:
    lesson: Lesson = lesson_of(turns, kind, allowed)
    return reader_of(lesson) if kind == "entities" else linker_of(lesson)


def _items(
    reader: Reader | Linker, sentence: Sentence, noise: Sequence[object], heat: float
) -> list[dict[str, str]]:
    if isinstance(reader, Reader):
        return [{"name": name, "type": kind} for name, kind in reader.read(sentence.text, noise, heat)]
    triples = reader.link(sentence, noise, heat)
    return [{"source": source, "type": kind, "target": target} for source, kind, target in triples]


_OPENINGS = (
    "I went through the sentence from left to right",
    "I read the sentence once for names and once for what is said of them",
    "I compared the sentence with what was asked and with what the examples show",
)


def _thoughts(kind: Kind, rows: list[dict[str, str]], sentence: Sentence, noise: Sequence[object]) -> str:
    """A short sentence of reasoning about an answer that is already made."""
    opening = _OPENINGS[int(fraction(*noise, "opening") * len(_OPENINGS))]
    if not rows:
        return f"{opening}. Nothing in it is of one of the listed types."
    if kind == "entities":
        shown = "; ".join(f"{row['name']} is named there and is used as {row['type']}" for row in rows[:8])
        return f"{opening}. {shown}."
    shown = "; ".join(f"{row['source']} stands to {row['target']} as {row['type']}" for row in rows[:5])
    return f"{opening}. Of {len(sentence.given)} given names, {shown}."


def _blank(schema: Any) -> Any:
    """The emptiest value of a schema that the learner knows no task for."""
    kind = schema.get("type", "object") if isinstance(schema, Mapping) else "object"
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" and isinstance(schema, Mapping):
        return {name: _blank(node) for name, node in schema.get("properties", {}).items()}
    if schema.get("enum"):
        return schema["enum"][0]
    blanks: dict[Any, Any] = {"array": [], "string": "simulated", "number": 0, "integer": 0, "boolean": False}
    return blanks.get(kind)
