"""The sandbox as a whole: it lives on its own, ends without a trace, and says what went wrong."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.integration.conftest import start_node
from tests.integration.waiting import wait_for
from tests.integration.workloads import Space, pod, processes_of
from tests.sandbox import proc
from tests.sandbox.build import controlplane_binary
from tests.sandbox.cluster import Cluster
from tests.sandbox.errors import SandboxError

# What the control plane's binary does when its first component breaks: certificates work, etcd does not.
BROKEN = """#!/bin/sh
case $1 in
certificates) mkdir -p "${2#--dir=}" && echo x > "${2#--dir=}/ca.crt";;
*) echo "$1: no space left on device" >&2; exit 1;;
esac
"""


def test_a_component_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    binary = tmp_path / "controlplane"
    binary.write_text(BROKEN)
    binary.chmod(0o755)
    broken = Cluster(tmp_path / "state")
    with pytest.raises(SandboxError, match=r"etcd has ended(.|\n)*etcd: no space left on device"):
        broken.start(binary)
    assert not broken.state.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SandboxError, match="choose another folder"):
        Cluster(tmp_path).start(controlplane_binary(print))
    Cluster(tmp_path).stop()
    assert (tmp_path / "thesis.txt").exists()


def test_a_running_sandbox_is_not_started_twice(cluster: Cluster) -> None:
    with pytest.raises(SandboxError, match="is running"):
        Cluster(cluster.state).start(controlplane_binary(print))
    assert len(cluster.running()) == 5


def test_the_api_server_can_die_and_come_back(cluster: Cluster, namespace: str) -> None:
    space = Space(cluster, namespace)
    space.run(pod("before", "sh", "-c", "echo up; sleep 1000"))
    wait_for("its process", lambda: space.is_up("before"))
    api_server = cluster.component("kube-apiserver")
    api_server.stop(signal.SIGKILL)
    cluster.start_component("kube-apiserver")

    def back() -> bool:
        api_server.expect_running()
        return answers(cluster)

    wait_for("the API server", back)
    space.run(pod("after", "true"))
    assert space.ended("after")["exitCode"] == 0
    assert "running" in space.state("before")


def test_stopping_from_elsewhere_ends_pods_and_programs_and_removes_the_folder(tmp_path: Path) -> None:
    started = Cluster(tmp_path / "state")
    started.start(controlplane_binary(print))
    start_node(started)
    space = Space(started, "default")
    space.run(pod("orphan-of-the-sandbox", "sh", "-c", "echo up; setsid sleep 1000"))
    wait_for("its process", lambda: space.is_up("orphan-of-the-sandbox"))
    pids = started.running()
    assert processes_of("orphan-of-the-sandbox")
    Cluster(started.state).stop()
    assert not [name for name, pid in pids.items() if proc.look_up(pid)]
    assert not processes_of("orphan-of-the-sandbox")
    assert not started.state.exists()


def answers(cluster: Cluster) -> bool:
    try:
        return cluster.api.text("/readyz") == "ok"
    except (OSError, RuntimeError):
        return False
