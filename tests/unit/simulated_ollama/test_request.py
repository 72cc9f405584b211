"""A chat body is read as Ollama reads it; what can't be read is refused in Ollama's words."""

import json
from typing import Any

import pytest

from tests.sandbox.simulated_ollama.request import (
    FOREVER,
    ChatRequest,
    Refused,
    duration,
    is_schema,
    model_name,
    parsed_body,
    texts_in,
)


def refused(work: Any, *given: Any) -> tuple[int, str]:
    """Status and message of the refusal."""
    with pytest.raises(Refused) as caught:
        work(*given)
    return caught.value.status, caught.value.message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "missing request body"),
        (b"  ", "missing request body"),
        (b"{", "unexpected EOF"),
        (b"nope", "invalid character 'n' looking for beginning of value"),
        (b"\xff", "invalid character '\\ufffd' looking for beginning of value"),
        (b"[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
    ],
)
def test_a_body_that_is_no_object_is_refused_in_the_words_of_gos_reader(raw: bytes, message: str) -> None:
    """400, as gin answers it."""
    assert refused(parsed_body, raw) == (400, message)


def test_defaults_are_ollamas() -> None:
    """Streaming and truncating unless told not to, temperature 0.8, no bound on the answer."""
    asked = ChatRequest.parsed({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    assert (asked.stream, asked.truncate, asked.temperature) == (True, True, 0.8)
    assert (asked.think, asked.seed, asked.num_predict, asked.num_ctx, asked.keep_alive) == (None,) * 5
    assert asked.messages == (("user", "x"),)


def test_options_are_read() -> None:
    """Negative bounds and seeds mean none."""
    options = {"temperature": 0, "seed": 7, "num_predict": 5, "num_ctx": 9, "stop": "x"}
    asked = ChatRequest.parsed({"model": "m", "options": options, "stream": False, "truncate": False})
    assert (asked.temperature, asked.seed, asked.num_predict, asked.num_ctx, asked.stop) == (
        0,
        7,
        5,
        9,
        ("x",),
    )
    assert (asked.stream, asked.truncate) == (False, False)
    open_ended = ChatRequest.parsed({"options": {"num_predict": -1, "seed": -1, "stop": ["a", "b"]}})
    assert (open_ended.num_predict, open_ended.seed, open_ended.stop) == (None, None, ("a", "b"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": 1}, "json: cannot unmarshal number into Go struct field ChatRequest.model of type string"),
        (
            {"stream": "no"},
            "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool",
        ),
        ({"messages": "hi"}, "json: cannot unmarshal string into Go struct field ChatRequest.messages"),
        ({"messages": ["hi"]}, "json: cannot unmarshal string into Go struct field ChatRequest.messages"),
        (
            {"messages": [{"content": 1}]},
            "json: cannot unmarshal number into Go struct field Message.messages",
        ),
        (
            {"think": "hard"},
            'invalid think value: "hard" (must be "high", "medium", "low", "max", true, or false)',
        ),
        ({"think": 1}, "think must be a boolean or string"),
        ({"options": {"temperature": "hot"}}, 'option "temperature" must be of type float32'),
        ({"options": {"seed": True}}, 'option "seed" must be of type integer'),
    ],
)
def test_a_field_of_another_type_is_refused(body: dict[str, Any], message: str) -> None:
    """400 with the field in the message."""
    status, words = refused(ChatRequest.parsed, body)
    assert status == 400
    assert words.startswith(message)


@pytest.mark.parametrize(
    "schema", [{"type": "foo"}, {"properties": 1}, {"enum": 1}, {"items": {"type": ["x"]}}]
)
def test_a_format_that_is_no_schema_is_a_500_as_on_real_servers(schema: dict[str, Any]) -> None:
    """Not a 400: seen on 0.24.0."""
    assert refused(ChatRequest.parsed, {"format": schema}) == (500, "invalid JSON schema in format")


def test_a_format_may_be_json_or_a_schema_of_any_sane_depth() -> None:
    """`json` asks for any JSON; a schema that is nested without end is none."""
    assert ChatRequest.parsed({"format": "json"}).loose_json
    assert ChatRequest.parsed({"format": ""}).schema is None
    assert refused(ChatRequest.parsed, {"format": "yaml"})[0] == 500
    assert is_schema({"type": "array", "items": {"type": ["string", "null"]}})
    assert is_schema({"properties": {"a": {}, "b": True}})
    endless: dict[str, Any] = {}
    for _ in range(50):
        endless = {"items": endless}
    assert not is_schema(endless)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (5, 5),
        (0, 0),
        (-1, FOREVER),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("-1s", FOREVER),
        ("0", 0),
    ],
)
def test_keep_alive_is_seconds_or_gos_notation(value: Any, seconds: float | None) -> None:
    """A number is seconds, a negative one for ever."""
    assert duration(value) == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
        (True, "Unsupported type: 'bool'"),
    ],
)
def test_a_keep_alive_that_is_neither_is_refused(value: Any, message: str) -> None:
    """400 in Go's words."""
    assert refused(duration, value) == (400, message)


def test_the_model_is_named_by_its_new_key_or_its_old_one() -> None:
    """`model` before `name`; another type is no name."""
    assert [model_name(body) for body in ({"model": "a", "name": "b"}, {"name": "b"}, {}, {"model": 1})] == [
        "a",
        "b",
        "",
        "",
    ]


def test_texts_to_embed_are_one_or_a_list() -> None:
    """Anything else is an invalid input type."""
    assert texts_in("a") == ["a"]
    assert texts_in(["a", ""]) == ["a", ""]
    assert texts_in("") == texts_in(None) == []
    for value in (1, {"a": 1}, [1], True):
        assert refused(texts_in, value) == (400, "invalid input type")


def test_a_body_is_read_from_its_bytes() -> None:
    """What the client meant."""
    assert parsed_body(json.dumps({"model": "ü"}).encode()) == {"model": "ü"}
