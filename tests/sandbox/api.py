"""A small blocking client of the API server: for the sandbox itself and for tests that ask often."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.sandbox.kubeconfig import Access

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0
PATCH_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class ApiError(RuntimeError):
    """The API server refused: HTTP `status`, CamelCase `reason`, and its message as the text."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body.get('reason', '')}: {body.get('message', '')}")
        self.status = status
        self.reason = str(body.get("reason", ""))


class Api:
    """Requests to one API server as one identity; `path` is a path such as /api/v1/namespaces."""

    def __init__(self, access: Access) -> None:
        self._address = urlsplit(access.server)
        self._token = access.token
        self._tls = ssl.create_default_context(cadata=access.authority)

    def get(self, path: str, **query: str) -> Json:
        """Reads an object or a list. Raises ApiError, OSError when there is no connection."""
        return self.request("GET", path, query=query)

    def find(self, path: str, **query: str) -> Json | None:
        """Reads an object; None when there is no such object."""
        try:
            return self.get(path, **query)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Json]:
        """The objects of a list."""
        found: list[Json] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Json) -> Json:
        """Posts an object to its collection."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any, kind: str = "merge", **query: str) -> Json:
        """Patches an object; `kind` is merge, strategic, json or apply (server-side, forced)."""
        if kind == "apply":
            query = {"fieldManager": "sandbox", "force": "true", **query}
        return self.request("PATCH", path, body, PATCH_TYPES[kind], query)

    def delete(self, path: str, propagation: str = "Background", **query: str) -> Json:
        """Deletes an object or a collection."""
        return self.request("DELETE", path, query={"propagationPolicy": propagation, **query})

    def text(self, path: str, **query: str) -> str:
        """Reads what is not JSON, such as a pod's log."""
        return self._exchange("GET", path, None, "", query).decode(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Json:
        """One request with a JSON answer. Raises ApiError for every status from 400 on."""
        answer: Json = json.loads(self._exchange(method, path, body, content_type, query or {}))
        return answer

    def _exchange(self, method: str, path: str, body: Any, kind: str, query: dict[str, str]) -> bytes:
        connection = http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, context=self._tls, timeout=TIMEOUT_SECONDS
        )
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = kind
        try:
            target = f"{path}?{urlencode(query)}" if query else path
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise ApiError(response.status, _status_of(answer))
        return answer


def _status_of(answer: bytes) -> Json:
    """The Status object of a refusal; some refusals (401, 5xx of a proxy) are plain text."""
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": answer.decode(errors="replace")[:500]}
