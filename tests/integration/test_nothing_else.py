"""What GitOps tools, clusters and upgrades do all day starts no run and makes the operator write nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import trainings
from tests.integration.test_training import controller_pid
from tests.integration.trainings import GROUP, SAMPLES
from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox

Json = dict[str, Any]
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{CONTROLLER}"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"
SPACE, LATER = "at-rest", "at-rest-later"
REASON = "{.status.conditions[?(@.type=='Ready')].reason}"
READS = {"get", "list", "watch"}
TIMES = 100
DATA = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
RESTING: dict[str, Json] = {
    "served": {"dataset": DATA, "tasks": ["entities"]},
    "paused": {"dataset": DATA, "suspend": True},
    "stuck": {"dataset": {"configMap": {"name": "absent", "key": "samples.jsonl"}}},
}
"""DomainTrainings that leave to the operator whatever it has defaults for."""
NEW_DEFAULTS = {
    "OLLAMA_MODEL_GENERATION": "qwen2.5:72b",
    "OLLAMA_BASE_URL": "http://127.0.0.1:9",
    "DSPY_AUTO_MODE": "heavy",
    "OLLAMA_NUM_PARALLEL": "2",
    "RESYNC_SECONDS": "1",
}


class Rest:
    """A namespace at rest, and what the operator has written there since a moment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._template = sandbox.cluster.api.get(DEPLOYMENT)["spec"]["template"]
        self._edits = 0
        self._before: list[str] = []

    def manifest(self, name: str) -> Json:
        """One of the resources as Git has it."""
        metadata = {"name": name, "namespace": SPACE}
        kind = {"apiVersion": "training.aegisrag.io/v1alpha1", "kind": "DomainTraining"}
        return {**kind, "metadata": metadata, "spec": RESTING[name]}

    def begin(self) -> None:
        """What is written from here on counts."""
        self._before = self.written()

    def written(self) -> list[str]:
        """All that the operator wrote in the namespace, and into what."""
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self.sandbox.cluster.audited()
            if event["user"]["username"] == OPERATOR
            and event["verb"] not in READS
            and event.get("objectRef", {}).get("namespace") == SPACE
        ]

    def assert_nothing_new(self) -> None:
        """Once the operator has seen all that happened: no write, so no run either."""
        self.see()
        assert self.written()[len(self._before) :] == []

    def see(self) -> None:
        """Returns when the operator has seen all that happened to DomainTrainings.

        One of them, elsewhere, is edited last. Events of one kind come in order, so whoever has seen that
        edit was told of everything before it.
        """
        self._edits += 1
        path = f"{GROUP}/namespaces/{LATER}/domaintrainings/last"
        last = self.sandbox.cluster.api.patch(path, {"spec": {"description": f"edit {self._edits}"}})
        generation = last["metadata"]["generation"]
        wait_for(
            "the last edit seen",
            lambda: self.sandbox.cluster.api.get(path)["status"]["observedGeneration"] == generation,
            seconds=90,
        )

    def deploy(self, environment: dict[str, str]) -> None:
        """The operator's Deployment with other variables, rolled out."""
        words = [f"{name}={value}" for name, value in environment.items()]
        place = (f"deployment/{CONTROLLER}", f"--namespace={NAMESPACE}")
        self.sandbox.cluster.kubectl("set", "env", *place, *words)
        self._rolled_out()

    def restore(self) -> None:
        """The operator's Deployment as it was."""
        body = [{"op": "replace", "path": "/spec/template", "value": self._template}]
        self.sandbox.cluster.api.patch(DEPLOYMENT, body, kind="json")
        self._rolled_out()

    def _rolled_out(self) -> None:
        place = (f"deployment/{CONTROLLER}", f"--namespace={NAMESPACE}")
        self.sandbox.cluster.kubectl("rollout", "status", *place, "--timeout=90s")


@pytest.fixture(scope="module")
def rest(sandbox: Sandbox) -> Iterator[Rest]:
    """One served, one suspended and one stuck; nothing of them goes on any more."""
    api, kubectl = sandbox.cluster.api, sandbox.cluster.kubectl
    made = Rest(sandbox)
    for space in (SPACE, LATER):
        kubectl("create", "namespace", space)
    samples = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    api.create(f"/api/v1/namespaces/{SPACE}/configmaps", samples)
    stuck = made.manifest("stuck") | {"metadata": {"name": "last", "namespace": LATER}}
    items = [*map(made.manifest, RESTING), stuck]
    kubectl("apply", "--filename=-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    place = f"--namespace={SPACE}"
    kubectl("wait", "dt/stuck", place, "--for=condition=Stalled", "--timeout=60s")
    kubectl("wait", "dt/paused", place, f"--for=jsonpath={REASON}=Suspended", "--timeout=60s")
    kubectl("wait", "dt/served", place, "--for=condition=Ready", "--timeout=110s")
    jobs = f"/apis/batch/v1/namespaces/{SPACE}/jobs"
    wait_for("its Job's end", lambda: all("completionTime" in one["status"] for one in api.items(jobs)))
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SPACE}/roles"
    wait_for("the end of its trainer's rights", lambda: not api.items(roles))
    made.see()
    yield made
    made.restore()
    for space in (SPACE, LATER):
        api.delete(f"/api/v1/namespaces/{space}")


