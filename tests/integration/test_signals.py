"""An operator that is told to stop does so without a complaint: a rollout is no error in its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.components import free_ports
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_no_error(sandbox: Sandbox, space: str, number: signal.Signals, tmp_path: Path) -> None:
    """Exit code 0 and nothing in the log; kopf's own handlers would have it end with 1."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(REPOSITORY / "operator"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KUBECONFIG": str(sandbox.cluster.kubeconfig_for(CONTROLLER, NAMESPACE)),
        "TRAINER_IMAGE": "none",
        "WATCH_NAMESPACES": space,
        "HEALTH_PORT": str(free_ports().api),
    }
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "domaintraining", "controller"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as controller,
    ):
        try:
            wait_for("its watch", lambda: watches(sandbox, space))
            controller.send_signal(number)
            assert controller.wait(timeout=30) == 0, log.read_text(encoding="utf-8")
        finally:
            controller.kill()
    assert log.read_text(encoding="utf-8") == ""


def watches(sandbox: Sandbox, space: str) -> bool:
    """Whether DomainTrainings of the namespace are being watched."""
    return any(
        event["verb"] == "watch"
        and event["objectRef"]["resource"] == "domaintrainings"
        and event["objectRef"].get("namespace") == space
        for event in sandbox.cluster.audited()
    )
