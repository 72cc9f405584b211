"""A trainer knows what it was not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from domaintraining.errors import DomainTrainingError
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach
from domaintraining.trainer.settings import TrainerSettings
from tests.unit.authority import AUTHORITY

ARGUMENTS = ["--run-file", "/run/run.json", "--data-dir", "/data", "--served-dir", "/served"]
ENVIRONMENT = {
    "REPORT_NAME": "tech-docs-r3-report",
    "REPORT_NAMESPACE": "lab",
    "ATTEMPT": "2",
    "KUBE_CREDENTIALS_DIR": "/var/run/secrets/domaintraining",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def test_settings_come_from_arguments_and_environment() -> None:
    settings = TrainerSettings.read(ARGUMENTS, ENVIRONMENT | {"TERMINATION_LOG": "/dev/termination-log"})
    assert settings.run_file == Path("/run/run.json")
    assert (settings.data_dir, settings.served_dir) == (Path("/data"), Path("/served"))
    assert (settings.report_name, settings.report_namespace, settings.attempt) == (
        "tech-docs-r3-report",
        "lab",
        2,
    )
    assert settings.credentials == Path("/var/run/secrets/domaintraining")
    assert settings.termination_log == Path("/dev/termination-log")
    assert settings.service == {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_the_termination_log_may_be_left_out() -> None:
    assert TrainerSettings.read(ARGUMENTS, ENVIRONMENT).termination_log is None


def test_all_missing_variables_are_named_at_once() -> None:
    environment = ENVIRONMENT | {"REPORT_NAME": ""}
    del environment["ATTEMPT"]
    with pytest.raises(DomainTrainingError, match="not set: REPORT_NAME, ATTEMPT"):
        TrainerSettings.read(ARGUMENTS, environment)


@pytest.mark.parametrize("attempt", ["0", "-1", "one", "²"])
def test_an_attempt_is_a_number_from_one(attempt: str) -> None:
    with pytest.raises(DomainTrainingError, match="ATTEMPT"):
        TrainerSettings.read(ARGUMENTS, ENVIRONMENT | {"ATTEMPT": attempt})


@pytest.mark.parametrize("arguments", [ARGUMENTS[:4], [*ARGUMENTS, "--verbose"], [*ARGUMENTS, "x"]])
def test_wrong_arguments_are_named(arguments: list[str]) -> None:
    with pytest.raises(DomainTrainingError, match=r"served-dir|unrecognized"):
        TrainerSettings.read(arguments, ENVIRONMENT)


def test_the_way_to_model_servers_is_read_once(tmp_path: Path) -> None:
    """Proxies and authorities, which are given on to every connection."""
    file = tmp_path / "ca.crt"
    file.write_text(AUTHORITY, encoding="ascii")
    given = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": ".corp", "CA_BUNDLE": str(file)}
    reach = TrainerSettings.read(ARGUMENTS, ENVIRONMENT | given).reach
    assert reach == Reach(Proxy(https="http://proxy:3128", no=".corp"), AUTHORITY)
    assert TrainerSettings.read(ARGUMENTS, ENVIRONMENT).reach == Reach()
    file.unlink()
    with pytest.raises(DomainTrainingError, match=r"CA_BUNDLE: .*ca\.crt"):
        TrainerSettings.read(ARGUMENTS, ENVIRONMENT | given)
