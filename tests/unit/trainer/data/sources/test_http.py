"""Samples behind a URL: whole, from the server that was named, and no header's value is told."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domaintraining.api.reasons import REASONS, Reason
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from domaintraining.trainer.data.sources import source
from tests.unit.authority import AUTHORITY
from tests.unit.proxied import LoopbackProxy, secured
from tests.unit.trainer.data.sources.fetching import CANARY, LINES, ROWS, Fetch, run_of, secret
from tests.unit.trainer.data.sources.raw import RawServer, reply
from tests.unit.trainer.loopback import Clock, Loopback, Reply, serving

DIGEST = hashlib.sha256(LINES).hexdigest()
OK = reply(LINES, ETag='"v1"')
NAMED = "data.here.example"


def http(url: str, **more: Any) -> dict[str, Any]:
    """The source as spec names it."""
    return {"http": {"url": url, **more}}


def test_the_file_is_read_and_its_etag_kept() -> None:
    """With the query that spec has, which is not told."""
    with RawServer(OK) as server:
        run = run_of(http(f"{server.url}/data/samples.jsonl?part=1", sha256=DIGEST))
        found, version = Fetch().samples(run)
        assert [one.text for one in found.samples] == [row["text"] for row in ROWS]
        assert version == '"v1"'
        assert run.data.source == f"{server.url}/data/samples.jsonl"
        assert server.heads[0].startswith("GET /data/samples.jsonl?part=1 HTTP/1.1\r\n")


def test_without_an_etag_the_digest_is_the_version() -> None:
    """Of the bytes as they were downloaded."""
    with RawServer(reply(LINES)) as server:
        assert Fetch().samples(run_of(http(server.url)))[1] == f"sha256:{DIGEST}"


def test_known_content_is_not_sent_again() -> None:
    """The server is asked with the ETag that it gave."""
    with RawServer(reply(status=304)) as server:
        assert Fetch().unchanged(run_of(http(server.url)), '"v1"')
        assert 'If-None-Match: "v1"' in server.heads[0]


def test_each_key_of_the_secret_is_a_header(tmp_path: Path) -> None:
    """Also after a redirect on the same server."""
    keys = {"Authorization": f"Bearer {CANARY}", "X-Team": "a"}
    with RawServer(reply(status=302, Location="/there"), OK) as server:
        run = run_of(http(server.url, headersSecretRef={"name": "token"}))
        Fetch(credentials=secret(tmp_path, **keys)).samples(run)
        assert all(f"Authorization: Bearer {CANARY}\r\n" in head for head in server.heads)
        assert server.heads[1].startswith("GET /there ")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_packed_file_is_read(coding: str) -> None:
    """The checksum is that of the packed bytes."""
    packed = gzip.compress(LINES)
    with RawServer(reply(packed, Content_Encoding=coding)) as server:
        run = run_of(http(f"{server.url}/s.jsonl.gz", sha256=hashlib.sha256(packed).hexdigest()))
        assert len(Fetch().samples(run)[0].samples) == 12


def test_what_may_pass_is_tried_again() -> None:
    """And told while it lasts; half of a file is no file."""
    half = reply(LINES, ETag='"v1"')[: -len(LINES) // 2]
    with RawServer(reply(status=503), reply(status=429), half, OK) as server:
        fetch = Fetch()
        assert len(fetch.samples(run_of(http(server.url)))[0].samples) == 12
        assert len(fetch.clock.slept) == 3
        assert "status 503" in fetch.waited[0]
        assert fetch.waited[-1] == ""


class Bad(NamedTuple):
    """A server that gives no samples, and what is said of it."""

    replies: tuple[bytes, ...]
    reason: Reason
    words: str
    spec: dict[str, Any] = {}


MIB = 2**20
BAD = {
    "not there": Bad((reply(status=404),), Reason.DATASET_NOT_FOUND, "status 404"),
    "gone": Bad((reply(status=410),), Reason.DATASET_NOT_FOUND, "status 410"),
    "not so": Bad((reply(status=400),), Reason.DATASET_NOT_FOUND, "status 400"),
    "unasked 304": Bad((reply(status=304),), Reason.DATASET_NOT_FOUND, "status 304"),
    "no content": Bad((reply(status=204),), Reason.DATASET_NOT_FOUND, "status 204"),
    "sign in": Bad((reply(status=401),), Reason.DATASET_ACCESS_DENIED, "status 401 without headersSecretRef"),
    "forbidden": Bad((reply(status=403),), Reason.DATASET_ACCESS_DENIED, "status 403"),
    "failing": Bad((reply(status=500),), Reason.DATASET_UNREACHABLE, "status 500; tried again for"),
    "busy": Bad((reply(status=429),), Reason.DATASET_UNREACHABLE, "status 429"),
    "cut": Bad((OK[:-9],), Reason.DATASET_UNREACHABLE, "the answer breaks off"),
    "silent": Bad((b"",), Reason.DATASET_UNREACHABLE, "the answer breaks off"),
    "no HTTP": Bad((b"SSH-2.0-OpenSSH\r\n\r\n",), Reason.DATASET_UNREACHABLE, "is no HTTP"),
    "endless headers": Bad(
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500,), Reason.DATASET_UNREACHABLE, "is no HTTP"
    ),
    "other bytes": Bad((OK,), Reason.DATASET_CHECKSUM_MISMATCH, DIGEST, {"sha256": "0" * 64}),
    "told too large": Bad(
        (reply(b"x", Content_Length=str(64 * MIB + 1)),), Reason.DATASET_TOO_LARGE, "more than 64 MiB"
    ),
    "redirect to another host": Bad(
        (reply(status=302, Location=f"http://{CANARY}.example/"),),
        Reason.DATASET_ADDRESS_NOT_ALLOWED,
        "redirects to another server",
    ),
    "redirect to another port": Bad(
        (reply(status=301, Location="http://127.0.0.1:1/"),),
        Reason.DATASET_ADDRESS_NOT_ALLOWED,
        "redirects to another server",
    ),
    "redirect with a user": Bad(
        (reply(status=307, Location="//user:pass@127.0.0.1/x"),),
        Reason.DATASET_ADDRESS_NOT_ALLOWED,
        "redirects to another server",
    ),
    "redirect to a file": Bad(
        (reply(status=302, Location="file:///etc/passwd"),),
        Reason.DATASET_ADDRESS_NOT_ALLOWED,
        "redirects to another server",
    ),
    "redirect to nowhere": Bad(
        (reply(status=302),), Reason.DATASET_ADDRESS_NOT_ALLOWED, "redirects to another server"
    ),
    "redirect to no URL": Bad(
        (reply(status=302, Location="http://[::1"),),
        Reason.DATASET_ADDRESS_NOT_ALLOWED,
        "redirects to another server",
    ),
    "redirects for ever": Bad(
        (reply(status=308, Location="/x"),), Reason.DATASET_NOT_FOUND, "redirects more than 5 times"
    ),
    "a page": Bad(
        (reply(b"<html>", Content_Type="text/HTML; charset=x"),), Reason.DATASET_INVALID, "web page"
    ),
    "an odd encoding": Bad((reply(b"x", Content_Encoding="br"),), Reason.DATASET_INVALID, "gzip is read"),
    "empty": Bad((reply(b""),), Reason.DATASET_INVALID, "holds no samples"),
    "no JSON": Bad((reply(b"text\n"),), Reason.DATASET_INVALID, "line 1: "),
    "no UTF-8": Bad((reply(LINES + b"\xff\n"),), Reason.DATASET_INVALID, "line 13: is not UTF-8"),
    "cut gzip": Bad((reply(gzip.compress(LINES)[:-9]),), Reason.DATASET_INVALID, "ends in the middle"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_server_without_samples(bad: Bad) -> None:
    """Ends with a reason, its remedy, and words that name the URL; what may pass only after other tries."""
    with RawServer(*bad.replies) as server:
        fetch = Fetch()
        error = fetch.error(run_of(http(f"{server.url}/samples.jsonl", **bad.spec)))
    assert error.reason is bad.reason
    assert bad.words in error.message
    assert server.url in error.message
    assert error.remedy == REASONS[bad.reason].remedy
    assert bool(fetch.clock.slept) == error.retryable


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("Host", "elsewhere", "a header that the trainer sets itself"),
        ("content-length", "0", "a header that the trainer sets itself"),
        ("Transfer-Encoding", "chunked", "a header that the trainer sets itself"),
        ("Proxy-Authorization", CANARY, "a header that the trainer sets itself"),
        ("Range", "bytes=0-1", "a header that the trainer sets itself"),
        ("If-None-Match", "*", "a header that the trainer sets itself"),
        ("Authorization", f"{CANARY}\r\nHost: elsewhere", "holds a line end"),
        ("Authorization", f"{CANARY}\n", "holds a line end"),
        ("Authorization", f" {CANARY}", "has spaces at an end"),
        ("Authorization", f"{CANARY}é", "is not ASCII"),
        ("Authorization", b"\xff", "is not UTF-8"),
        ("Authorization", "", "is empty"),
        ("Authorization", CANARY * 1000, "more than 8 KiB"),
        ("not a header", CANARY, "is not the name of a header"),
    ],
)
def test_a_secret_that_can_not_be_sent(tmp_path: Path, key: str, value: str | bytes, words: str) -> None:
    """Is told by its name and key; nothing is asked of the server."""
    with serving(Reply(LINES)) as server:
        run = run_of(http(server.url, headersSecretRef={"name": "token"}))
        error = Fetch(credentials=secret(tmp_path, **{key: value})).error(run)
        assert server.received == []
    assert error.reason is Reason.DATASET_SECRET_INVALID
    assert error.message.startswith("Secret token: ")
    assert words in error.message


def test_a_secret_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The kubelet leaves its folder empty."""
    with serving(Reply(LINES)) as server:
        error = Fetch(credentials=secret(tmp_path)).error(
            run_of(http(server.url, headersSecretRef={"name": "token"}))
        )
    assert error.message == "Secret token: does not exist in this namespace, or is empty"


