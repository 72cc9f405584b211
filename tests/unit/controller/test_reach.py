"""The controller's requests take the way that the operator's settings name, and no other."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from domaintraining.controller.kube import KubeCluster
from domaintraining.controller.models import HttpModelServers
from domaintraining.controller.objects import CONFIG_MAP
from domaintraining.controller.pulls import http_lines
from domaintraining.errors import DomainTrainingError
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from tests.unit.authority import AUTHORITY
from tests.unit.proxied import LoopbackProxy, secured
from tests.unit.trainer.loopback import Loopback, Reply, serving

OUTSIDE = "http://models.gpu.example:11434"
OUTSIDE_TLS = "https://gpu.example"
VERSION = Reply({"version": "0.33.0"})
DONE = Reply(b'{"status": "success"}\n')

Ask = Callable[[str, Reach], Coroutine[Any, Any, object]]


async def version(url: str, reach: Reach) -> str:
    """A server's version, or why there is none."""
    servers = HttpModelServers(reach)
    try:
        return await servers.version(url)
    except DomainTrainingError as error:
        return error.message
    finally:
        await servers.close()


async def show(url: str, reach: Reach) -> object:
    """What a server says of a model, or why it does not."""
    servers = HttpModelServers(reach)
    try:
        return await servers.show(url, "m")
    except DomainTrainingError as error:
        return error.message
    finally:
        await servers.close()


async def pull(url: str, reach: Reach) -> list[dict[str, Any]]:
    """The lines of a pull."""
    return [line async for line in http_lines(url, "m", reach)]


def test_a_server_outside_is_asked_through_the_proxy() -> None:
    """Questions and pulls."""
    with serving(VERSION, DONE) as loopback, LoopbackProxy(loopback.url) as proxy:
        reach = Reach(Proxy(http=proxy.url))
        assert asyncio.run(version(OUTSIDE, reach)) == "0.33.0"
        assert asyncio.run(pull(OUTSIDE, reach)) == [{"status": "success"}]
        assert proxy.asked == [f"GET {OUTSIDE}/api/version HTTP/1.1", f"POST {OUTSIDE}/api/pull HTTP/1.1"]


def test_what_is_in_the_cluster_is_asked_directly() -> None:
    """Whatever the proxy."""
    with serving(VERSION, DONE) as loopback, LoopbackProxy() as proxy:
        reach = Reach(Proxy(http=proxy.url))
        assert asyncio.run(version(loopback.url, reach)) == "0.33.0"
        assert asyncio.run(pull(loopback.url, reach)) == [{"status": "success"}]
        assert proxy.asked == []


def test_tls_through_the_proxy_is_between_controller_and_server(tmp_path: Path) -> None:
    """With the authorities of the settings."""
    with secured(Loopback([VERSION]), tmp_path) as url, LoopbackProxy(url) as proxy:
        assert asyncio.run(version(OUTSIDE_TLS, Reach(Proxy(https=proxy.url), AUTHORITY))) == "0.33.0"
        assert proxy.asked == ["CONNECT gpu.example:443 HTTP/1.1"]


def test_an_authority_is_trusted_because_the_settings_name_it(tmp_path: Path) -> None:
    """Without it nothing is asked, and the message says what to set."""
    server = Loopback([VERSION])
    with secured(server, tmp_path) as url:
        assert asyncio.run(version(url, Reach(authorities=AUTHORITY))) == "0.33.0"
        said = asyncio.run(version(url, Reach()))
    assert "does not answer: its certificate is not trusted (" in said
    assert "see the operator's CA_BUNDLE" in said
    assert len(server.received) == 1


def test_a_proxy_that_refuses_is_named() -> None:
    """As the one that refuses, where it can be told from the server."""
    with LoopbackProxy() as proxy:
        reach = Reach(Proxy(http=proxy.url, https=proxy.url))
        assert "the proxy does not let the request through" in asyncio.run(version(OUTSIDE_TLS, reach))
        assert "answers 403" in asyncio.run(version(OUTSIDE, reach))
    assert "the proxy does not let the request through" in asyncio.run(version(OUTSIDE, reach))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("ask", [version, show, pull])
def test_a_redirect_leads_nowhere(ask: Ask, status: int) -> None:
    """No question and no pull goes to a server that nobody allowed."""
    with serving(Reply({"version": "stolen"})) as other:
        elsewhere = {"Location": f"{other.url}/api/version"}
        with serving(Reply({}, status, elsewhere)) as loopback:
            assert f"answers {status}" in str(asyncio.run(ask(loopback.url, Reach())))
        assert other.received == []


def test_the_api_server_is_never_asked_through_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxies are for model servers; the Kubernetes client would take them for itself."""

    async def ask(config: Path) -> object:
        cluster = await KubeCluster.connect({"KUBECONFIG": str(config)})
        try:
            return await cluster.get(CONFIG_MAP, "team", "data")
        finally:
            await cluster.close()

    with serving(Reply({"kind": "ConfigMap"})) as api, LoopbackProxy() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        config = tmp_path / "kubeconfig"
        config.write_text(
            '{"apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [],'
            ' "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],'
            f' "clusters": [{{"name": "c", "cluster": {{"server": "{api.url}"}}}}]}}',
            encoding="utf-8",
        )
        assert asyncio.run(ask(config)) == {"kind": "ConfigMap"}
        assert proxy.asked == []
