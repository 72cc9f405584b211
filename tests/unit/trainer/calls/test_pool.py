"""A trainer's calls take the way that the operator's settings name, over a real proxy and real TLS."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from domaintraining.trainer.calls.server import GivenUp, OllamaServer
from tests.unit.authority import AUTHORITY
from tests.unit.proxied import LoopbackProxy, secured
from tests.unit.trainer.loopback import Clock, Loopback, Reply, answer, serving

NAMED = "http://models.here.example"
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


def guarded(answers: list[list[str]], *named: tuple[str, int]) -> Reach:
    """A reach whose guard resolves by a script; a question too many is an error."""
    return Reach(
        guard=Guard(frozenset(named), lambda: ["192.0.2.10"], lambda _host, _port, /: answers.pop(0))
    )


def test_a_name_is_resolved_once_and_goes_to_the_address_that_was_checked(clock: Clock) -> None:
    """What the name leads to a moment later is not asked for; the name stays in the request."""
    with serving(answer("fine")) as loopback:
        port = urlsplit(loopback.url).port or 0
        answers = [["127.0.0.1"]]
        reach = guarded(answers, ("models.here.example", port))
        assert asked(f"{NAMED}:{port}", reach, clock) == "fine"
        assert answers == []
        assert loopback.received[0].headers["Host"] == f"models.here.example:{port}"


@pytest.mark.parametrize("leads_to", [["127.0.0.1"], ["203.0.113.1", "169.254.169.254"], ["192.0.2.10"]])
def test_nothing_is_sent_to_what_is_refused(clock: Clock, leads_to: list[str]) -> None:
    """Not taken for an outage: it ends at once, with the reason."""
    with serving(answer("fine")) as loopback:
        port = urlsplit(loopback.url).port or 0
        server = OllamaServer(
            f"{NAMED}:{port}", permits=1, outage_seconds=1, reach=guarded([leads_to]), sleep=clock.sleep
        )
        with pytest.raises(GivenUp) as given_up:
            server.chat(BODY)
        server.close()
        assert given_up.value.error.reason is Reason.MODEL_NOT_ALLOWED
        assert leads_to[-1] in given_up.value.error.message
        assert loopback.received == []


def test_an_address_is_refused_before_any_call() -> None:
    """A URL needs no resolver for it."""
    with pytest.raises(DomainTrainingError, match="link-local"):
        OllamaServer("http://169.254.169.254", permits=1, outage_seconds=1, reach=guarded([]))


def test_the_next_address_is_tried_where_one_does_not_answer(clock: Clock) -> None:
    """As a connection to the name would."""
    with serving(answer("fine")) as loopback:
        port = urlsplit(loopback.url).port or 0
        reach = guarded([["127.0.0.9", "127.0.0.1"]], ("models.here.example", port))
        assert asked(f"{NAMED}:{port}", reach, clock) == "fine"


def test_a_server_with_a_certificate_is_checked_by_its_name(clock: Clock, tmp_path: Path) -> None:
    """The address that was checked is connected to, the certificate is that of the name."""
    with secured(Loopback([answer("fine")]), tmp_path) as url:
        port = urlsplit(url).port or 0
        named = guarded([["127.0.0.1"]], ("gpu.example", port))
        reach = Reach(guard=named.guard, authorities=AUTHORITY)
        assert asked(f"{OUTSIDE_TLS}:{port}", reach, clock) == "fine"
