"""A model server outside, behind a proxy and with a certificate of the company's own authority."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.trainings import apply, condition, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox
from tests.unit.authority import AUTHORITY, SERVER
from tests.unit.listening import Listening
from tests.unit.proxied import LoopbackProxy

SERVER_URL = "https://gpu.example"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"
BUNDLES = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
FOLDER = "/etc/bundle"

Json = dict[str, Any]


class TlsFront(Listening):
    """TLS on loopback in front of a server that speaks plain HTTP, with the certificate of gpu.example."""

    def __init__(self, upstream: str, folder: Path) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        file = folder / "server.pem"
        file.write_text(SERVER, encoding="ascii")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(file)
        super().__init__(self._lead)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def _lead(self, client: socket.socket) -> None:
        with self._tls.wrap_socket(client, server_side=True) as inner:
            self._exchange(inner)

    def _exchange(self, inner: ssl.SSLSocket) -> None:
        with socket.create_connection(self._upstream) as server:
            back = threading.Thread(target=_copy, args=(server, inner), daemon=True)
            back.start()
            _copy(inner, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until one of them has enough; then the other hears of it."""
    try:
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def patch(sandbox: Sandbox, environment: dict[str, str], volumes: list[Json], mounts: list[Json]) -> None:
    """Another operator: waits until it runs."""
    container = {
        "name": "controller",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "volumeMounts": mounts,
    }
    change = {"spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}}}
    change_it = f"--patch={json.dumps(change)}"
    sandbox.cluster.kubectl("patch", f"deployment/{CONTROLLER}", f"--namespace={NAMESPACE}", change_it)
    rolled_out(sandbox)


def rolled_out(sandbox: Sandbox) -> None:
    """Waits until the operator runs as it is asked to."""
    words = ("rollout", "status", f"deployment/{CONTROLLER}", f"--namespace={NAMESPACE}", "--timeout=60s")
    sandbox.cluster.kubectl(*words)


@pytest.fixture
def proxy(sandbox: Sandbox, tmp_path: Path) -> Iterator[LoopbackProxy]:
    """The operator asks servers outside through this proxy, and trusts one more authority."""
    before = sandbox.cluster.api.get(DEPLOYMENT)["spec"]
    bundle = {"metadata": {"name": "bundle"}, "data": {"company.pem": AUTHORITY}}
    sandbox.cluster.api.create(BUNDLES, bundle)
    with TlsFront(sandbox.model_server, tmp_path) as front, LoopbackProxy(front.url) as running:
        environment = {
            "HTTPS_PROXY": running.url,
            "HTTP_PROXY": running.url,
            "CA_BUNDLE": f"{FOLDER}/company.pem",
            "MODEL_SERVERS": json.dumps([{"endpoint": SERVER_URL, "requests": 4}]),
        }
        volume = {"name": "bundle", "configMap": {"name": "bundle"}}
        patch(sandbox, environment, [volume], [{"name": "bundle", "mountPath": FOLDER}])
        yield running
        restored = [{"op": "replace", "path": "/spec/template", "value": before["template"]}]
        sandbox.cluster.api.patch(DEPLOYMENT, restored, "json")
        rolled_out(sandbox)
        sandbox.cluster.api.delete(f"{BUNDLES}/bundle")


def test_a_training_reaches_its_server_through_the_proxy(
    sandbox: Sandbox, space: str, proxy: LoopbackProxy
) -> None:
    """Controller and trainer tunnel to the named server; the API server is asked directly by both.

    A server that no list names is not asked until one does; then it is, by itself.
    """
    apply(sandbox, space, tasks=["entities"], model={"endpoint": SERVER_URL})
    shown = ready(sandbox, space)
    assert shown["model"]["endpoint"] == SERVER_URL
    assert shown["progress"]["modelCalls"] > 50
    assert {line.rpartition(" ")[0] for line in proxy.asked} == {"CONNECT gpu.example:443"}
    apply(
        sandbox, space, tasks=["entities"], model={"endpoint": "https://other.example"}, optimizer={"seed": 2}
    )
    wait_for("refused", lambda: condition(sandbox, space, "ModelReady")[1] == "ModelNotAllowed")
    assert status(sandbox, space)["run"]["number"] == 1
    assert not [line for line in proxy.asked if "other.example" in line]
    patch(sandbox, {"ALLOWED_ENDPOINTS": "https://*.example"}, [], [])
    wait_for("asked", lambda: condition(sandbox, space, "ModelReady")[1] == "ModelServerUnavailable")
    assert "certificate is not trusted (Hostname mismatch" in condition(sandbox, space, "ModelReady")[2]
