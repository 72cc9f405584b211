"""Specs for tests, and what the API server makes of them."""

import copy
from collections.abc import Callable
from typing import Any

from domaintraining.api.crd import Schema

SMALLEST: dict[str, Any] = {"dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}}}


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Objects as one, the later over the earlier, at every level."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = merged(whole[key], value) if both else copy.deepcopy(value)
    return whole


def defaults_written_out(value: Any, schema: Schema, chosen: Callable[[], bool] = lambda: True) -> Any:
    """A value with absent fields at their default, at every level, as the API server fills them in.

    Args:
        value: the value.
        schema: its structural schema.
        chosen: asked for each absent field whether to fill it in.
    """
    if isinstance(value, list):
        return [defaults_written_out(item, schema["items"], chosen) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    fields = schema["properties"]
    absent = {name: field["default"] for name, field in fields.items() if "default" in field and chosen()}
    return {
        name: defaults_written_out(field, fields[name], chosen) for name, field in (absent | value).items()
    }
