"""A handful of sentences of our own, and prompts made of them."""

import json
from collections.abc import Sequence
from typing import Any

from tests.sandbox.simulated_ollama.prompt import Kind

Row = tuple[str, list[tuple[str, str]], list[tuple[str, str, str]]]

GENERAL = {
    "entities": "Extract the named entities from the text, each with its type.",
    "relations": "Extract the relations that the text states between the given entities.",
}
CAREFUL = (
    "List every name in the text. Copy each name exactly and in full, without an article. "
    "Use only the listed types and decide by the context."
)
SHOWN: list[Row] = [
    (
        "Brenda Holt runs the Quarry Trust in Millford.",
        [("Brenda Holt", "HUMAN"), ("Quarry Trust", "BODY"), ("Millford", "SPOT")],
        [("Brenda Holt", "LEADS", "Quarry Trust"), ("Quarry Trust", "SITS_IN", "Millford")],
    ),
    (
        "In Ostrava , Jan Novak met Eva Kral of the Danube Bank on June 3 .",
        [
            ("Ostrava", "SPOT"),
            ("Jan Novak", "HUMAN"),
            ("Eva Kral", "HUMAN"),
            ("Danube Bank", "BODY"),
            ("June 3", "DAY"),
        ],
        [("Eva Kral", "LEADS", "Danube Bank")],
    ),
    (
        "The Harbour Council meets in Leith on May 9 .",
        [("Harbour Council", "BODY"), ("Leith", "SPOT"), ("May 9", "DAY")],
        [("Harbour Council", "SITS_IN", "Leith")],
    ),
    (
        "Tom Reed left Leith for Ostrava with Brenda Holt .",
        [("Tom Reed", "HUMAN"), ("Leith", "SPOT"), ("Ostrava", "SPOT"), ("Brenda Holt", "HUMAN")],
        [],
    ),
]
ASKED: list[Row] = [
    (
        "Mary Lind runs the Forest Bank in Bergen .",
        [("Mary Lind", "HUMAN"), ("Forest Bank", "BODY"), ("Bergen", "SPOT")],
        [("Mary Lind", "LEADS", "Forest Bank"), ("Forest Bank", "SITS_IN", "Bergen")],
    ),
    (
        "On July 14 the River Trust met in Turku .",
        [("July 14", "DAY"), ("River Trust", "BODY"), ("Turku", "SPOT")],
        [("River Trust", "SITS_IN", "Turku")],
    ),
    (
        "In Lund , Karl Berg met Anna Dahl of the Coast Council .",
        [("Lund", "SPOT"), ("Karl Berg", "HUMAN"), ("Anna Dahl", "HUMAN"), ("Coast Council", "BODY")],
        [("Anna Dahl", "LEADS", "Coast Council")],
    ),
]
TYPES = {"entities": ["BODY", "DAY", "HUMAN", "SPOT"], "relations": ["LEADS", "SITS_IN"]}
KEYS = {"entities": ("name", "type"), "relations": ("source", "type", "target")}


def schema_of(kind: Kind, *, reasoning: bool = True) -> dict[str, Any]:
    """The answer schema of a task."""
    item: dict[str, Any] = {key: {"type": "string"} for key in KEYS[kind]}
    item["type"] = {"type": "string", "enum": TYPES[kind]}
    rows = {kind: {"type": "array", "items": {"type": "object", "properties": item, "required": list(item)}}}
    properties = ({"reasoning": {"type": "string"}} if reasoning else {}) | rows
    return {"type": "object", "properties": properties, "required": list(properties)}


def question(kind: Kind, row: Row) -> str:
    """The user message about a sentence."""
    text, entities, _ = row
    given = "\n".join(f"- {name} ({label})" for name, label in entities) or "(none)"
    return f"Text:\n{text}" + (f"\n\nEntities:\n{given}" if kind == "relations" else "")


def labels(kind: Kind, row: Row) -> list[dict[str, str]]:
    """The labelled answer of a sentence."""
    items: Sequence[tuple[str, ...]] = row[1] if kind == "entities" else row[2]
    return [dict(zip(KEYS[kind], item, strict=True)) for item in items]


def messages(
    kind: Kind, row: Row, shown: Sequence[Row] = (), instruction: str | None = None
) -> list[tuple[str, str]]:
    """A whole prompt about a sentence."""
    head = [GENERAL[kind] if instruction is None else instruction, ""]
    head += ["Answer with one JSON object and nothing else. Its keys, in this order:", "…", "Types:"]
    turns = [("system", "\n".join([*head, *(f"- {name}" for name in TYPES[kind])]))]
    for demo in shown:
        answer = json.dumps({kind: labels(kind, demo)})
        turns += [("user", question(kind, demo)), ("assistant", answer)]
    return [*turns, ("user", question(kind, row))]
