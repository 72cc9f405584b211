"""A server that never falls silent, and never comes to an end: it keeps no trainer from ending."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.reach import PLAIN
from domaintraining.trainer.data import fetch as fetching
from domaintraining.trainer.data.sources.source import Content, Download
from tests.unit.trainer.data.sources.fetching import LINES, Fetch, run_of
from tests.unit.trainer.data.sources.raw import RawServer, reply

LONG = 100_000
HEAD = f"HTTP/1.1 200 OK\r\nX-Long: {'a' * LONG}".encode()
ERROR = reply(b"<" * LONG, status=500)


def s3(url: str) -> dict[str, Any]:
    """An object there."""
    return {"s3": {"bucket": "samples", "key": "samples.jsonl", "endpoint": url}}


def http(url: str) -> dict[str, Any]:
    """A file there."""
    return {"http": {"url": url}}


@pytest.mark.parametrize(
    ("script", "source"),
    [(HEAD, http), (HEAD, s3), (ERROR, s3), (reply(LINES), http)],
    ids=["head of http", "head of s3", "error of s3", "samples of http"],
)
def test_a_server_that_drips_is_left(script: bytes, source: Any) -> None:
    """Byte by byte, in whatever part of the answer; said as for a download that creeps."""
    with RawServer(script, drips=99) as server:
        error = Fetch(most_seconds=0.2).error(run_of(source(server.url)))
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert "not whole within 0 s" in error.message


def test_what_is_left_writes_nothing_into_the_next_try() -> None:
    """Bytes of the first one still come while the second one is made."""
    with RawServer(reply(b"{" * LONG), reply(LINES), drips=1) as server:
        fetch = Fetch(most_seconds=0.5)
        found, _ = fetch.samples(run_of(http(server.url)))
    assert len(found.samples) == 12
    assert [bool(words) for words in fetch.waited] == [True, False]


class JustDone(Future[Any]):
    """Is settled in the moment in which it is given up."""

    def result(self, timeout: float | None = None) -> Any:
        """As the original, but the time is over once it is there."""
        found = super().result()
        if timeout is not None:
            raise TimeoutError
        return found


class Instant:
    """A source that has no server."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def fetch(self, into: Download, known: str) -> Content | None:
        """Content of one byte, or the error."""
        into.write(b"x")
        if self._error:
            raise self._error
        return Content(known)


def test_a_try_that_ends_as_it_is_given_up_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gave is there; an error of the source's own stays what it is."""
    monkeypatch.setattr(fetching, "Future", JustDone)
    tried = fetching.Fetching(PLAIN)
    file = tmp_path / "samples"
    assert fetching._try(Instant(), "here", tried, "v1", file) == Content("v1")
    assert file.read_bytes() == b"x"
    with pytest.raises(TimeoutError, match="of the source"):
        fetching._try(Instant(TimeoutError("of the source")), "here", tried, "", file)
