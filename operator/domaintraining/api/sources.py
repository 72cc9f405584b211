"""Sources of samples that are on a server: the trainer fetches them, with the namespace's own Secrets.

A further source is a model and a field of `RemoteSources` here, a module of `trainer/data/sources/`, and its
line in `trainer/data/sources/__init__.py`.
"""

import re
from abc import abstractmethod
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.job import LocalSecret
from domaintraining.api.rules import NOT_BLANK, OBJECT_NAME, ONE_LINE, checked, matching

HOST: Final = (
    r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
DATA_URL: Final = rf"^https?://{HOST}(/[!$-?A-~]*)?$"
BOLT_URI: Final = rf"^(bolt|neo4j)(\+s)?://{HOST}$"
S3_ENDPOINT: Final = rf"^https?://{HOST}/?$"
REGION: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
LONGEST_TITLE: Final = 200
DEFAULT_REGION: Final = "us-east-1"
AMAZON: Final = re.compile(
    r"https?://s3(?:-fips)?(?:[.](?:dualstack[.])?(?P<region>[a-z0-9]+(?:-[a-z0-9]+)+))?"
    r"[.]amazonaws[.]com(?:[.]cn)?(?::[0-9]+)?/?",
    re.IGNORECASE,
)
"""Amazon's endpoints; the global one has no region."""
SHA256: Final = r"^[0-9a-f]{64}$"


Leads = Literal["public", "private", "anywhere"]
"""Addresses that the server's name may have: public ones; those of private networks as well; any."""


def _shortened(title: str) -> str:
    """A title that leaves room for what is said of it."""
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


class RemoteSource(ApiModel):
    """What is known of every such source before anything is asked of its server."""

    @property
    @abstractmethod
    def server(self) -> str:
        """URL of the one server that is asked; its host and port count."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What messages call the source: nothing that could be secret."""

    @property
    @abstractmethod
    def secret(self) -> str:
        """Name of the Secret that is mounted into the trainer; empty: none."""


class HttpSource(RemoteSource):
    """Samples in a file behind a URL."""

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2048, pattern=DATA_URL),
        checked(
            matching(
                DATA_URL,
                "must be http:// or https:// with a host and no user, password, '@', fragment or space; "
                "credentials belong into the Secret of headersSecretRef",
            )
        ),
    ]
    """Address of the file. Everybody who may read the resource reads it: no token in it."""
    sha256: (
        Annotated[
            str,
            StringConstraints(max_length=64, pattern=SHA256),
            checked(matching(SHA256, "must be 64 hex digits in small letters, as sha256sum prints them")),
        ]
        | None
    ) = None
    """SHA-256 of the file as it is downloaded; other bytes are not read."""
    headers_secret_ref: LocalSecret | None = None
    """Secret each of whose keys is a header of the request, such as Authorization."""

    @property
    def server(self) -> str:
        """The URL's."""
        return self.url

    @property
    def title(self) -> str:
        """The URL without its query, which may hold a token though it should not."""
        return _shortened(self.url.partition("?")[0])

    @property
    def secret(self) -> str:
        """The Secret with headers."""
        return self.headers_secret_ref.name if self.headers_secret_ref else ""


class Neo4jSource(RemoteSource):
    """Samples that a query of Neo4j returns."""

    uri: Annotated[
        str,
        StringConstraints(min_length=1, max_length=320, pattern=BOLT_URI),
        checked(
            matching(
                BOLT_URI,
                "must be bolt:// or neo4j://, also with +s, a host and, where it is not 7687, a port; no "
                "user, database or query",
            )
        ),
    ]
    """Address of the server, which is asked directly: neo4j:// means bolt://, there is no routing."""
    query: Annotated[
        str,
        StringConstraints(min_length=1, max_length=8192, pattern=NOT_BLANK),
        checked(matching(NOT_BLANK, "must not be blank")),
    ]
    """Cypher that only reads. Each row is a sample, with the columns text, entities and relations (lists of
    maps, or the same as JSON) and, where it is wanted, group; ORDER BY keeps their order."""
    credentials_secret_ref: LocalSecret
    """Secret with the keys username and password."""

    @property
    def server(self) -> str:
        """The URI."""
        return self.uri

    @property
    def title(self) -> str:
        """The URI."""
        return self.uri

    @property
    def secret(self) -> str:
        """The Secret with the password."""
        return self.credentials_secret_ref.name


class S3Source(RemoteSource):
    """Samples in an object of S3, or of a server that speaks its protocol."""

    bucket: Annotated[
        str,
        StringConstraints(min_length=3, max_length=63, pattern=OBJECT_NAME),
        checked(
            matching(OBJECT_NAME, "must be the name of a bucket: 3 to 63 small letters, digits, '-' and '.'")
        ),
    ]
    """Name of the bucket."""
    key: Annotated[
        str,
        StringConstraints(min_length=1, max_length=1024, pattern=ONE_LINE),
        checked(matching(ONE_LINE, "must be one line")),
    ]
    """Key of the object."""
    endpoint: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=320, pattern=S3_ENDPOINT),
            checked(
                matching(
                    S3_ENDPOINT,
                    "must be http:// or https:// with a host and, where it is not the usual one, a port; no "
                    "user, path or bucket",
                )
            ),
        ]
        | None
    ) = None
    """Server, such as http://minio.data.svc:9000 (Amazon's in the region)."""
    region: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=32, pattern=REGION),
            checked(matching(REGION, "must be a region such as eu-central-1")),
        ]
        | None
    ) = None
    """Region of the bucket (us-east-1)."""
    credentials_secret_ref: LocalSecret | None = None
    """Secret with the keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where there is one,
    AWS_SESSION_TOKEN (the object is public)."""

    @property
    def server(self) -> str:
        """The endpoint, or Amazon's; the bucket stands in the path."""
        if self.endpoint is not None:
            return self.endpoint
        region = self.signing_region
        return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"

    @property
    def signing_region(self) -> str:
        """The region that requests are bound to: the one that is named, else that of Amazon's endpoint."""
        found = AMAZON.fullmatch(self.endpoint or "")
        return self.region or (found["region"] if found else None) or DEFAULT_REGION

    @property
    def title(self) -> str:
        """Bucket and key, and the server where it is another one."""
        where = f" of {self.endpoint}" if self.endpoint is not None else ""
        return f"{_shortened(f's3://{self.bucket}/{self.key}')}{where}"

    @property
    def secret(self) -> str:
        """The Secret with the access key."""
        return self.credentials_secret_ref.name if self.credentials_secret_ref else ""


class RemoteSources(ApiModel):
    """The fields of spec.dataset that name such a source; at most one of them."""

    http: HttpSource | None = None
    """Samples in a file behind a URL, which the trainer downloads."""

    s3: S3Source | None = None
    """Samples in an object of S3, MinIO or another such server, which the trainer downloads."""
    neo4j: Annotated[Neo4jSource | None, Field(alias="neo4j")] = None
    """Samples that a query of Neo4j returns, which the trainer runs."""

    def given(self) -> tuple[str, RemoteSource] | None:
        """Name of the field that is set, and what stands in it."""
        for name in RemoteSources.model_fields:
            found = getattr(self, name)
            if found is not None:
                return name, found
        return None


SOURCE_NAMES: Final = tuple(field.alias or name for name, field in RemoteSources.model_fields.items())
"""The fields as they are written."""
