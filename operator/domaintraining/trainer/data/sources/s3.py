"""Samples in an object of S3, MinIO or another server of that protocol; the minio library makes the requests.

The library gets connections of ours, so that it goes to checked addresses alone, and the bucket stands in the
path, so that there is one host.
"""

import io
import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import ParseError

import urllib3

from domaintraining.api.reasons import Reason
from domaintraining.api.sources import AMAZON, S3Source
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.pool import open_pool
from domaintraining.trainer.data.sources.source import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Content,
    Download,
    Means,
    bounded_version,
    broken,
)

if TYPE_CHECKING:
    from minio import Minio

CHUNK: Final = 256 * 1024
MAX_ERROR: Final = 65_536
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TOKEN: Final = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a key
DENIED: Final = frozenset(
    {
        *(
            "AccessDenied",
            "AllAccessDisabled",
            "AccountProblem",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
        ),
        *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidSecurity", "NotSignedUp"),
        *("RequestTimeTooSkewed", "XAmzContentSHA256Mismatch", "Unauthorized"),
    }
)
ELSEWHERE: Final = frozenset(
    {
        *("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect"),
        *("IllegalLocationConstraintException", "InvalidRegion"),
    }
)
PASSING: Final = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"}
)
CODE: Final = re.compile(r"[A-Za-z0-9]{1,64}")


def open_source(spec: S3Source, means: Means) -> "S3Object":
    """The object that a spec names."""
    return S3Object(spec, means)


class S3Object:
    """One object of a bucket."""

    def __init__(self, spec: S3Source, means: Means) -> None:
        self._spec, self._means = spec, means

    def fetch(self, into: Download, known: str) -> Content | None:
        """As `Source.fetch`; an object that is known by its ETag is not sent again."""
        from minio.error import MinioException  # noqa: PLC0415 - loaded where an object is asked for

        self._check_endpoint()
        asked = {"If-None-Match": known} if known.startswith('"') else None
        client = self._client()
        try:
            response = client.get_object(self._spec.bucket, self._spec.key, request_headers=asked)  # type: ignore[arg-type]
            try:
                return self._taken(response, into)
            finally:
                response.close()
        except MinioException as error:
            self._judge(error, known=asked is not None)
            return None
        except (ParseError, UnicodeDecodeError, AttributeError):
            raise self._means.unreachable("the server answers as no S3 server does") from None
        except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise self._means.unreachable(broken(error)) from None
        except ValueError:
            message = f"{self._means.title}: bucket or key has a form that none has"
            raise DomainTrainingError(Reason.DATASET_NOT_FOUND, message) from None

    def _check_endpoint(self) -> None:
        """Refuse Amazon's endpoints of no region: the library would ask the region's own instead."""
        found = AMAZON.fullmatch(self._spec.endpoint or "")
        named = (found["region"] or "").lower() if found else ""
        if found is None or named == self._spec.signing_region:
            return
        words = f"is the one of {named}, not of region {self._spec.region}" if named else "has no region"
        message = f"{self._means.title}: the endpoint {words}; leave endpoint out and name the region"
        raise DomainTrainingError(Reason.DATASET_NOT_FOUND, message)

    def _client(self) -> "Minio":
        from minio import Minio  # noqa: PLC0415 - as above

        access: dict[str, str] = {}
        if self._means.credentials.name:
            access = self._means.credentials.values(KEYS, (TOKEN,))
        server = self._spec.server.rstrip("/")
        pool = open_pool(
            server,
            self._means.reach,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
            maxsize=1,
        )
        client = Minio(
            server.partition("://")[2],
            access_key=access.get(KEYS[0]),
            secret_key=access.get(KEYS[1]),
            session_token=access.get(TOKEN),
            secure=server.startswith("https:"),
            region=self._spec.signing_region,
            http_client=_Bounded(pool),
        )
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client

    def _taken(self, response: urllib3.BaseHTTPResponse, into: Download) -> Content:
        length = response.headers.get("Content-Length", "")
        into.expect(int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0)
        while chunk := response.read1(CHUNK):
            into.write(chunk)
        version = bounded_version(response.headers.get("ETag"))
        version = version or bounded_version(response.headers.get("x-amz-version-id"))
        return Content(version or f"sha256:{into.sha256}", self._spec.key.rpartition("/")[2])

    def _judge(self, error: Exception, *, known: bool) -> None:
        """Raises what the server's answer means, unless it is that the object is still the known one."""
        status = getattr(error, "status_code", None) or getattr(error, "_code", None)
        code = getattr(error, "code", None)
        code = code if isinstance(code, str) and CODE.fullmatch(code) else ""
        response = getattr(error, "response", None)
        status = response.status if response is not None else status
        if status == 304 and known:
            return
        what = f"the server answers {code or f'with status {status}'}"
        if code in DENIED or (not code and status in {401, 403}):
            name = self._means.credentials.name
            raise self._means.denied(
                f"{what} {f'to Secret {name}' if name else 'without credentialsSecretRef'}"
            )
        if code in ELSEWHERE or status in {301, 307}:
            message = f"{what}: the bucket is in another region than {self._spec.signing_region}"
            raise DomainTrainingError(Reason.DATASET_NOT_FOUND, f"{self._means.title}: {message}")
        if code in PASSING or status is None or status in {408, 429} or status >= 500:
            raise self._means.unreachable(what)
        raise DomainTrainingError(Reason.DATASET_NOT_FOUND, f"{self._means.title}: {what}")


class _Bounded(urllib3.PoolManager):
    """Connections for the library: no redirect is followed, and of an error no more than 64 KiB is read."""

    def __init__(self, pool: urllib3.PoolManager) -> None:
        super().__init__()
        self._pool = pool

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """As urllib3 has it, without `redirect`."""
        options |= {"preload_content": False, "decode_content": False, "redirect": False}
        response = self._pool.urlopen(method, url, **options)
        if response.status == 200:
            return response
        body = response.read(MAX_ERROR)
        response.close()
        kind = {"content-type": response.headers.get("content-type", "")}
        return urllib3.HTTPResponse(
            io.BytesIO(body), headers=kind, status=response.status, preload_content=False, request_url=url
        )

    def clear(self) -> None:
        """Closes all connections."""
        self._pool.clear()