@pytest.mark.parametrize(
    ("leads", "address", "words"),
    [
        ("public", "10.0.0.7", "an address of the cluster or of a private network"),
        ("public", "192.168.4.4", "an address of the cluster or of a private network"),
        ("public", "fd00::7", "an address of the cluster or of a private network"),
        ("public", "100.64.9.9", "an address of the cluster or of a private network"),
        ("public", "::ffff:10.0.0.7", "an address of the cluster or of a private network"),
        ("public", "127.0.0.1", "this machine (loopback)"),
        ("private", "127.0.0.1", "this machine (loopback)"),
        ("private", "169.254.169.254", "link-local"),
        ("private", "192.0.2.10", "the API server"),
        ("private", "fd00:ec2::254", "a service of the cloud"),
        ("private", "0.0.0.0", "unspecified"),
    ],
)
def test_addresses_that_a_name_may_not_lead_to(leads: Any, address: str, words: str) -> None:
    """Nothing is sent; the message names the setting. One bad address among good ones is enough."""
    with RawServer(OK) as server:
        fetch = Fetch(look_up=lambda _host, _port, /: ["93.184.215.14", address])
        error = fetch.error(run_of(http(f"http://{NAMED}:{server.port}/s"), leads))
        assert server.heads == []
    assert error.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED
    assert words in error.message
    assert "ALLOWED_DATA_HOSTS" in error.message


