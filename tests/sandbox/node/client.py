"""The node's way to the API server."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp

from tests.sandbox.api import PATCH_TYPES, ApiError
from tests.sandbox.kubeconfig import Access

Json = dict[str, Any]
# What a request may fail with when the API server is away.
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)
# One line of a watch is one object: up to the 1.5 MiB that etcd takes, and more as JSON.
LINE_BYTES = 4 * 2**20
WATCH_SECONDS = 300


class NodeApi:
    """Requests as the node; ApiError for a refusal, one of UNREACHABLE for no answer."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context(cadata=self.access.authority)
        self._session = aiohttp.ClientSession(
            base_url=self.access.server,
            headers={"Authorization": f"Bearer {self.access.token}", "Accept": "application/json"},
            connector=aiohttp.TCPConnector(ssl=tls, limit=20),
            timeout=aiohttp.ClientTimeout(total=30, sock_connect=5),
            read_bufsize=LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str, **query: str) -> Json:
        """Reads an object or a list."""
        return await self._request("GET", path, query=query)

    async def find(self, path: str) -> Json | None:
        """Reads an object; None when there is no such object."""
        try:
            return await self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Json) -> Json:
        """Posts an object to its collection."""
        return await self._request("POST", path, body)

    async def patch(self, path: str, body: Json) -> Json:
        """Patches an object by strategic merge: conditions of other owners stay."""
        return await self._request("PATCH", path, body, PATCH_TYPES["strategic"])

    async def delete(self, path: str, body: Json | None = None) -> Json:
        """Deletes an object; the body holds DeleteOptions."""
        return await self._request("DELETE", path, body)

    async def watch(self, path: str, **query: str) -> AsyncIterator[Json]:
        """Events of a list from `resourceVersion` on, until the API server ends the answer."""
        query = {"watch": "true", "timeoutSeconds": str(WATCH_SECONDS), **query}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=WATCH_SECONDS + 10)
        async with self._open.get(path, params=query, timeout=timeout) as response:
            if response.status >= 400:
                raise ApiError(response.status, await _status_of(response))
            async for line in response.content:
                yield json.loads(line)

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session, "use the client in `async with`"
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        kind: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Json:
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": kind}
        async with self._open.request(method, path, data=data, headers=headers, params=query) as response:
            if response.status >= 400:
                raise ApiError(response.status, await _status_of(response))
            answer: Json = await response.json()
            return answer


async def _status_of(response: aiohttp.ClientResponse) -> Json:
    text = await response.text(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": text[:500]}
