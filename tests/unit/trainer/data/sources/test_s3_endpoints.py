"""Which server is asked for an object at Amazon: the one that was checked, or none."""

from __future__ import annotations

import socket
import tempfile

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.sources import S3Source
from domaintraining.dataguard import DataGuard, data_origin
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import Reach
from domaintraining.trainer.data.sources.s3 import S3Object
from domaintraining.trainer.data.sources.source import Credentials, Download, Means

AMAZON = "amazonaws.com"


def ends(spec: S3Source) -> DomainTrainingError:
    """What is said where names have no address: only the server that spec names is looked up."""

    def look_up(_host: str, _port: int, /) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    guard = DataGuard(server=data_origin(spec.server), look_up=look_up)
    with tempfile.TemporaryFile() as file, pytest.raises(DomainTrainingError) as raised:
        S3Object(spec, Means(spec.title, Reach(guard=guard), Credentials("", None))).fetch(
            Download(file, "t"), ""
        )
    return raised.value


@pytest.mark.parametrize(
    ("endpoint", "region", "asked"),
    [
        (f"https://s3.eu-central-1.{AMAZON}", None, "eu-central-1"),
        (f"https://s3.eu-central-1.{AMAZON}", "eu-central-1", "eu-central-1"),
        (f"https://s3.dualstack.eu-west-1.{AMAZON}", None, "eu-west-1"),
        (f"https://s3.cn-north-1.{AMAZON}.cn/", None, "cn-north-1"),
        (None, "eu-west-1", "eu-west-1"),
        ("http://minio.data.svc:9000", None, "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_endpoint(endpoint: str | None, region: str | None, asked: str) -> None:
    """Requests are bound to it, and the server that was checked is asked: its name has no address here."""
    spec = S3Source(bucket="bucket", key="k", endpoint=endpoint, region=region)
    assert spec.signing_region == asked
    error = ends(spec)
    assert error.reason is Reason.DATASET_UNREACHABLE
    assert "its name has no address" in error.message


@pytest.mark.parametrize(
    ("endpoint", "region", "words"),
    [
        (f"https://s3.{AMAZON}", None, "has no region"),
        (f"https://s3.{AMAZON}", "eu-west-1", "has no region"),
        (f"https://s3.eu-west-1.{AMAZON}", "us-east-1", "is the one of eu-west-1, not of region us-east-1"),
    ],
)
def test_an_endpoint_that_would_not_be_asked_is_told(endpoint: str, region: str | None, words: str) -> None:
    """With what to write."""
    error = ends(S3Source(bucket="bucket", key="k", endpoint=endpoint, region=region))
    assert error.reason is Reason.DATASET_NOT_FOUND
    assert f"the endpoint {words}; leave endpoint out and name the region" in error.message