@pytest.mark.parametrize("way", [(), ("--server-side", "--force-conflicts", "--field-manager=flux")])
def test_the_same_manifest_a_hundred_times(rest: Rest, way: tuple[str, ...]) -> None:
    """Client-side and server-side apply."""
    rest.begin()
    stream = "\n---\n".join(json.dumps(rest.manifest(name)) for _ in range(TIMES) for name in RESTING)
    rest.sandbox.cluster.kubectl("apply", *way, "--filename=-", input=stream)
    rest.assert_nothing_new()


def test_labels_and_annotations_of_others(rest: Rest) -> None:
    """Those of GitOps tools, of Kueue, and a wish for a run that is no time."""
    rest.begin()
    for number in range(TIMES):
        metadata = {
            "labels": {
                "app.kubernetes.io/version": f"1.{number}",
                "kueue.x-k8s.io/queue-name": f"q-{number}",
            },
            "annotations": {
                "argocd.argoproj.io/tracking-id": f"trainings:{number}",
                "reconcile.fluxcd.io/requestedAt": f"2026-11-23T12:00:{number % 60:02}Z",
                "training.aegisrag.io/retrain-requested-at": f"soon ({number})",
            },
        }
        for name in RESTING:
            path = f"{GROUP}/namespaces/{SPACE}/domaintrainings/{name}"
            rest.sandbox.cluster.api.patch(path, {"metadata": metadata})
    rest.assert_nothing_new()


def test_restarts_of_the_operator(rest: Rest) -> None:
    """Killed, and rolled out anew."""
    rest.begin()
    before = controller_pid(rest.sandbox)
    os.kill(before, signal.SIGKILL)
    wait_for("another operator", lambda: controller_pid(rest.sandbox) not in (0, before), seconds=60)
    rest.assert_nothing_new()
    rest.deploy({"RESTARTED": "once"})
    rest.assert_nothing_new()


def test_a_new_version_of_the_operator(rest: Rest, tmp_path: Path) -> None:
    """Another version, with another image for trainers."""
    code = tmp_path / "operator"
    shutil.copytree(REPOSITORY / "operator", code, ignore=shutil.ignore_patterns("__pycache__"))
    package = code / "domaintraining" / "__init__.py"
    text, changed = re.subn(r'__version__ = ".*"', '__version__ = "99.0.0"', package.read_text("utf-8"))
    assert changed == 1
    package.write_text(text, encoding="utf-8")
    rest.begin()
    # By another name for /: a path that begins with a mounted folder would be taken for one in the pod.
    rest.deploy({"PYTHONPATH": f"/proc/self/root{code}", "TRAINER_IMAGE": "domaintraining:next"})
    rest.assert_nothing_new()
    environment = Path(f"/proc/{controller_pid(rest.sandbox)}/environ")
    assert str(code) in environment.read_text(encoding="utf-8")


def test_other_defaults_of_the_operator(rest: Rest) -> None:
    """Model, server, mode and slots: a run keeps what it began with, and no other follows."""
    rest.begin()
    rest.deploy(NEW_DEFAULTS)
    rest.assert_nothing_new()
    for name in RESTING:
        shown = rest.sandbox.cluster.api.get(f"{GROUP}/namespaces/{SPACE}/domaintrainings/{name}")
        assert shown["status"].get("run", {}).get("number", 0) == (1 if name == "served" else 0)


def test_a_run_goes_on_through_all_of_it(rest: Rest, sandbox: Sandbox, space: str) -> None:
    """Upgraded, with other defaults and labels, halfway: the same Job with the same image ends it."""
    rest.restore()
    trainings.apply(sandbox, space)
    wait_for("Training", lambda: trainings.condition(sandbox, space, "Ready")[1] == "Training", seconds=90)
    before = trainings.status(sandbox, space)
    rest.deploy(NEW_DEFAULTS | {"TRAINER_IMAGE": "domaintraining:next"})
    assert trainings.condition(sandbox, space, "Ready")[0] == "False", "over before the operator was another"
    path = f"{GROUP}/namespaces/{space}/domaintrainings/docs"
    sandbox.cluster.api.patch(path, {"metadata": {"labels": {"example.com/release": "2"}}})
    trainings.apply(sandbox, space)
    shown = trainings.ready(sandbox, space)
    for key in ("number", "attempts", "job", "image", "hash"):
        assert shown["run"][key] == before["run"][key]
    assert (shown["model"], shown["auto"]) == (before["model"], before["auto"])
    assert trainings.jobs(sandbox, space) == ["docs-r1-a1"]