def test_the_address_that_was_checked_is_the_one_that_is_asked() -> None:
    """The name is resolved once for a connection: what it says a moment later is not asked for."""
    answers = [["127.0.0.1"]]
    with RawServer(OK) as server:
        fetch = Fetch(look_up=lambda _host, _port, /: answers.pop(0))
        fetch.samples(run_of(http(f"http://{NAMED}:{server.port}/s")))
        assert f"Host: {NAMED}:{server.port}" in server.heads[0]
    assert answers == []


@pytest.mark.parametrize("fault", [OSError(-2, "unknown"), UnicodeError("label too long")])
def test_a_name_without_address_may_get_one(fault: Exception) -> None:
    """It is tried again, and told."""

    def unknown(_host: str, _port: int, /) -> list[str]:
        raise fault

    error = Fetch(look_up=unknown).error(run_of(http(f"http://{NAMED}/s")))
    assert error.reason is Reason.DATASET_UNREACHABLE


def test_tls_is_checked_by_the_name_and_the_authorities_that_are_trusted(tmp_path: Path) -> None:
    """Without CA_BUNDLE the server gets no request, and so no header."""
    with secured(Loopback([Reply(LINES)]), tmp_path) as url:
        port = url.rpartition(":")[2]
        run = run_of(http(f"https://gpu.example:{port}/s"))
        home = lambda _host, _port, /: ["127.0.0.1"]  # noqa: E731 - a resolver in one line
        assert Fetch(Reach(authorities=AUTHORITY), look_up=home).samples(run)
        error = Fetch(look_up=home).error(run)
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert "see CA_BUNDLE" in error.message


