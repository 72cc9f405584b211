"""The report's way into its ConfigMap: two kinds of request, read and merge patch, over urllib3.

The Kubernetes client would take 30 MiB of memory for it.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import urllib3

from domaintraining.api.names import TRAINER_MANAGER
from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.reporter import CONNECT_SECONDS, READ_SECONDS, NotWritten

MERGE_PATCH: Final = "application/merge-patch+json"
TOKEN_SECONDS: Final = 60.0
"""How long a token is used before its file, which the kubelet renews, is read again."""


class Token:
    """The token of a pod's ServiceAccount, read anew every minute.

    Args:
        path: its file.
        clock: for tests.

    Raises:
        OSError: at the first reading.
        ValueError: the file is empty, or no single line of text.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._read()

    def headers(self) -> dict[str, str]:
        """What a request is authorized with. Raises as the first reading does."""
        if self._clock() - self._read_at >= TOKEN_SECONDS:
            self._read()
        return {"Authorization": f"Bearer {self._token}"}

    def _read(self) -> None:
        token = self._path.read_text(encoding="ascii").strip()
        if not token or not token.isprintable():
            raise ValueError(f"{self._path} holds no token")
        self._token, self._read_at = token, self._clock()


class ApiServer:
    """The API server; proxies of the environment and redirects are not followed.

    Args:
        url: its URL, without a path.
        ca: file with the certificate of its authority; read with every new connection.
        token: of the ServiceAccount; None: requests say nothing of who asks.
    """

    def __init__(self, url: str, ca: Path | None = None, token: Token | None = None) -> None:
        self.url, self.ca, self._token = url, ca, token
        tls = {} if ca is None else {"cert_reqs": "CERT_REQUIRED", "ca_certs": str(ca)}
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        self._pool = urllib3.connection_from_url(url, maxsize=2, timeout=timeout, retries=False, **tls)

    def merge(self, path: str, body: object) -> tuple[int, bytes]:
        """Sends a merge patch; gives the status and the body of the answer.

        Raises:
            OSError, urllib3.exceptions.HTTPError: there is no answer.
            ValueError: the token can't be read.
        """
        return self._request("PATCH", path, json.dumps(body).encode(), {"Content-Type": MERGE_PATCH})

    def read(self, path: str) -> tuple[int, bytes]:
        """Gets an object; gives the status and the body of the answer. Raises as `merge` does."""
        return self._request("GET", path, None, {})

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        headers |= {"Accept": "application/json", **(self._token.headers() if self._token else {})}
        response = self._pool.request(method, path, body=body, headers=headers, redirect=False)
        return response.status, response.data


class KubeReport:
    """The report ConfigMap of a run, by merge patches.

    Args:
        api: the API server.
        namespace: namespace of the ConfigMap.
        name: its name.
    """

    def __init__(self, api: ApiServer, namespace: str, name: str) -> None:
        self._api, self._where = api, f"configmap {namespace}/{name}"
        manager = urlencode({"fieldManager": TRAINER_MANAGER})
        self._object = f"/api/v1/namespaces/{quote(namespace, '')}/configmaps/{quote(name, '')}"
        self._path = f"{self._object}?{manager}"
        self._was_written = False

    def publish(self, data: Mapping[str, str]) -> None:
        """Sets keys of the ConfigMap, see `ReportSink`."""
        try:
            status, answer = self._api.merge(self._path, {"data": dict(data)})
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotWritten(f"{self._where}: {type(error).__name__}") from error
        if status // 100 != 2:
            raise self._meaning(status, answer)
        self._was_written = True

    def read(self) -> Mapping[str, str]:
        """All keys of the ConfigMap; empty where it can't be read."""
        try:
            status, answer = self._api.read(self._object)
            data = json.loads(answer).get("data") if status == 200 else None
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def _meaning(self, status: int, answer: bytes) -> Exception:
        """What a refusal means. 403 before the first write: the Role may not have reached the server yet."""
        if status == 413 or (status == 422 and b"Too long" in answer):
            return DomainTrainingError(Reason.RESULT_TOO_LARGE, f"{self._where} would be too large")
        if status in {404, 409} or (status == 403 and self._was_written):
            message = f"{self._where} answers {status}: the run is gone or another one took over"
            return DomainTrainingError(Reason.SUPERSEDED, message)
        return NotWritten(f"{self._where}: HTTP {status}")


def in_cluster_api(credentials: Path, environ: Mapping[str, str]) -> ApiServer:
    """The API server with a pod's own credentials.

    Args:
        credentials: folder with `token` and `ca.crt`.
        environ: holds KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.

    Raises:
        DomainTrainingError: something of this is missing (TrainerFailed).
    """
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    authority = credentials / "ca.crt"
    try:
        token = Token(credentials / "token")
        if not authority.stat().st_size:
            raise ValueError(f"{authority} is empty")  # noqa: TRY301 - told as the others are
    except (OSError, ValueError) as error:
        message = f"no credentials for the API server in {credentials}: {error}"
        raise DomainTrainingError(Reason.TRAINER_FAILED, message) from error
    return ApiServer(f"https://{f'[{host}]' if ':' in host else host}:{port}", authority, token)
