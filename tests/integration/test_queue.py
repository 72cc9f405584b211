"""At most two trainings at once on a model server, on the real API server, also if the operator is killed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.integration.trainings import GROUP, SAMPLES
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox

Json = dict[str, Any]
SPACES: Final = ("queue-a", "queue-b", "queue-c")
LIMIT: Final = 2
POSITION: Final = re.compile(
    r"(\d+) of (\d+) waiting for http://127\.0\.0\.1:\d+ \(2 of 2 trainings run there\)"
)


class Onlooker(threading.Thread):
    """Looks at all Jobs many times a second and keeps the most that were active, and the order of starts."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(daemon=True)
        self._sandbox = sandbox
        self._ended = threading.Event()
        self.most = 0
        self.started: list[str] = []

    def run(self) -> None:
        """Until it is told to stop."""
        while not self._ended.wait(0.03):
            active = [
                job for job in self._sandbox.cluster.api.items("/apis/batch/v1/jobs") if _is_active(job)
            ]
            self.most = max(self.most, len(active))
            names = sorted(f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in active)
            self.started += [name for name in names if name not in self.started]

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()


def _is_active(job: Json) -> bool:
    ended = {"Complete", "Failed"}
    conditions = job["status"].get("conditions", [])
    return not any(one["type"] in ended and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own, whose operator lets two trainings run on a server."""
    running = Sandbox(tmp_path_factory.mktemp("queue"))
    running.up(print)
    setting = f"TRAININGS_PER_SERVER={LIMIT}"
    running.cluster.kubectl("set", "env", f"--namespace={NAMESPACE}", f"deploy/{CONTROLLER}", setting)
    running.cluster.kubectl("rollout", "status", f"--namespace={NAMESPACE}", f"deploy/{CONTROLLER}")
    yield running
    running.down()


def make_spaces(sandbox: Sandbox) -> None:
    """The namespaces, each with the samples."""
    for space in SPACES:
        sandbox.cluster.kubectl("create", "namespace", space)
        body = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
        sandbox.cluster.api.create(f"/api/v1/namespaces/{space}/configmaps", body)


def training(space: str, name: str) -> Json:
    """A short one."""
    data = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
    return {
        "apiVersion": "training.aegisrag.io/v1alpha1",
        "kind": "DomainTraining",
        "metadata": {"name": name, "namespace": space},
        "spec": {"dataset": data, "auto": "light", "tasks": ["entities"], "budget": {"maxModelCalls": 150}},
    }


def conditions(sandbox: Sandbox) -> dict[str, tuple[str, str, str]]:
    """Status, reason and message of Ready of all."""
    found = {}
    for one in sandbox.cluster.api.items(f"{GROUP}/domaintrainings"):
        for said in one.get("status", {}).get("conditions", []):
            if said["type"] == "Ready":
                name = f"{one['metadata']['namespace']}/{one['metadata']['name']}"
                found[name] = (said["status"], said["reason"], said["message"])
    return found


def positions(sandbox: Sandbox) -> dict[str, tuple[int, int]]:
    """Position, and how many wait, of those that do."""
    told = {name: POSITION.fullmatch(said[2]) for name, said in conditions(sandbox).items()}
    return {name: (int(match[1]), int(match[2])) for name, match in told.items() if match}


def test_six_in_three_namespaces_run_two_at_a_time(sandbox: Sandbox) -> None:
    """In a fair order, with their positions in status; an operator that is killed starts none too many."""
    make_spaces(sandbox)
    onlooker = Onlooker(sandbox)
    onlooker.start()
    names = [("queue-a", "one"), ("queue-a", "two"), ("queue-a", "three")]
    names += [("queue-b", "one"), ("queue-b", "two"), ("queue-c", "one")]
    items = [training(space, name) for space, name in names]
    body = {"apiVersion": "v1", "kind": "List", "items": items}
    sandbox.cluster.kubectl("apply", "--filename=-", input=json.dumps(body))
    everyone = sorted((place, 4) for place in range(1, 5))
    wait_for("four positions", lambda: sorted(positions(sandbox).values()) == everyone, seconds=60)
    before = positions(sandbox)
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    sandbox.cluster.api.delete(pods, gracePeriodSeconds="0")
    seen: dict[str, list[int]] = {name: [place] for name, (place, _) in before.items()}

    def all_are_ready() -> bool:
        for name, (place, _) in positions(sandbox).items():
            seen[name] += [place] if seen[name][-1] != place else []
        return all(said[0] == "True" for said in conditions(sandbox).values())

    wait_for("all are ready", all_are_ready, seconds=300)
    onlooker.stop()
    assert onlooker.most == LIMIT
    assert len(onlooker.started) == len(names)
    assert {name.partition("/")[0] for name in onlooker.started[:3]} == set(SPACES), onlooker.started
    for name, places in seen.items():
        assert places == sorted(places, reverse=True), f"{name} moved back"
    order = sorted(before, key=lambda name: before[name][0])
    assert [name.rpartition("-r")[0] for name in onlooker.started[2:]] == order
