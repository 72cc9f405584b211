"""Samples in a file behind a URL."""

import re
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import urllib3

from domaintraining.api.reasons import Reason
from domaintraining.api.sources import DATA_URL, HttpSource
from domaintraining.dataguard import data_origin
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.pool import open_pool
from domaintraining.trainer.data.sources.source import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Content,
    Credentials,
    Download,
    Means,
    bounded_version,
    broken,
)

CHUNK: Final = 256 * 1024
MOST_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
DENIED: Final = frozenset({401, 402, 403, 407})
PASSING: Final = frozenset({408, 421, 423, 425, 429})
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Name of a header, see RFC 9110, section 5.6.2."""
NOT_OURS: Final = re.compile(
    r"host|content-.*|transfer-encoding|te|trailer|upgrade|connection|keep-alive|expect|range|if-.*|"
    r"accept-encoding|proxy-.*|forwarded|via",
    re.IGNORECASE,
)
"""Headers that say how a request is framed, where it goes or what part is wanted: a Secret can't set them."""


def open_source(spec: HttpSource, means: Means) -> "HttpFile":
    """The file that a spec names."""
    return HttpFile(spec, means)


class HttpFile:
    """A file behind a URL; headers come from the Secret, redirects are followed on the same server alone."""

    def __init__(self, spec: HttpSource, means: Means) -> None:
        self._spec, self._means = spec, means

    def fetch(self, into: Download, known: str) -> Content | None:
        """As `Source.fetch`; content that is known by its ETag is not sent again."""
        headers = {"Accept-Encoding": "identity", **headers_of(self._means.credentials)}
        if known.startswith(('"', 'W/"')):
            headers["If-None-Match"] = known
        pool = open_pool(
            self._spec.url,
            self._means.reach,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
            maxsize=1,
        )
        try:
            return self._followed(pool, headers, into)
        except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise self._means.unreachable(broken(error)) from None
        finally:
            pool.clear()

    def _followed(self, pool: urllib3.PoolManager, headers: dict[str, str], into: Download) -> Content | None:
        url = self._spec.url
        for _ in range(MOST_REDIRECTS + 1):
            response = pool.request(
                "GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            try:
                if response.status not in REDIRECTS:
                    return self._taken(response, url, into, known="If-None-Match" in headers)
                url = self._redirected(url, response.headers.get("Location", ""))
            finally:
                response.close()  # a connection is not used again: what is left in it is not read
        raise DomainTrainingError(
            Reason.DATASET_NOT_FOUND, f"{self._means.title}: redirects more than {MOST_REDIRECTS} times"
        )

    def _redirected(self, url: str, location: str) -> str:
        """Where a redirect leads: to the same scheme, host and port, as all checks were for these."""
        try:
            target = urljoin(url, location[:2048])
            same = data_origin(target) == data_origin(url)
            same = same and urlsplit(target).scheme == urlsplit(url).scheme
        except ValueError:
            target, same = "", False
        if not location or not re.fullmatch(DATA_URL, target) or not same:
            message = f"{self._means.title}: redirects to another server, which is not followed"
            raise DomainTrainingError(Reason.DATASET_ADDRESS_NOT_ALLOWED, message)
        return target

    def _taken(
        self, response: urllib3.BaseHTTPResponse, url: str, into: Download, *, known: bool
    ) -> Content | None:
        if response.status == 304 and known:
            return None
        self._check_status(response)
        self._check_kind(response)
        length = response.headers.get("Content-Length", "")
        into.expect(int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0)
        while chunk := response.read1(CHUNK):
            into.write(chunk)
        wanted, found = self._spec.sha256, into.sha256
        if wanted is not None and wanted != found:
            message = f"{self._means.title}: its SHA-256 is {found}, not {wanted}"
            raise DomainTrainingError(Reason.DATASET_CHECKSUM_MISMATCH, message)
        name = unquote(urlsplit(url).path).rpartition("/")[2]
        return Content(bounded_version(response.headers.get("ETag")) or f"sha256:{found}", name)

    def _check_status(self, response: urllib3.BaseHTTPResponse) -> None:
        status = response.status
        if status == 200:
            return
        what = f"the server answers with status {status}"
        if status in DENIED:
            named = f"to the headers of Secret {self._means.credentials.name}"
            raise self._means.denied(
                f"{what} {named if self._means.credentials.name else 'without headersSecretRef'}"
            )
        if status in PASSING or status >= 500:
            raise self._means.unreachable(what)
        raise DomainTrainingError(Reason.DATASET_NOT_FOUND, f"{self._means.title}: {what}")

    def _check_kind(self, response: urllib3.BaseHTTPResponse) -> None:
        """Refuse a page, which is most often one to sign in, and an encoding that nobody asked for."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        coding = response.headers.get("Content-Encoding", "").strip().lower()
        what = "a web page, not a file of samples" if kind == "text/html" else ""
        if coding not in ("", "identity", "gzip", "x-gzip"):
            what = "the file in an encoding that was not asked for; gzip is read"
        if what:
            message = f"{self._means.title}: the server sends {what}"
            raise DomainTrainingError(Reason.DATASET_INVALID, message)


def headers_of(credentials: Credentials) -> dict[str, str]:
    """Each key of the Secret as a header.

    Raises:
        DomainTrainingError: a key or value is none that may be set (DatasetSecretInvalid).
    """
    headers = {}
    for key in credentials.keys() if credentials.name else ():
        if not TOKEN.fullmatch(key):
            raise credentials.invalid("a key is not the name of a header")
        if NOT_OURS.fullmatch(key):
            raise credentials.invalid(f"key {key} is a header that the trainer sets itself")
        value = credentials.value(key)
        if not value.isascii() or value != value.strip():
            raise credentials.invalid(f"key {key} is not ASCII, or has spaces at an end")
        headers[key] = value
    return headers
