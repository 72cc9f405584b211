"""An answer counts only where it is a whole JSON object of the schema; anything else is empty."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.trainer.prompts.answers import MAX_ANSWER, Answered, read_answer

TYPES = (TypeDefinition(name="T"), TypeDefinition(name="U"))
EMPTY = Answered([], "", readable=False)
ITEMS: dict[Task, dict[str, str]] = {
    "entities": {"name": "a", "type": "T"},
    "relations": {"source": "a", "type": "U", "target": "b"},
}


def _read(content: Any, task: Task = "entities", done_reason: str = "stop", **options: bool) -> Answered:
    text = content if isinstance(content, str) else json.dumps(content)
    return read_answer(text, done_reason, task, TYPES, **options)


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_reads_an_answer_of_the_schema(task: Task) -> None:
    """Reasoning and items arrive, in their order and with repetitions, white space around them or not."""
    answer = {"reasoning": "so", task: [ITEMS[task], ITEMS[task]]}
    expected = Answered([ITEMS[task], ITEMS[task]], "so", readable=True)
    assert _read(answer, task) == expected
    assert _read(f" \n{json.dumps(answer, indent=2)}\r\n\t", task) == expected


def test_an_empty_list_is_an_answer() -> None:
    """`[]` is readable: the model says there is none."""
    assert _read({"entities": []}) == Answered([], "", readable=True)


def test_types_are_given_as_definitions_or_names() -> None:
    """Both forms of the closed list mean the same."""
    content = json.dumps({"entities": [ITEMS["entities"]]})
    assert read_answer(content, "stop", "entities", ["T"]) == read_answer(content, "stop", "entities", TYPES)


def test_further_keys_are_left_out() -> None:
    """Keys that the schema doesn't name are allowed, in the object and in its items, and not passed on."""
    answer = {"entities": [{**ITEMS["entities"], "id": 1}], "confidence": {"x": [1]}}
    assert _read(answer).items == [ITEMS["entities"]]


@pytest.mark.parametrize("done_reason", ["length", "", "load", "unload"])
def test_a_cut_answer_is_empty(done_reason: str) -> None:
    """An answer that didn't end by itself counts as empty, though what is there may be whole JSON."""
    assert _read({"entities": [ITEMS["entities"]]}, done_reason=done_reason) == EMPTY


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "null",
        "7",
        '"entities"',
        [],
        [ITEMS["entities"]],
        {},
        {"relations": []},
        {"entities": None},
        {"entities": {}},
        {"entities": "a"},
        {"entities": [], "reasoning": None},
        {"entities": [], "reasoning": ["so"]},
        {"entities": ["a"]},
        {"entities": [None]},
        {"entities": [["a", "T"]]},
        {"entities": [{}]},
        {"entities": [{"name": "a"}]},
        {"entities": [{"type": "T"}]},
        {"entities": [{"name": 7, "type": "T"}]},
        {"entities": [{"name": None, "type": "T"}]},
        {"entities": [{"name": "a", "type": "V"}]},
        {"entities": [{"name": "a", "type": "t"}]},
        {"entities": [{"name": "a", "type": ["T"]}]},
        {"entities": [ITEMS["entities"], {"name": "a", "type": "V"}]},
        {"entities": [{"name": "\ud800", "type": "T"}]},
        {"entities": [], "reasoning": "\udfff"},
        '{"entities": []',
        '{"entities": []}}',
        '{"entities": []} done',
        '```json\n{"entities": []}\n```',
        'Sure: {"entities": []}',
        "{'entities': []}",
        '{"entities": [],}',
        '{"entities": [], "x": NaN}',
        '{"entities": [], "x": Infinity}',
        '{"entities": [], "x": ' + "9" * 5000 + "}",
        '{"entities": ' + "[" * 100_000,
        '{"entities": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '\ufeff{"entities": []}',
        '{"entities": ["\x00"]}',
    ],
)
def test_what_is_not_of_the_schema_is_empty(content: Any) -> None:
    """Nothing is repaired, nothing raised: one bad item makes the whole answer unreadable."""
    assert _read(content) == EMPTY


def test_an_endless_answer_is_empty() -> None:
    """An answer of more than 1 MiB is not even parsed; at the limit it is."""
    whole = '{"entities": []}'
    assert _read(whole + " " * (MAX_ANSWER - len(whole))).readable
    assert _read(whole + " " * (MAX_ANSWER - len(whole) + 1)) == EMPTY


def test_reasoning_is_required_only_with_chain_of_thought() -> None:
    """A schema with reasoning makes it part of the answer; without, it may be missing or there."""
    bare: dict[str, Any] = {"entities": []}
    full = {"reasoning": "so", **bare}
    assert _read(bare).readable
    assert _read(full).reasoning == "so"
    assert _read(bare, chain_of_thought=True) == EMPTY
    assert _read(full, chain_of_thought=True).readable


def test_never_raises_on_damaged_answers() -> None:
    """Any damage gives an answer of the schema or an empty one."""
    source = random.Random(2)
    original = json.dumps({"reasoning": "so", "entities": [ITEMS["entities"]] * 2})
    for _ in range(2000):
        text = list(original)
        for _ in range(source.randrange(1, 5)):
            text[source.randrange(len(text))] = source.choice(["", '"', "[", "}", "\\u", "\ud800", "7", ","])
        answer = _read("".join(text))
        assert answer == EMPTY or answer.readable
        assert all(set(item) == {"name", "type"} and item["type"] in {"T", "U"} for item in answer.items)
