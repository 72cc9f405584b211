"""`kubectl wait --for=condition=Ready` right after an edit: never answered by what was true before it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from domaintraining.api.hashing import run_hash
from domaintraining.api.spec import DomainTrainingSpec
from tests.gitops.watched import Json, Watched, condition, watched
from tests.integration.test_training import controller_pid
from tests.integration.trainings import GROUP
from tests.integration.waiting import wait_for
from tests.sandbox.cluster import Cluster
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox

EDITS = 30
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"


@pytest.fixture
def served(sandbox: Sandbox, space: str, tmp_path: Path) -> Iterator[Watched]:
    """A DomainTraining whose prompt is served, and all that was ever shown of it."""
    with watched(sandbox.cluster, space, tmp_path) as one:
        one.apply()
        one.cluster.kubectl(
            "wait", "dt/docs", f"--namespace={space}", "--for=condition=Ready", "--timeout=110s"
        )
        yield one


def edit(one: Watched, number: int) -> None:
    """A change that starts a run."""
    path = f"{GROUP}/namespaces/{one.space}/domaintrainings/docs"
    one.cluster.api.patch(path, {"spec": {"optimizer": {"seed": 100 + number}}})


def waiting(cluster: Cluster, space: str, timeout: str) -> subprocess.Popen[str]:
    """A `kubectl wait` for Ready."""
    command = [str(cluster.kubectl_program), "wait", "dt/docs", "--for=condition=Ready"]
    place = [f"--namespace={space}", f"--timeout={timeout}", f"--kubeconfig={cluster.admin_kubeconfig}"]
    return subprocess.Popen(
        [*command, *place],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def assert_timed_out(wait: subprocess.Popen[str]) -> None:
    """It ended because its time was over, and for no other reason."""
    words, _ = wait.communicate(timeout=30)
    assert wait.returncode == 1, words
    assert "timed out waiting for the condition" in words


def assert_ready_only_for_its_own_spec(one: Watched) -> None:
    """In every version ever shown: who is Ready for its generation serves the prompt of exactly that spec."""
    of_revision: dict[int, str] = {}
    ready = 0
    for body in one.versions():
        status = body["status"]
        if "run" in status:
            of_revision[status["run"]["number"]] = status["run"]["hash"]
        for said in status.get("conditions", []):
            assert (
                said["observedGeneration"] == status["observedGeneration"] <= body["metadata"]["generation"]
            )
        if condition(body, "Ready")[0] == "True" and _observed(body):
            ready += 1
            wanted = run_hash(DomainTrainingSpec.model_validate(body["spec"]))
            assert of_revision[status["promptConfig"]["revision"]] == wanted
    assert ready


def _observed(body: Json) -> bool:
    return bool(body["status"]["observedGeneration"] == body["metadata"]["generation"])


def test_thirty_edits_while_the_operator_is_away(sandbox: Sandbox, served: Watched) -> None:
    """Nobody tells that the old Ready is old but its generation: kubectl compares that itself."""
    cluster = sandbox.cluster
    cluster.api.patch(DEPLOYMENT, {"spec": {"replicas": 0}})
    try:
        wait_for("no operator", lambda: controller_pid(sandbox) == 0)
        for number in range(EDITS):
            edit(served, number)
            wait = waiting(cluster, served.space, "1s" if number == 0 else "0")
            words, _ = wait.communicate(timeout=30)
            assert wait.returncode == 1, words
        last = waiting(cluster, served.space, "100s")
    finally:
        cluster.api.patch(DEPLOYMENT, {"spec": {"replicas": 1}})
    words, _ = last.communicate(timeout=120)
    assert last.returncode == 0, words
    shown = cluster.api.get(f"{GROUP}/namespaces/{served.space}/domaintrainings/docs")
    assert shown["status"]["observedGeneration"] == shown["metadata"]["generation"] == EDITS + 1
    assert shown["status"]["promptConfig"]["revision"] == shown["status"]["run"]["number"] == 2
    assert_ready_only_for_its_own_spec(served)


def test_thirty_edits_while_the_operator_works(sandbox: Sandbox, served: Watched) -> None:
    """Each wait begins at once and watches while the operator turns to the new spec."""
    for number in range(EDITS):
        edit(served, number)
        assert_timed_out(waiting(sandbox.cluster, served.space, "300ms"))
    wait = waiting(sandbox.cluster, served.space, "110s")
    words, _ = wait.communicate(timeout=120)
    assert wait.returncode == 0, words
    shown = sandbox.cluster.api.get(f"{GROUP}/namespaces/{served.space}/domaintrainings/docs")
    assert shown["status"]["observedGeneration"] == shown["metadata"]["generation"] == EDITS + 1
    assert_ready_only_for_its_own_spec(served)
