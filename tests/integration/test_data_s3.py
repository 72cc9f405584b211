"""Samples from a real S3 server: requests are signed as it wants them, and every end has its words."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.run import Run
from domaintraining.api.sources import S3Source
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from domaintraining.trainer.data.sources import source
from tests.integration.test_reach import TlsFront
from tests.sandbox.s3.server import S3
from tests.unit.authority import AUTHORITY
from tests.unit.proxied import LoopbackProxy
from tests.unit.trainer.data.sources.fetching import CANARY, LINES, ROWS, Fetch, run_of, secret
from tests.unit.trainer.data.sources.raw import RawServer, reply

BUCKET = "samples"
STRANGER = "stranger"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server with a bucket of samples, and a user who may not read it."""
    running = S3(tmp_path_factory.mktemp("s3"))
    running.start(print)
    try:
        client = running.client()
        client.make_bucket(BUCKET)
        put(client, "exports/a b+c%.jsonl", LINES)
        put(client, "samples.csv.gz", gzip.compress(b"text,entities\nA,[]\nB,[]\n"))
        put(client, "page", b"<html>")
        put(client, "large.jsonl", LINES * 9)
        running.add_user(STRANGER, CANARY)
        yield running
    finally:
        running.stop()


def put(client: Minio, key: str, content: bytes, bucket: str = BUCKET) -> str | None:
    """An object; gives its version."""
    return client.put_object(bucket, key, io.BytesIO(content), len(content)).version_id


def access(folder: Path, server: S3, **changes: str) -> Path:
    """The Secret of the namespace."""
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    return secret(folder, **(keys | changes))


@pytest.fixture
def fetch(tmp_path: Path, server: S3) -> Fetch:
    """With the owner's access key."""
    return Fetch(credentials=access(tmp_path, server))


def an_object(server: S3 | str, key: str = "exports/a b+c%.jsonl", **more: Any) -> Run:
    """A run whose data are an object."""
    leads = more.pop("leads", "anywhere")
    named = {"endpoint": server if isinstance(server, str) else server.url, "bucket": BUCKET, "key": key}
    return run_of({"s3": named | {"credentialsSecretRef": {"name": "store"}} | more}, leads)


def test_an_object_is_read_and_its_etag_kept(server: S3, fetch: Fetch) -> None:
    """Also with a key that has to be escaped; known content is not sent again."""
    found, version = fetch.samples(an_object(server))
    assert [one.text for one in found.samples] == [row["text"] for row in ROWS]
    assert re.fullmatch(r'"[0-9a-f]{32}"', version)
    assert fetch.unchanged(an_object(server), version)
    assert not fetch.unchanged(an_object(server), '"other"')


def test_a_packed_table_is_read(server: S3, fetch: Fetch) -> None:
    """By its name and its first bytes."""
    assert len(fetch.samples(an_object(server, "samples.csv.gz"))[0].samples) == 2


def test_the_last_version_of_an_object_is_read(server: S3, fetch: Fetch) -> None:
    """In a bucket that keeps versions; one whose last version is deleted is not there."""
    client = server.client()
    client.make_bucket("versioned")
    client.set_bucket_versioning("versioned", VersioningConfig(ENABLED))
    put(client, "s.jsonl", b'{"text": "A", "entities": []}\n', "versioned")
    put(client, "s.jsonl", b'{"text": "B", "entities": []}\n', "versioned")
    run = an_object(server, "s.jsonl", bucket="versioned")
    assert fetch.samples(run)[0].samples[0].text == "B"
    client.remove_object("versioned", "s.jsonl")
    assert fetch.error(run).reason is Reason.DATASET_NOT_FOUND


def test_the_bucket_stands_in_the_path_and_a_session_is_signed(tmp_path: Path) -> None:
    """So MinIO is asked, and Amazon still can be; the request is bound to the region that spec names."""
    with RawServer(reply(LINES)) as raw:
        keys = {
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": CANARY,
            "AWS_SESSION_TOKEN": "session-1",
        }
        fetch = Fetch(credentials=secret(tmp_path, **keys))
        fetch.samples(an_object(raw.url, "s.jsonl", region="eu-central-1"))
        (head,) = raw.heads
    assert head.startswith(f"GET /{BUCKET}/s.jsonl HTTP/1.1\r\n")
    assert "X-Amz-Security-Token: session-1\r\n" in head
    assert re.search(r"Credential=AKIA/[0-9]{8}/eu-central-1/s3/aws4_request", head)
    assert "x-amz-security-token" in head.partition("SignedHeaders=")[2].partition(",")[0]
    assert CANARY not in head


