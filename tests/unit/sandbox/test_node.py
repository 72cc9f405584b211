"""The node's small pure parts: logs, probes, quantities, processes, kubeconfigs, its own object."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.waiting import wait_for
from tests.sandbox import components, kubeconfig, proc
from tests.sandbox.node import agent, logs, pods, probes, program, quantity


@pytest.mark.parametrize(
    ("text", "lines", "shown"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\n", 9, b"a\nb\n"),
        (b"a\nb\n", 0, b""),
        (b"", 3, b""),
        (b"x" * 200_000 + b"\nlast\n", 1, b"last\n"),
    ],
)
def test_tail_lines_begin_where_kubectl_expects(text: bytes, lines: int, shown: bytes) -> None:
    assert text[logs.tail_position(io.BytesIO(text), lines) :] == shown


@pytest.mark.parametrize(
    ("text", "number"),
    [("64Mi", 64 * 2**20), ("1G", 10**9), ("500m", Decimal("0.5")), ("2", 2), ("1e3", 1000), (3, 3)],
)
def test_quantities_are_numbers(text: str, number: Decimal) -> None:
    assert quantity.parse(text) == number


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="'lots' is no quantity"):
        quantity.parse("lots")


def test_a_probe_asks_the_named_port_on_loopback() -> None:
    container = {"ports": [{"name": "health", "containerPort": 8080}]}
    assert (
        probes.url_of(container, {"httpGet": {"port": "health", "path": "/ok"}}) == "http://127.0.0.1:8080/ok"
    )
    secure = {"httpGet": {"port": 1, "scheme": "HTTPS", "host": "h"}}
    assert probes.url_of({}, secure) == "https://h:1/"
    with pytest.raises(ValueError, match="absent"):
        probes.port_of(container, "absent")


def test_a_process_is_read_from_stat_whatever_its_name() -> None:
    fields = ["S", "7", "42", "42", *["0"] * 13, "1", "0", "999", "1000", "5", "0"]
    process = proc.parse_stat(43, "43 (a) b (c) " + " ".join(fields))
    assert (process.pid, process.parent, process.session, process.started) == (43, 7, 42, 999)
    assert process.resident_bytes == 5 * proc.PAGE_BYTES
    assert not process.ended
    assert proc.parse_stat(43, "43 (z) Z " + " ".join(fields[1:])).ended


def test_a_process_runs_until_its_last_thread_ends() -> None:
    """Its first thread is a zombie already; until the other one ends its ports are taken."""
    leave = "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)"
    code = (
        f"import ctypes, platform, sys, threading\nthreading.Thread(target=sys.stdin.read).start()\n{leave}"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        wait_for("a first thread that ended", lambda: ") Z " in stat.read_text(encoding="ascii"))
        assert proc.look_up(child.pid)
        child.communicate()
    assert proc.look_up(child.pid) is None


def test_a_process_is_stopped_with_its_last_thread() -> None:
    """Running, stopped, running again, ended."""
    code = (
        "import sys, threading\nfor _ in range(8): threading.Thread(target=sys.stdin.read).start()\nprint(1)"
    )
    command = [sys.executable, "-uc", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        process = proc.look_up(child.pid)
        assert process
        assert not proc.is_stopped(process)
        proc.send(process, signal.SIGSTOP)
        wait_for("all threads to stop", lambda: proc.is_stopped(process))
        proc.send(process, signal.SIGCONT)
        wait_for("it to go on", lambda: not proc.is_stopped(process))
        child.communicate()
    assert proc.is_stopped(process)


def test_a_reused_process_id_is_another_process() -> None:
    own = proc.look_up(int(Path("/proc/self").readlink().name))
    assert own
    assert proc.find(own.record())
    assert proc.find({**own.record(), "started": own.started - 1}) is None


def test_a_termination_message_is_cut_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    file.write_bytes(b"a" * 10 + b"b" * program.MESSAGE_BYTES)
    assert program.tail(file, program.MESSAGE_BYTES) == "b" * program.MESSAGE_BYTES
    assert program.tail(tmp_path / "absent", 10) == ""


@pytest.mark.parametrize(
    ("code", "policy", "message"),
    [(1, "FallbackToLogsOnError", "last words\n"), (0, "FallbackToLogsOnError", ""), (1, "File", "")],
)
def test_only_a_failure_falls_back_to_the_log(tmp_path: Path, code: int, policy: str, message: str) -> None:
    run = program.Program("c", tmp_path)
    run.log.write_text("last words\n")
    assert run.ended(code, policy, "").message == message


def test_a_run_above_its_memory_is_said_to_be_out_of_memory(tmp_path: Path) -> None:
    run = program.Program("c", tmp_path)
    assert run.ended(program.KILLED, "File", "").reason == "Error"
    run.out_of_memory = True
    assert run.ended(program.KILLED, "File", "").reason == "OOMKilled"


@pytest.mark.parametrize(
    ("metadata", "spec", "seconds"),
    [
        ({}, {}, 30),
        ({}, {"terminationGracePeriodSeconds": 5}, 5),
        ({"deletionGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 5}, 0),
    ],
)
def test_the_grace_of_the_deletion_wins(metadata: dict[str, int], spec: dict[str, int], seconds: int) -> None:
    assert pods.grace_of({"metadata": metadata, "spec": spec}) == seconds


def test_a_kubeconfig_reads_as_it_was_written(tmp_path: Path) -> None:
    access = kubeconfig.Access("https://127.0.0.1:1", "CA\n", token="t", namespace="team")
    file = kubeconfig.write(tmp_path / "deep" / "config", access)
    assert kubeconfig.read(file) == access
    assert file.stat().st_mode & 0o077 == 0
    pods_own = kubeconfig.Access("https://127.0.0.1:1", "CA\n", token_file="/t")
    assert kubeconfig.parse(kubeconfig.render(pods_own)) == pods_own


def test_the_node_says_that_it_is_simulated() -> None:
    node = agent.node_object("simulated-node-1", agent.Capacity("2", "1Gi"), 1234, "2026-11-23T10:00:00Z")
    assert node["metadata"]["labels"]["domaintraining.test/simulated"] == "true"
    assert "simulated" in node["status"]["nodeInfo"]["containerRuntimeVersion"]
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 1234
    assert node["status"]["allocatable"] == {"cpu": "2", "memory": "1Gi", "pods": "110"}


def test_everything_listens_on_loopback_with_the_rights_of_a_real_cluster() -> None:
    commands = components.commands(Path("/b"), Path("/s"), components.Ports(api=1, etcd=2))
    server = commands["kube-apiserver"]
    assert "--bind-address=127.0.0.1" in server
    assert "--authorization-mode=Node,RBAC" in server
    assert commands["etcd"][-1] == "--listen=http://127.0.0.1:2"
    for name in ("kube-controller-manager", "kube-scheduler"):
        assert "--secure-port=0" in commands[name]


def test_a_node_has_a_token_of_its_own_and_not_the_admins() -> None:
    text = components.tokens_csv("A", {"simulated-node-1": "N"})
    assert text.splitlines() == [
        "A,admin,admin,system:masters",
        "N,system:node:simulated-node-1,simulated-node-1,system:nodes",
    ]
    assert components.new_token() != components.new_token()
