"""The operator's probes beside a real API server: what its outage does to them, and a process that stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.bench_operator.stage import answers, stage
from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.components import free_ports
from tests.sandbox.environment import CONTROLLER, NAMESPACE

CRD = REPOSITORY / "crds" / "domaintrainings.yaml"


def asked(port: int, path: str) -> tuple[int, str]:
    """Status and words of a probe; 0 where nobody answers in time."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (URLError, OSError) as error:
        return 0, str(error)


@contextmanager
def controller(cluster: Cluster, port: int, log: Path, *namespaces: str) -> Iterator[subprocess.Popen[bytes]]:
    """The controller as a process, with the admin's rights; without namespaces it watches all."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(REPOSITORY / "operator"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KUBECONFIG": str(cluster.admin_kubeconfig),
        "TRAINER_IMAGE": "none",
        "HEALTH_PORT": str(port),
        "WATCH_NAMESPACES": ",".join(namespaces),
    }
    command = [sys.executable, "-m", "domaintraining", "controller"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def definition(cluster: Cluster) -> None:
    """The CRD."""
    cluster.define(CRD)


@pytest.mark.usefixtures("definition")
def test_probes_follow_the_api_server_and_the_process(cluster: Cluster, tmp_path: Path) -> None:
    """Ready once all watches are on; not while the API server is away, though alive; ready again after it.

    A process that stands still answers no probe.
    """
    port = free_ports().api
    with controller(cluster, port, tmp_path / "log") as process:
        wait_for("ready", lambda: asked(port, "readyz") == (200, "ok\n"), seconds=30)
        api = cluster.component("kube-apiserver")
        api.stop(signal.SIGKILL)
        try:
            wait_for("not ready", lambda: asked(port, "readyz")[0] == 503, seconds=120)
            said = asked(port, "readyz")[1]
            assert said.startswith("api server: no answer")
            assert "the controller goes on by itself" in said
            assert asked(port, "healthz") == (200, "ok\n")
        finally:
            cluster.start_component("kube-apiserver")
        wait_for("ready again", lambda: asked(port, "readyz") == (200, "ok\n"), seconds=90)
        process.send_signal(signal.SIGSTOP)
        wait_for("silence", lambda: asked(port, "healthz")[0] == 0)
        process.send_signal(signal.SIGCONT)
        wait_for("an answer", lambda: asked(port, "healthz") == (200, "ok\n"))


@pytest.mark.usefixtures("definition")
def test_watches_of_single_namespaces_are_told_apart(cluster: Cluster, tmp_path: Path) -> None:
    """Ready once those of each are on."""
    port = free_ports().api
    with controller(cluster, port, tmp_path / "log", "default", "kube-system"):
        wait_for("ready", lambda: asked(port, "readyz") == (200, "ok\n"), seconds=30)


def test_watches_go_on_when_a_token_was_replaced(cluster: Cluster, tmp_path: Path) -> None:
    """The API server refuses the old one; the new one is read from where the old one was."""
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    with stage(cluster, tmp_path / "log") as here:
        cluster.api.delete(f"{accounts}/{CONTROLLER}")
        wait_for("its end", lambda: cluster.api.find(f"{accounts}/{CONTROLLER}") is None)
        cluster.api.create(accounts, {"metadata": {"name": CONTROLLER}})
        cluster.kubeconfig_for(CONTROLLER, NAMESPACE)
        cluster.component("kube-apiserver").stop(signal.SIGKILL)
        cluster.start_component("kube-apiserver")
        wait_for("the API server", lambda: answers(cluster))
        here.create(1)
        wait_for("its Job", here.jobs, seconds=90)
        wait_for("ready", here.ready, seconds=90)
