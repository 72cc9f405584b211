"""A trainer's calls take the way that the operator's settings name, over a real proxy and real TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from domaintraining.trainer.calls.server import GivenUp, OllamaServer
from tests.unit.authority import AUTHORITY
from tests.unit.proxied import LoopbackProxy, secured
from tests.unit.trainer.loopback import Clock, Loopback, Reply, answer, serving

BODY = {"model": "m", "messages": []}
OUTSIDE = "http://models.gpu.example:11434"
OUTSIDE_TLS = "https://gpu.example"


def asked(url: str, reach: Reach, clock: Clock) -> str:
    """The answer of a server, or what is said of a server that does not answer."""
    server = OllamaServer(
        url, permits=1, outage_seconds=1, reach=reach, sleep=clock.sleep, clock=clock, read_seconds=5
    )
    try:
        return server.chat(BODY).content
    except GivenUp as given_up:
        return given_up.error.message
    finally:
        server.close()


def test_a_server_outside_is_asked_through_the_proxy(clock: Clock) -> None:
    """Its name is the proxy's to resolve."""
    with serving(answer("fine")) as loopback, LoopbackProxy(loopback.url) as proxy:
        assert asked(OUTSIDE, Reach(Proxy(http=proxy.url)), clock) == "fine"
        assert proxy.asked == [f"POST {OUTSIDE}/api/chat HTTP/1.1"]


@pytest.mark.parametrize("proxies", [{"no": "*"}, {}])
def test_what_is_in_the_cluster_or_named_is_asked_directly(clock: Clock, proxies: dict[str, str]) -> None:
    """Here loopback."""
    with serving(answer("fine")) as loopback, LoopbackProxy() as proxy:
        reach = Reach(Proxy(http=proxy.url, https=proxy.url, **proxies))
        assert asked(loopback.url, reach, clock) == "fine"
        assert proxy.asked == []


def test_the_proxies_of_the_environment_are_not_asked(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pod's variables say has been read once, by the settings."""
    with serving(answer("fine")) as loopback, LoopbackProxy() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert asked(loopback.url, Reach(), clock) == "fine"
        assert proxy.asked == []


def test_tls_through_the_proxy_is_between_trainer_and_server(clock: Clock, tmp_path: Path) -> None:
    """The proxy sees the host alone; the server's certificate is checked against its name."""
    server = Loopback([answer("fine")])
    with secured(server, tmp_path) as url, LoopbackProxy(url) as proxy:
        reach = Reach(Proxy(https=proxy.url), AUTHORITY)
        assert asked(OUTSIDE_TLS, reach, clock) == "fine"
        (line,) = proxy.asked
        assert line.startswith("CONNECT gpu.example:443 ")
        said = asked("https://other.example", reach, clock)
        assert "certificate is not trusted (Hostname mismatch" in said
    assert len(server.received) == 1


def test_an_authority_is_trusted_because_the_settings_name_it(clock: Clock, tmp_path: Path) -> None:
    """Without it the server gets no call, and the message says what to set."""
    server = Loopback([answer("fine")])
    with secured(server, tmp_path) as url:
        assert asked(url, Reach(authorities=AUTHORITY), clock) == "fine"
        said = asked(url, Reach(), clock)
    assert "its certificate is not trusted (" in said
    assert "see CA_BUNDLE" in said
    assert len(server.received) == 1


def test_a_proxy_that_refuses_is_waited_for_and_told(clock: Clock) -> None:
    """It may be its own trouble; the message names the proxy, not the model server, as what refuses."""
    with LoopbackProxy() as proxy:
        reach = Reach(Proxy(http=proxy.url, https=proxy.url), AUTHORITY)
        assert "the proxy does not let the call through" in asked(OUTSIDE_TLS, reach, clock)
        assert "HTTP 403" in asked(OUTSIDE, reach, clock)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(clock: Clock, status: int) -> None:
    """No call, and no sample text with it, goes to a server that nobody allowed."""
    with serving(answer("stolen")) as other:
        elsewhere = {"Location": f"{other.url}/api/chat"}
        with serving(Reply({}, status, elsewhere)) as loopback:
            assert f"HTTP {status}" in asked(loopback.url, Reach(), clock)
        assert other.received == []
