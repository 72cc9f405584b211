"""Answers as Ollama's HTTP server writes them: JSON, lines of JSON, and what it says of its models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from .models import FAMILY, Model

NAME = "simulated-ollama"
_JSON = "application/json; charset=utf-8"
_NDJSON = "application/x-ndjson"


@dataclass(slots=True)
class Loaded:
    """A model in memory: the context it was loaded with, and until when it stays (None: for ever)."""

    model: Model
    context: int
    expires: datetime | None


def reply(status: int, body: Mapping[str, Any]) -> web.Response:
    """A JSON answer as gin writes it."""
    return web.Response(
        status=status, body=json.dumps(body, ensure_ascii=False).encode(), headers={"Content-Type": _JSON}
    )


def torn(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


async def streamed(request: web.Request, lines: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Lines as they come; an error that comes first has a status of its own."""
    response = web.StreamResponse(headers={"Content-Type": _NDJSON, "Server": NAME})
    async for line in lines:
        if not response.prepared:
            if "error" in line:
                return reply(500, line)
            await response.prepare(request)
        await response.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    await response.write_eof()
    return response


async def waited(lines: AsyncIterator[dict[str, Any]]) -> web.Response:
    latest: dict[str, Any] = {}
    async for line in lines:
        latest = line
        if "error" in line:
            return reply(500, line)
    return reply(200, latest)


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def listed(model: Model, since: datetime) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _time(since),
        "size": model.size,
        "digest": model.digest,
        "details": model.details | {"context_length": model.context},
        "capabilities": list(model.capabilities),
    }


def described(model: Model, since: datetime) -> dict[str, Any]:
    info = {
        "general.architecture": FAMILY,
        "general.basename": model.name,
        "general.parameter_count": 0,
        f"{FAMILY}.context_length": model.context,
        f"{FAMILY}.embedding_length": model.dimension,
    }
    return {
        "modelfile": f"# A simulated model: no weights.\nFROM {model.name}\n",
        "parameters": f"{'temperature':<30} 0.8",
        "template": "{{ .Prompt }}",
        "details": model.details,
        "model_info": info,
        "capabilities": list(model.capabilities),
        "modified_at": _time(since),
    }


def running(one: Loaded) -> dict[str, Any]:
    expires = _time(one.expires) if one.expires else "2318-01-01T00:00:00Z"
    return {
        "name": one.model.name,
        "model": one.model.name,
        "size": one.model.size,
        "digest": one.model.digest,
        "details": one.model.details,
        "expires_at": expires,
        "size_vram": one.model.size,
        "context_length": one.context,
    }