@pytest.mark.parametrize(
    ("region", "server"),
    [
        (None, "https://s3.us-east-1.amazonaws.com"),
        ("eu-west-1", "https://s3.eu-west-1.amazonaws.com"),
        ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_amazons_server_is_asked_by_the_name_that_was_checked(
    tmp_path: Path, region: str | None, server: str
) -> None:
    """The library adds no other host, whatever the bucket is called; here over the company's proxy."""
    spec = S3Source(bucket="a.b", key="k", region=region)
    assert spec.server == server
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": CANARY}
    run = run_of(
        {"s3": spec.model_dump(by_alias=True) | {"credentialsSecretRef": {"name": "store"}}}, "public"
    )
    with LoopbackProxy() as proxy:
        error = Fetch(Reach(Proxy(https=proxy.url)), secret(tmp_path, **keys)).error(run)
        assert {line.split()[1] for line in proxy.asked} == {f"{server.partition('://')[2]}:443"}
    assert error.reason is Reason.DATASET_UNREACHABLE


def test_an_object_that_is_public_needs_no_secret(server: S3) -> None:
    """The request is not signed then."""
    with RawServer(reply(LINES)) as raw:
        Fetch().samples(an_object(raw.url, credentialsSecretRef=None))
        assert "Authorization" not in raw.heads[0]
    error = Fetch().error(an_object(server, credentialsSecretRef=None))
    assert error.reason is Reason.DATASET_ACCESS_DENIED
    assert "AccessDenied without credentialsSecretRef" in error.message


def test_tls_is_checked_by_the_name(server: S3, fetch: Fetch, tmp_path: Path) -> None:
    """With the authorities of CA_BUNDLE."""
    with TlsFront(server.url, tmp_path) as front:
        run = an_object(f"https://gpu.example:{front.url.rpartition(':')[2]}")
        fetch.look_up = lambda _host, _port, /: ["127.0.0.1"]
        fetch.reach = Reach(authorities=AUTHORITY)
        assert fetch.samples(run)
        fetch.reach = Reach()
        assert "see CA_BUNDLE" in fetch.error(run).message


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"key": "missing.jsonl"}, Reason.DATASET_NOT_FOUND, "the server answers NoSuchKey"),
        ({"key": "exports"}, Reason.DATASET_NOT_FOUND, "the server answers NoSuchKey"),
        ({"bucket": "missing"}, Reason.DATASET_NOT_FOUND, "the server answers NoSuchBucket"),
        ({"bucket": "192.168.1.1"}, Reason.DATASET_NOT_FOUND, "bucket or key has a form that none has"),
        (
            {"region": "eu-central-1"},
            Reason.DATASET_NOT_FOUND,
            "the bucket is in another region than eu-central-1",
        ),
        ({"key": "page"}, Reason.DATASET_INVALID, "line 1: "),
    ],
)
def test_what_is_not_there_is_told(
    server: S3, fetch: Fetch, changes: dict[str, str], reason: Reason, words: str
) -> None:
    """At once, with bucket and key."""
    error = fetch.error(an_object(server, **changes))
    assert error.reason is reason
    assert words in error.message
    assert f"s3://{changes.get('bucket', BUCKET)}/" in error.message
    assert error.remedy == REASONS[reason].remedy
    assert fetch.clock.slept == []


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        (
            {"AWS_ACCESS_KEY_ID": STRANGER, "AWS_SECRET_ACCESS_KEY": CANARY},
            Reason.DATASET_ACCESS_DENIED,
            "AccessDenied to Secret store",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": CANARY},
            Reason.DATASET_ACCESS_DENIED,
            "InvalidAccessKeyId to Secret store",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": CANARY},
            Reason.DATASET_ACCESS_DENIED,
            "SignatureDoesNotMatch to Secret store",
        ),
        ({"AWS_SECRET_ACCESS_KEY": ""}, Reason.DATASET_SECRET_INVALID, "key AWS_SECRET_ACCESS_KEY is empty"),
        (
            {"AWS_ACCESS_KEY_ID": f"{CANARY}\n"},
            Reason.DATASET_SECRET_INVALID,
            "key AWS_ACCESS_KEY_ID holds a line",
        ),
        (
            {"AWS_SESSION_TOKEN": f"{CANARY}\r\nX: y"},
            Reason.DATASET_SECRET_INVALID,
            "AWS_SESSION_TOKEN holds a line",
        ),
    ],
)
def test_access_keys_that_do_not_do(
    server: S3, tmp_path: Path, changes: dict[str, str], reason: Reason, words: str
) -> None:
    """Are told by the Secret's name, without them."""
    error = Fetch(credentials=access(tmp_path, server, **changes)).error(an_object(server))
    assert error.reason is reason
    assert words in error.message


