"""The API server, spoken to by the Kubernetes client's transport without its typed models."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import load_incluster_config, load_kube_config

from domaintraining.api.names import MANAGER
from domaintraining.controller.cluster import ClusterError, JsonObject
from domaintraining.controller.objects import EVENT, Kind, address_of, kind_of

PAGE: Final = 200
AT_ONCE: Final = 20
MOST_WARNINGS: Final = 50
RETRIES: Final = 3
LONGEST_PAUSE: Final = 30.0
TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
BODY: Final = "application/json"
UNANSWERED: Final = (aiohttp.ClientError, TimeoutError, OSError)

logger = logging.getLogger(__name__)


class _Answer(NamedTuple):
    status: int
    retry_after: str
    content: bytes


class KubeCluster:
    """Cluster over HTTP: a pod's own account, or a kubeconfig. Close it at the end.

    A request is given up after 30 s; 429, 5xx and lost connections are tried three times more. A refused
    token is read again once: tokens of accounts, files and login programs run out.
    """

    def __init__(self, credentials: Callable[[], Awaitable[Configuration]], first: Configuration) -> None:
        """Take the way to fresh credentials, and the first ones; `connect` is what callers want."""
        self._credentials = credentials
        self._configuration = first
        self._rest = RESTClientObject(first)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.told: Callable[[int], None] = lambda _status: None
        """Told the status of each answer of the API server, 0 where none came."""

    @classmethod
    async def connect(cls, environ: Mapping[str, str]) -> "KubeCluster":
        """The cluster of KUBECONFIG, else of the pod this runs in, else of ~/.kube/config.

        Raises:
            kubernetes.aio.config.ConfigException: none of them is usable.
        """

        async def credentials() -> Configuration:
            return await _configured(environ)

        return cls(credentials, await credentials())

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """One object; None where there is none."""
        try:
            return await self._send("GET", kind.path(namespace, name))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        """All objects with the labels, in pages of 200; begun anew, in one piece, when a page ran out."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found: list[JsonObject] = []
        query = {"labelSelector": selector, "limit": str(PAGE)}
        while True:
            try:
                page = await self._send("GET", kind.path(namespace), query)
            except ClusterError as error:
                if error.status != 410 or "continue" not in query:
                    raise
                found, query = [], {"labelSelector": selector}
                continue
            # the API server leaves these out of a list's items
            found += [{"apiVersion": kind.api_version, "kind": kind.kind} | item for item in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                return found
            query = {"labelSelector": selector, "limit": str(PAGE), "continue": token}

    async def warnings(self, namespace: str, uid: str) -> list[JsonObject]:
        """Events of type Warning about an object."""
        query = {"fieldSelector": f"regarding.uid={uid},type=Warning", "limit": str(MOST_WARNINGS)}
        found: list[JsonObject] = (await self._send("GET", EVENT.path(namespace), query))["items"]
        return found

    async def apply(self, obj: JsonObject) -> JsonObject:
        """Server-side apply with force."""
        kind, namespace, name = address_of(obj)
        return await self._apply(kind.path(namespace, name), obj)

    async def apply_status(self, obj: JsonObject) -> JsonObject:
        """Server-side apply of the status alone."""
        kind, namespace, name = address_of(obj)
        return await self._apply(kind.path(namespace, name, "status"), obj)

    async def merge(self, obj: JsonObject) -> JsonObject:
        """JSON merge patch of an object that is there."""
        kind, namespace, name = address_of(obj)
        query = {"fieldManager": MANAGER}
        return await self._send("PATCH", kind.path(namespace, name), query, obj, content_type=MERGE)

    async def create(self, obj: JsonObject) -> JsonObject:
        """Make an object; one of this name is a conflict, also where a lost answer was of our own making."""
        path = kind_of(obj).path(obj["metadata"]["namespace"])
        return await self._send("POST", path, {"fieldManager": MANAGER}, obj)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Remove an object and, in the background, what it owns."""
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._send("DELETE", kind.path(namespace, name), None, options)
        except ClusterError as error:
            if error.status != 404:
                raise

    async def post_event(self, obj: JsonObject) -> None:
        """Send an event, once; events are a courtesy."""
        try:
            await self._send("POST", EVENT.path(obj["metadata"]["namespace"]), None, obj, retries=0)
        except ClusterError as error:
            logger.warning("event not sent: %s", error)

    async def ping(self) -> None:
        """Ask the API server for its version, which needs no right; `told` gets to know how it went."""
        await self._once("GET", "/version", None, BODY)

    async def watch_session(self, trace: aiohttp.TraceConfig) -> tuple[str, aiohttp.ClientSession]:
        """The server's URL, and a session for watches with fresh credentials; its user closes it."""
        configuration = await self._credentials()
        headers = {"User-Agent": MANAGER} | await _authorization(configuration)
        connector = aiohttp.TCPConnector(limit=0, ssl=RESTClientObject(configuration).ssl_context)
        session = aiohttp.ClientSession(
            connector=connector, headers=headers, proxy=configuration.proxy, trace_configs=[trace]
        )
        return configuration.host.rstrip("/"), session

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def _apply(self, path: str, obj: JsonObject) -> JsonObject:
        metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._send("PATCH", path, query, obj | {"metadata": metadata}, content_type=APPLY)

    async def _send(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        *,
        content_type: str = BODY,
        retries: int = RETRIES,
    ) -> JsonObject:
        target = f"{path}?{urlencode(query)}" if query else path
        renewed = False
        attempt = 0
        while True:
            answer = await self._once(method, target, body, content_type)
            if answer.status == 401 and not renewed:
                renewed = True
                await self._renew()
                continue
            if attempt == retries or not _passes(answer.status):
                return _content(answer, f"{method} {path}")
            await asyncio.sleep(_pause(attempt, answer.retry_after))
            attempt += 1

    async def _once(self, method: str, target: str, body: JsonObject | None, content_type: str) -> _Answer:
        answer = await self._asked(method, target, body, content_type)
        self.told(answer.status)
        return answer

    async def _asked(self, method: str, target: str, body: JsonObject | None, content_type: str) -> _Answer:
        async with self._slots:
            try:
                headers = {"Accept": BODY, "Content-Type": content_type, "User-Agent": MANAGER}
                headers |= await _authorization(self._configuration)
                url = self._configuration.host.rstrip("/") + target
                response = await self._rest.request(
                    method, url, headers=headers, body=body, _request_timeout=TIMEOUT
                )
                content = await response.read()
                return _Answer(response.status, response.headers.get("Retry-After", ""), content)
            except UNANSWERED as error:
                return _Answer(0, "", (str(error) or type(error).__name__).encode())

    async def _renew(self) -> None:
        """Read the credentials again; connections with an old client certificate are closed."""
        fresh = await self._credentials()
        changed = any(
            getattr(fresh, field) != getattr(self._configuration, field)
            for field in ("host", "cert_file", "key_file", "ssl_ca_cert")
        )
        self._configuration = fresh
        if changed:
            old, self._rest = self._rest, RESTClientObject(fresh)
            await old.close()


async def _configured(environ: Mapping[str, str]) -> Configuration:
    configuration = Configuration()
    # proxies of the environment are for model servers; a kubeconfig's own one counts
    configuration.client_session_kwargs = {"trust_env": False}
    given = environ.get("KUBECONFIG")
    if given or not environ.get("KUBERNETES_SERVICE_HOST"):
        path = given or str(Path.home() / ".kube" / "config")
        await load_kube_config(path, client_configuration=configuration, persist_config=False)
    else:
        load_incluster_config(client_configuration=configuration)
    return configuration


async def _authorization(configuration: Configuration) -> dict[str, str]:
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return {"Authorization": token} if token else {}


def _passes(status: int) -> bool:
    return status in {0, 429} or status >= 500


def _pause(attempt: int, retry_after: str) -> float:
    """Seconds until the next try: what the server asks for, else 0.2, 0.4, 0.8, both with jitter."""
    asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return min(asked + 0.2 * jitter if asked else 0.2 * 2**attempt * jitter, LONGEST_PAUSE)


def _content(answer: _Answer, request: str) -> JsonObject:
    if answer.status == 0:
        raise ClusterError(0, "Unavailable", f"{request}: no answer: {answer.content.decode()[:300]}")
    parsed: Any
    try:
        parsed = json.loads(answer.content)
    except ValueError:
        parsed = None
    content: JsonObject = parsed if isinstance(parsed, dict) else {}
    if 200 <= answer.status < 300 and content:
        return content
    message = content.get("message") or answer.content[:300].decode(errors="replace")
    raise ClusterError(answer.status, str(content.get("reason") or "Unknown"), f"{request}: {message}")
