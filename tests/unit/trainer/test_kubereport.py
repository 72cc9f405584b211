"""The report reaches its ConfigMap by merge patches, with a pod's own credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.kubereport import ApiServer, KubeReport, Token, in_cluster_api
from domaintraining.trainer.reporter import NotWritten
from tests.unit.trainer.loopback import Clock, Reply, serving


def test_the_configmap_gets_a_merge_patch_under_the_trainers_name() -> None:
    with serving(Reply({"kind": "ConfigMap", "metadata": {"name": "x-r3-report"}})) as loopback:
        KubeReport(ApiServer(loopback.url), "lab", "x-r3-report").publish({"report.json": "{}"})
    (request,) = loopback.received
    assert request.method == "PATCH"
    path = "/api/v1/namespaces/lab/configmaps/x-r3-report?fieldManager=domaintraining-trainer"
    assert request.path == path
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert request.json == {"data": {"report.json": "{}"}}


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"reason": "TooManyRequests"}, 429, {"Retry-After": "3600"}),
        Reply({"reason": "InternalError"}, 500),
        Reply(b"", 503),
        Reply({"reason": "Unauthorized"}, 401),
        Reply({"message": "field is immutable when `immutable` is set"}, 422),
        Reply({"reason": "Forbidden"}, 403),
        Reply(drop=True),
    ],
)
def test_what_may_pass_is_tried_again_later(reply: Reply) -> None:
    with serving(reply) as loopback, pytest.raises(NotWritten):
        KubeReport(ApiServer(loopback.url), "lab", "x").publish({"report.json": "{}"})
    assert len(loopback.received) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply({"reason": "NotFound"}, 404), Reason.SUPERSEDED),
        (Reply({"reason": "Conflict"}, 409), Reason.SUPERSEDED),
        (Reply({"message": "ConfigMap is invalid: Too long: may not be more"}, 422), Reason.RESULT_TOO_LARGE),
        (Reply({"reason": "RequestEntityTooLarge"}, 413), Reason.RESULT_TOO_LARGE),
    ],
)
def test_what_will_not_pass_is_final(reply: Reply, reason: Reason) -> None:
    with serving(reply) as loopback, pytest.raises(DomainTrainingError) as error:
        KubeReport(ApiServer(loopback.url), "lab", "x").publish({"report.json": "{}"})
    assert error.value.reason == reason
    assert "configmap lab/x" in error.value.message


def test_rights_that_are_taken_away_are_final() -> None:
    with serving(Reply({"kind": "ConfigMap"}), Reply({"reason": "Forbidden"}, 403)) as loopback:
        sink = KubeReport(ApiServer(loopback.url), "lab", "x")
        sink.publish({"report.json": "{}"})
        with pytest.raises(DomainTrainingError):
            sink.publish({"report.json": "{}"})


def test_a_refused_connection_may_pass() -> None:
    with serving(Reply()) as loopback:
        url = loopback.url
    with pytest.raises(NotWritten):
        KubeReport(ApiServer(url), "lab", "x").publish({"report.json": "{}"})


def test_credentials_come_from_the_folder_that_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    service = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    with pytest.raises(DomainTrainingError, match="no credentials for the API server"):
        in_cluster_api(tmp_path, service)
    (tmp_path / "token").write_text("abc")
    (tmp_path / "ca.crt").write_text("not read before the first connection")
    api = in_cluster_api(tmp_path, service)
    assert (api.url, api.ca) == ("https://[fd00::1]:6443", tmp_path / "ca.crt")


def test_the_token_is_the_one_that_the_kubelet_put_there_last(tmp_path: Path, clock: Clock) -> None:
    """Tokens expire; the file has a new one long before."""
    file = tmp_path / "token"
    file.write_text("first\n")
    token = Token(file, clock)
    file.write_text("second")
    assert token.headers() == {"Authorization": "Bearer first"}
    clock.now += 60
    assert token.headers() == {"Authorization": "Bearer second"}


@pytest.mark.parametrize("content", ["", " \n", "two\nlines"])
def test_what_is_no_token_is_not_sent(tmp_path: Path, clock: Clock, content: str) -> None:
    """A file without a token is a missing credential, not a header that somebody else wrote."""
    (tmp_path / "token").write_text(content)
    with pytest.raises(ValueError, match="no token"):
        Token(tmp_path / "token", clock)


def test_every_request_says_who_asks(tmp_path: Path) -> None:
    """The token goes with the patch."""
    (tmp_path / "token").write_text("abc")
    with serving(Reply({"kind": "ConfigMap"})) as loopback:
        KubeReport(ApiServer(loopback.url, token=Token(tmp_path / "token")), "lab", "x").publish({})
    assert loopback.received[0].headers["Authorization"] == "Bearer abc"