def test_a_secret_of_another_kind_is_told(tmp_path: Path, server: S3) -> None:
    """By the key that it lacks."""
    error = Fetch(credentials=secret(tmp_path, username="a", password=CANARY)).error(an_object(server))
    assert error.message == "Secret store: has no key AWS_ACCESS_KEY_ID"


class Bad(NamedTuple):
    """What a server answers, and what is said of it."""

    answer: bytes
    reason: Reason
    words: str


def xml(code: str, status: int) -> bytes:
    """An error as S3 has them."""
    body = f"<Error><Code>{code}</Code><Message>{CANARY}</Message></Error>"
    return reply(body.encode(), status, Content_Type="application/xml")


BAD = {
    "slow down": Bad(xml("SlowDown", 503), Reason.DATASET_UNREACHABLE, "answers SlowDown"),
    "internal": Bad(xml("InternalError", 500), Reason.DATASET_UNREACHABLE, "answers InternalError"),
    "expired": Bad(xml("ExpiredToken", 400), Reason.DATASET_ACCESS_DENIED, "answers ExpiredToken"),
    "late clock": Bad(xml("RequestTimeTooSkewed", 403), Reason.DATASET_ACCESS_DENIED, "RequestTimeTooSkewed"),
    "archived": Bad(xml("InvalidObjectState", 403), Reason.DATASET_NOT_FOUND, "answers InvalidObjectState"),
    "other region": Bad(xml("PermanentRedirect", 301), Reason.DATASET_NOT_FOUND, "in another region"),
    "a redirect": Bad(
        reply(status=307, Location=f"http://{CANARY}.example/"), Reason.DATASET_NOT_FOUND, "in another region"
    ),
    "an odd code": Bad(xml("A" * 80, 400), Reason.DATASET_NOT_FOUND, "with status 400"),
    "no XML": Bad(reply(b"busy", 502), Reason.DATASET_UNREACHABLE, "with status 502"),
    "broken XML": Bad(
        reply(b"<Error><", 500, Content_Type="application/xml"), Reason.DATASET_UNREACHABLE, "as no S3 server"
    ),
    "no UTF-8": Bad(
        reply(b"\xff", 500, Content_Type="application/xml"),
        Reason.DATASET_UNREACHABLE,
        "as no S3 server does",
    ),
    "an endless error": Bad(
        reply(b"<Error>" + b" " * 200_000, 500, Content_Type="application/xml"),
        Reason.DATASET_UNREACHABLE,
        "as no S3 server does",
    ),
    "no HTTP": Bad(b"220 mail\r\n\r\n", Reason.DATASET_UNREACHABLE, "is no HTTP"),
    "cut": Bad(reply(LINES)[:-9], Reason.DATASET_UNREACHABLE, "breaks off"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_server_without_samples(tmp_path: Path, bad: Bad) -> None:
    """Ends with a reason and words of ours; none of the server's but its code."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": CANARY}
    with RawServer(bad.answer) as raw:
        fetch = Fetch(credentials=secret(tmp_path, **keys))
        error = fetch.error(an_object(raw.url))
    assert error.reason is bad.reason
    assert bad.words in error.message
    assert bool(fetch.clock.slept) == error.retryable


@pytest.mark.parametrize(("leads", "words"), [("public", "ALLOWED_DATA_HOSTS"), ("private", "loopback")])
def test_an_address_that_is_not_allowed_is_not_asked(
    server: S3, fetch: Fetch, leads: str, words: str
) -> None:
    """As with files behind URLs."""
    error = fetch.error(an_object(server, leads=leads))
    assert error.reason is Reason.DATASET_ADDRESS_NOT_ALLOWED
    assert words in error.message


def test_an_object_that_is_too_large_is_not_downloaded(
    server: S3, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says its length."""
    monkeypatch.setattr(source, "MAX_FILE", 3000)
    assert fetch.error(an_object(server, "large.jsonl")).reason is Reason.DATASET_TOO_LARGE
