"""The bytes of a prompt."""

import json

import pytest

from domaintraining.api.published import check_placeholders, read_messages
from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.trainer.prompts.prompt import (
    Demo,
    Form,
    answer_schema,
    assistant_content,
    entity_lines,
    fill,
    filled_messages,
    neutral,
    plain_prompt,
    system_content,
    template_messages,
)

TYPES = (TypeDefinition(name="PERSON", description="a human being"), TypeDefinition(name="FIRM"))
ADA = {"name": "Ada", "type": "PERSON"}
ACME = {"name": "Acme", "type": "FIRM"}
WORKS = {"source": "Ada", "type": "WORKS_FOR", "target": "Acme"}
DEMOS = [
    Demo("Ada works for Acme.", [ADA, ACME], [WORKS], "the text says so"),
    Demo("Nobody works.", [], []),
]


def relation_form() -> Form:
    return Form("relations", (TypeDefinition(name="WORKS_FOR"),), True, "Find relations.")  # noqa: FBT003


def test_system_message_has_instruction_form_and_types() -> None:
    """The system message: instruction, keys of the answer in order, types with their descriptions."""
    assert system_content("  Find names.\n", "entities", TYPES, True) == (  # noqa: FBT003
        "Find names.\n\n"
        "Answer with one JSON object and nothing else. Its keys, in this order:\n"
        '- "reasoning": your thoughts, step by step, in few words\n'
        '- "entities": a list of {"name": …, "type": …}; "name" is copied from the text to the letter\n'
        "Types:\n- PERSON: a human being\n- FIRM"
    )


def test_without_chain_of_thought_nothing_asks_for_reasoning() -> None:
    """Neither message nor schema mention reasoning where the spec wants none."""
    assert "reasoning" not in system_content("Find.", "relations", TYPES, False)  # noqa: FBT003
    assert "reasoning" not in json.dumps(answer_schema("relations", TYPES, False))  # noqa: FBT003


@pytest.mark.parametrize(
    ("task", "keys"), [("entities", ["name", "type"]), ("relations", ["source", "type", "target"])]
)
def test_schema_closes_the_types_and_puts_reasoning_first(task: Task, keys: list[str]) -> None:
    """Types are an enum; reasoning is the first key; all keys are required."""
    schema = answer_schema(task, TYPES, True)  # noqa: FBT003
    item = schema["properties"][task]["items"]
    assert list(schema["properties"]) == schema["required"] == ["reasoning", task]
    assert list(item["properties"]) == item["required"] == keys
    assert item["properties"]["type"]["enum"] == ["PERSON", "FIRM"]


def test_demos_stand_in_their_order_with_their_answers() -> None:
    """Each demo is a user and an assistant message; a relation demo carries entities and relations."""
    messages = template_messages(relation_form(), "Find relations.", DEMOS)
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert messages[1]["content"] == (
        "Text:\nAda works for Acme.\n\nEntities:\n- Ada (PERSON)\n- Acme (FIRM)"
    )
    assert json.loads(messages[2]["content"]) == {"reasoning": "the text says so", "relations": [WORKS]}
    assert messages[3]["content"] == "Text:\nNobody works.\n\nEntities:\n(none)"
    assert messages[4]["content"] == '{"relations": []}'


def test_placeholders_stand_in_the_last_message_only() -> None:
    """`{text}` and `{entities}` once each, in the last message; the API's own check agrees."""
    messages = template_messages(relation_form(), "Find relations.", DEMOS)
    assert messages[-1] == {"role": "user", "content": "Text:\n{text}\n\nEntities:\n{entities}"}
    assert read_messages(json.dumps(messages)) == messages


def test_an_instruction_or_thought_cannot_bring_a_placeholder() -> None:
    """What a person or model wrote about `{text}` is shown as `(text)` and never filled."""
    demo = Demo("Ada.", [ADA], [], "I put {entities} into {{text}}")
    messages = template_messages(relation_form(), "Read {text}, then {entities}.", [demo])
    assert messages[0]["content"].startswith("Read (text), then (entities).\n")
    assert json.loads(messages[2]["content"])["reasoning"] == "I put (entities) into {(text)}"
    assert read_messages(json.dumps(messages)) == messages


def test_neutral_text_is_utf8() -> None:
    """Half a surrogate pair in a model's words does not keep a prompt from being written."""
    assert neutral("ok \ud83d") == "ok ?"


def test_an_instruction_has_at_most_8192_characters() -> None:
    """A proposal that never ends is cut; nothing else of it changes."""
    assert system_content("é" * 9000, "entities", TYPES, True).startswith("é" * 8192 + "\n\nAnswer")  # noqa: FBT003


def test_filling_is_one_pass() -> None:
    """A text that holds placeholders is put in as it is, and so are names that do."""
    content = "Text:\n{text}\n\nEntities:\n{entities}"
    filled = fill(content, "a {entities} b {text}", entity_lines([{"name": "{text}", "type": "FIRM"}]))
    assert filled == "Text:\na {entities} b {text}\n\nEntities:\n- {text} (FIRM)"


def test_only_the_last_message_is_filled() -> None:
    """All messages before the last are the same bytes for every text, so that servers can reuse them."""
    messages = template_messages(relation_form(), "Find relations.", DEMOS)
    filled = filled_messages(messages, "Ken.", entity_lines([{"name": "Ken", "type": "PERSON"}]))
    assert filled[:-1] == messages[:-1]
    assert filled[-1]["content"] == "Text:\nKen.\n\nEntities:\n- Ken (PERSON)"


def test_plain_prompt_holds_everything_and_its_placeholders_once() -> None:
    """The plain form has instruction, all demos and each placeholder once."""
    messages = template_messages(relation_form(), "Find relations.", DEMOS)
    plain = plain_prompt(messages)
    assert all(message["content"] in plain for message in messages)
    check_placeholders(plain, "prompt.txt")
    assert plain.endswith("Entities:\n{entities}\nAnswer:")


def test_an_answer_keeps_its_letters() -> None:
    """Letters beyond ASCII are written as they are, keys stand in the prompt's order."""
    item = {"type": "PERSON", "name": "Zoë", "description": "ignored"}
    assert assistant_content("entities", [item]) == '{"entities": [{"name": "Zoë", "type": "PERSON"}]}'
