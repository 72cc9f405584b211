"""A body of /api/chat as Ollama reads it, and the errors that it answers what it can't read with. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
FOREVER = float("inf")
_DEEPEST = 32
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")
_LEVELS = {"low", "medium", "high", "max"}


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: what stands under `error`.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def parsed_body(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        Refused: 400 where there is none, in the words of Go's JSON reader.
    """
    if not raw.strip():
        raise Refused(400, "missing request body")
    try:
        body = json.loads(raw)
    except UnicodeDecodeError:
        raise Refused(400, "invalid character '\\ufffd' looking for beginning of value") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            raise Refused(400, "unexpected EOF") from None
        raise Refused(
            400, f"invalid character '{error.doc[error.pos]}' looking for beginning of value"
        ) from None
    if not isinstance(body, dict):
        raise Refused(400, f"json: cannot unmarshal {_go_kind(body)} into Go value of type api.ChatRequest")
    return body


def _go_kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return kinds.get(type(value), "null")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat call. `num_predict` None: no bound but the context; `keep_alive` seconds, None: the server's."""

    model: str
    messages: tuple[tuple[str, str], ...]
    stream: bool
    schema: Mapping[str, Any] | None
    loose_json: bool
    think: bool | str | None
    truncate: bool
    keep_alive: float | None
    temperature: float
    seed: int | None
    num_predict: int | None
    num_ctx: int | None
    stop: tuple[str, ...]

    @classmethod
    def parsed(cls, body: Mapping[str, Any]) -> ChatRequest:
        """A call from its JSON object.

        Raises:
            Refused: 400 where a field has another type than Ollama's.
        """
        options = _field(body, "options", dict, "map[string]interface {}") or {}
        schema, loose = _format(body.get("format"))
        predict = _number(options, "num_predict")
        ctx = _number(options, "num_ctx")
        seed = _number(options, "seed")
        temperature = _number(options, "temperature")
        stop = options.get("stop") or ()
        return cls(
            model=_field(body, "model", str, "string") or "",
            messages=tuple(_messages(_field(body, "messages", list, "[]api.Message") or [])),
            stream=_field(body, "stream", bool, "bool") is not False,
            schema=schema,
            loose_json=loose,
            think=_think(body.get("think")),
            truncate=_field(body, "truncate", bool, "bool") is not False,
            keep_alive=duration(body.get("keep_alive")),
            temperature=0.8 if temperature is None else float(temperature),
            seed=None if seed is None or seed < 0 else int(seed),
            num_predict=int(predict) if predict is not None and predict >= 0 else None,
            num_ctx=int(ctx) if ctx else None,
            stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)),
        )


def _field(body: Mapping[str, Any], name: str, kind: type, go: str) -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise Refused(
            400,
            f"json: cannot unmarshal {_go_kind(value)} into Go struct field ChatRequest.{name} of type {go}",
        )
    return value


def _number(options: Mapping[str, Any], name: str) -> float | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        kind = "float32" if name == "temperature" else "integer"
        raise Refused(400, f'option "{name}" must be of type {kind}')
    return value


def _messages(rows: list[Any]) -> list[tuple[str, str]]:
    found = []
    for row in rows:
        if not isinstance(row, dict):
            raise Refused(
                400,
                f"json: cannot unmarshal {_go_kind(row)} into Go struct field ChatRequest.messages"
                " of type api.Message",
            )
        content = row.get("content") or ""
        if not isinstance(content, str):
            raise Refused(
                400,
                f"json: cannot unmarshal {_go_kind(content)} into Go struct field "
                "Message.messages.content of type string",
            )
        found.append((str(row.get("role", "")).lower(), content))
    return found


def _think(value: Any) -> bool | str | None:
    choices = '"high", "medium", "low", "max", true, or false'
    if isinstance(value, str) and value not in _LEVELS:
        raise Refused(400, f'invalid think value: "{value}" (must be {choices})')
    if value is not None and not isinstance(value, bool | str):
        raise Refused(400, f"think must be a boolean or string ({choices})")
    return value


def _format(value: Any) -> tuple[Mapping[str, Any] | None, bool]:
    """The schema of `format`, and whether any JSON will do.

    Raises:
        Refused: 500, as seen on real servers, where the schema is none.
    """
    if value is None or value == "":
        return None, False
    if value == "json":
        return None, True
    if not isinstance(value, dict):
        shown = json.dumps(value)
        raise Refused(500, f'invalid format: {shown}; expected "json" or a valid JSON Schema object')
    if not is_schema(value):
        raise Refused(500, "invalid JSON schema in format")
    return value, False


def is_schema(node: Any, depth: int = 0) -> bool:
    """Whether a grammar could be made of a JSON schema: known types, objects where objects belong."""
    if isinstance(node, bool):
        return True
    if not isinstance(node, Mapping) or depth > _DEEPEST:
        return False
    kinds = node.get("type", [])
    names = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(names, list) or any(name not in JSON_TYPES for name in names):
        return False
    properties = node.get("properties", {})
    if not isinstance(properties, Mapping) or not isinstance(node.get("enum", []), list):
        return False
    inner = [*properties.values(), *([node["items"]] if "items" in node else [])]
    return all(is_schema(one, depth + 1) for one in inner)


def duration(value: Any) -> float | None:
    """Seconds of a keep_alive: a number of seconds or Go's notation; negative means for ever.

    Raises:
        Refused: 400 where it is neither.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused(400, f"Unsupported type: '{_go_kind(value)}'")
    if isinstance(value, str):
        value = _go_seconds(value)
    return FOREVER if value < 0 else float(value)


def _go_seconds(text: str) -> float:
    bare = text.lstrip("+-")
    parts = _GO_DURATION.findall(bare)
    if (bare != "0" and "".join(number + unit for number, unit in parts) != bare) or not bare:
        missing = bool(re.fullmatch(r"[0-9.]+", bare))
        reason = "missing unit in duration" if missing else "invalid duration"
        raise Refused(400, f'time: {reason} "{text}"')
    seconds = sum(float(number) * _GO_UNITS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds


def model_name(body: Mapping[str, Any]) -> str:
    """The model that a body names, by its new key or its old one; empty where it names none."""
    name = body.get("model") or body.get("name") or ""
    return name if isinstance(name, str) else ""


def texts_in(value: Any) -> list[str]:
    """The texts of an embed call: one, a list, or none.

    Raises:
        Refused: 400 where it is something else.
    """
    rows: Any = [value] if isinstance(value, str) and value else value or []
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise Refused(400, "invalid input type")
    return rows
