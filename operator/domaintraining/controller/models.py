"""The one seam to model servers: what a server has, before a run starts.

Ollama's API: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError

MAX_REPLY: Final = 4 * 1024 * 1024
TIMEOUT: Final = aiohttp.ClientTimeout(total=20, connect=5)
WORD: Final = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True)
class ModelInfo:
    """What a server says of a model."""

    digest: str
    """Digest of the model as the server has it."""
    capabilities: frozenset[str] = frozenset()
    """completion, thinking, embedding, …; empty where an old server does not tell."""
    context_length: int | None = None
    """Longest context of the model in tokens, where the server tells it."""


class ModelServers(Protocol):
    """What the controller asks model servers; both methods raise ModelServerUnavailable."""

    async def version(self, endpoint: str) -> str:
        """Version of the server; that it answers is what is asked for."""

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """What the server knows of a model; None: it does not have it."""


@dataclass
class ScriptedModels:
    """The shipped fake: servers that have what they are given."""

    models: dict[tuple[str, str], ModelInfo] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    async def version(self, endpoint: str) -> str:
        """Answer unless the endpoint is down."""
        if endpoint in self.down:
            raise unavailable(endpoint, "scripted to be down")
        return "scripted"

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """What the script says."""
        await self.version(endpoint)
        return self.models.get((endpoint, model))


class HttpModelServers:
    """Real servers. Needs a running event loop; follows no redirect and no proxy of the environment."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False)

    async def close(self) -> None:
        """Let all connections go."""
        await self._session.close()

    async def version(self, endpoint: str) -> str:
        """GET /api/version."""
        status, values = await self._ask("GET", f"{endpoint}/api/version", None)
        if status != 200:
            raise unavailable(endpoint, f"/api/version answers {status}")
        return str(values.get("version", ""))[:64]

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """POST /api/show for capabilities, GET /api/tags for the digest."""
        status, values = await self._ask("POST", f"{endpoint}/api/show", {"model": model})
        if status == 404:
            return None
        if status != 200:
            raise unavailable(endpoint, f"/api/show answers {status}: {words(values.get('error', ''))}")
        status, tags = await self._ask("GET", f"{endpoint}/api/tags", None)
        if status != 200:
            raise unavailable(endpoint, f"/api/tags answers {status}")
        named = values.get("capabilities")
        capabilities = (
            frozenset(str(one)[:32] for one in named[:32]) if isinstance(named, list) else frozenset()
        )
        return ModelInfo(digest_in(tags, model), capabilities, _context_length(values))

    async def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
        try:
            async with self._session.request(method, url, json=body, allow_redirects=False) as reply:
                raw = await reply.content.read(MAX_REPLY + 1)
                while len(raw) <= MAX_REPLY and (more := await reply.content.read(MAX_REPLY + 1 - len(raw))):
                    raw += more
                return reply.status, read_object(raw)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise unavailable(url.partition("/api/")[0], words(str(error) or type(error).__name__)) from error


def read_object(raw: bytes) -> dict[str, Any]:
    """A server's reply as a JSON object; anything else is an empty one."""
    if len(raw) > MAX_REPLY:
        return {}
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def words(text: object) -> str:
    """A server's words, fit for a message: 300 printable characters."""
    return WORD.sub(" ", str(text))[:300]


def unavailable(endpoint: str, why: str) -> DomainTrainingError:
    """A server that does not answer as it should."""
    return DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, f"{endpoint} does not answer: {why}")


def digest_in(tags: Mapping[str, Any], model: str) -> str:
    """The digest of a model in a reply of /api/tags; a name without tag means :latest. Empty: not listed."""
    wanted = {model, f"{model}:latest"} if ":" not in model.rpartition("/")[2] else {model}
    listed = tags.get("models")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and wanted & {one.get("name"), one.get("model")}:
            return words(one.get("digest", ""))[:128]
    return ""


def _context_length(values: Mapping[str, Any]) -> int | None:
    info = values.get("model_info")
    for key, value in info.items() if isinstance(info, dict) else ():
        if str(key).endswith(".context_length") and isinstance(value, int):
            return value
    return None