def test_a_server_outside_is_asked_through_the_proxy() -> None:
    """Its name has no address here: the proxy resolves it, or refuses."""
    with RawServer(OK) as server, LoopbackProxy(server.url) as proxy:
        fetch = Fetch(Reach(Proxy(http=proxy.url)), look_up=unknown)
        fetch.samples(run_of(http("http://data.public.example/s.jsonl"), "public"))
        assert proxy.asked == ["GET http://data.public.example/s.jsonl HTTP/1.1"]


def unknown(_host: str, _port: int, /) -> list[str]:
    """No name has an address here, as behind most proxies."""
    raise OSError(-2, "Name or service not known")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("vault.corp.internal", "10.0.0.5"),
        ("rebound.example", "169.254.169.254"),
        ("metadata.google.internal", ""),
        ("METADATA.google.internal", ""),
    ],
)
def test_a_proxy_is_not_asked_for_what_is_refused_directly(name: str, address: str) -> None:
    """Where the name has such an address here, or is known to be that of a metadata service."""
    with RawServer(OK) as server, LoopbackProxy(server.url) as proxy:
        fetch = Fetch(
            Reach(Proxy(http=proxy.url)), look_up=(lambda _host, _port: [address]) if address else unknown
        )
        error = fetch.error(run_of(http(f"http://{name}/s.jsonl"), "public"))
        assert error.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED
        assert proxy.asked == []


def test_what_the_owner_names_is_asked_for_through_the_proxy() -> None:
    """Wherever its name leads."""
    with RawServer(OK) as server, LoopbackProxy(server.url) as proxy:
        fetch = Fetch(Reach(Proxy(http=proxy.url)), look_up=lambda _host, _port: ["10.0.0.5"])
        fetch.samples(run_of(http("http://vault.corp.internal/s.jsonl"), "anywhere"))
        assert len(proxy.asked) == 1


def test_more_than_a_data_set_may_have_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the server says no length: it is broken off at the limit."""
    monkeypatch.setattr(source, "MAX_FILE", 1000)
    with RawServer(b"HTTP/1.1 200 OK\r\n\r\n" + LINES * 100) as server:
        error = Fetch().error(run_of(http(server.url)))
    assert error.reason is Reason.DATASET_TOO_LARGE


def test_a_download_that_creeps_is_broken_off() -> None:
    """One try has 15 minutes, however fast the pieces come."""

    class Late(Clock):
        """A clock that goes on by itself."""

        def __call__(self) -> float:
            self.now += 1000
            return self.now

    with RawServer(OK) as server:
        error = Fetch(clock=Late()).error(run_of(http(server.url)))
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert "not whole within 900 s" in error.message
