"""The one seam to the model server: which models it has and what they can do.

See https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import aiohttp

from domaintraining.api.model import full_name
from domaintraining.api.reasons import Reason
from domaintraining.api.scalars import CONTROLS
from domaintraining.controller.resolver import CheckedResolver
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import PLAIN, Reach

MOST_BYTES: Final = 4 * 2**20
MOST_TEXT: Final = 300
TIMEOUT: Final = aiohttp.ClientTimeout(total=20, connect=5)
UNANSWERED: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""What aiohttp raises; ValueError stands for URLs and replies that it can't read."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a server has."""

    digest: str
    """SHA-256 as the server gives it, hex; empty where its list doesn't name the model."""
    capabilities: frozenset[str] = frozenset()
    """What it can do, such as completion, thinking, embedding; empty for servers that don't tell."""
    context_length: int | None = None
    """Tokens that the model was made for; the server may have given it fewer."""


class ModelServers(Protocol):
    """What the controller asks of model servers; each method raises MODEL_SERVER_UNAVAILABLE."""

    async def version(self, endpoint: str) -> str:
        """Version of the server; shows that it answers."""

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """A model that the server has; None where it hasn't."""

    async def digest(self, endpoint: str, model: str) -> str:
        """Digest of a model, from the server's list; empty where the list doesn't name it."""


class _Reply(NamedTuple):
    status: int
    content: dict[str, Any]


class HttpModelServers:
    """ModelServers over HTTP: no redirects, no proxies but those of the reach, bounded replies."""

    def __init__(self, reach: Reach = PLAIN) -> None:
        """Take the way to them. Connections are made with the first request; close it at the end."""
        self._reach = reach
        self._session: aiohttp.ClientSession | None = None

    async def version(self, endpoint: str) -> str:
        """Version of the server."""
        reply = await self._ask("GET", endpoint, "/api/version")
        return one_line(_good(reply, endpoint).get("version", ""))

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """A model that the server has; None where it hasn't."""
        reply = await self._ask("POST", endpoint, "/api/show", {"model": model})
        # without its error, a 404 comes from something that is no model server
        if reply.status == 404 and "error" in reply.content:
            return None
        content = _good(reply, endpoint)
        return ModelInfo(
            digest=await self.digest(endpoint, model),
            capabilities=_capabilities(content.get("capabilities")),
            context_length=_context_length(content.get("model_info")),
        )

    async def digest(self, endpoint: str, model: str) -> str:
        """Digest of a model, from /api/tags; `latest` where the name has no tag."""
        content = _good(await self._ask("GET", endpoint, "/api/tags"), endpoint)
        listed = content.get("models")
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, dict) and full_name(str(one.get("name", ""))) == full_name(model):
                return one_line(one.get("digest", "")).removeprefix("sha256:")[:MOST_TEXT]
        return ""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(
        self, method: str, endpoint: str, path: str, body: Mapping[str, Any] | None = None
    ) -> _Reply:
        if self._session is None:
            self._session = open_session(TIMEOUT, self._reach)
        url = endpoint.rstrip("/") + path
        try:
            proxy = way_to(endpoint, self._reach)
            async with self._session.request(
                method, url, json=body, proxy=proxy, allow_redirects=False
            ) as response:
                content = await bounded(response, MOST_BYTES)
                return _Reply(response.status, json_object(content))
        except UNANSWERED as error:
            raise unavailable(endpoint, f"does not answer: {what(error)}") from error


def open_session(timeout: aiohttp.ClientTimeout, reach: Reach) -> aiohttp.ClientSession:
    """A session for servers that are not trusted: no cookies, no proxies or logins of the environment.

    The proxy is to be named with each request.
    """
    resolver = None if reach.guard is None else CheckedResolver(reach.guard)
    return aiohttp.ClientSession(
        timeout=timeout,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(ssl=reach.tls(), resolver=resolver),
    )


def way_to(endpoint: str, reach: Reach) -> str | None:
    """The proxy for a request; None: it goes to the server itself, whose name the session's resolver checks.

    Raises:
        DomainTrainingError: the server is an address that nothing is sent to (ModelNotAllowed).
        ValueError: the URL can't be read.
    """
    if reach.guard is not None:
        reach.guard.check_literal(endpoint)
    return reach.proxy.of(endpoint)


async def bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The content of a reply.

    Raises:
        ValueError: it has more than `most` bytes.
    """
    content = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        content += chunk
        if len(content) > most:
            raise ValueError(f"the reply has more than {most} bytes")
    return bytes(content)


def json_object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty where the content is none."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def one_line(text: object, most: int = MOST_TEXT) -> str:
    """A server's words as they may stand in a condition: one line, no control characters, bounded."""
    return " ".join(CONTROLS.sub(" ", str(text)[: 4 * most]).split())[:most]


def what(error: BaseException) -> str:
    """An error in few words; time-outs have none of their own."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = getattr(error.certificate_error, "verify_message", "")
        return f"its certificate is not trusted ({one_line(said)}); see the operator's CA_BUNDLE"
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return f"the proxy does not let the request through ({one_line(error)})"
    return one_line(error) or ("time-out" if isinstance(error, TimeoutError) else type(error).__name__)


def unavailable(endpoint: str, text: str) -> DomainTrainingError:
    """The error of a server that doesn't do its work."""
    return DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, f"{endpoint} {text}")


def _good(reply: _Reply, endpoint: str) -> dict[str, Any]:
    if reply.status != 200:
        said = one_line(reply.content.get("error", "")) or "no reason given"
        raise unavailable(endpoint, f"answers {reply.status}: {said}")
    if not reply.content:
        raise unavailable(endpoint, "answers something else than a JSON object; is it an Ollama server?")
    return reply.content


def _capabilities(given: object) -> frozenset[str]:
    return frozenset(one_line(one, 40) for one in given[:20]) if isinstance(given, list) else frozenset()


def _context_length(given: object) -> int | None:
    if not isinstance(given, dict):
        return None
    length = given.get(f"{given.get('general.architecture')}.context_length")
    return length if isinstance(length, int) and 0 < length < 10**9 else None


@dataclass(slots=True)
class ScriptedModels:
    """The fake of ModelServers: one answer for every endpoint."""

    models: dict[str, ModelInfo] = field(default_factory=dict)
    """Models by name."""
    down: set[str] = field(default_factory=set)
    """Endpoints that don't answer."""
    asked: list[str] = field(default_factory=list)
    """What was asked: `version URL`, `show URL MODEL`, `digest URL MODEL`."""

    async def version(self, endpoint: str) -> str:
        """Version of the server."""
        await self._ask(endpoint, f"version {endpoint}")
        return "0.0.0"

    async def show(self, endpoint: str, model: str) -> ModelInfo | None:
        """A model that the server has; None where it hasn't."""
        await self._ask(endpoint, f"show {endpoint} {model}")
        return next((info for name, info in self.models.items() if full_name(name) == full_name(model)), None)

    async def digest(self, endpoint: str, model: str) -> str:
        """Digest of a model; empty where there is none."""
        await self._ask(endpoint, f"digest {endpoint} {model}")
        return next((i.digest for name, i in self.models.items() if full_name(name) == full_name(model)), "")

    async def _ask(self, endpoint: str, question: str) -> None:
        self.asked.append(question)
        await asyncio.sleep(0)
        if endpoint in self.down:
            raise unavailable(endpoint, "does not answer: connection refused")
