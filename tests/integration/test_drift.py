"""Data and models that change under a served prompt, on a real API server beside a simulated model server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.integration.test_journal_volume import claim_of_samples, folder_of
from tests.integration.trainings import SAMPLES, Json, apply, condition, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, NAMESPACE, PULLABLE, Sandbox

SECONDS = 10.0
"""Within which a change of the samples is seen: the watch tells of it."""
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"
MODEL = PULLABLE[0].partition(",")[0]
"""One that no other test here trains for: all that rest with a model are measured when it changes."""
LINES = [json.loads(line) for line in SAMPLES.splitlines()]


def fill(sandbox: Sandbox, space: str, content: str) -> None:
    """Other samples in the ConfigMap."""
    path = f"/api/v1/namespaces/{space}/configmaps/samples"
    sandbox.cluster.api.patch(path, {"data": {"samples.jsonl": content}})


def more() -> str:
    """The samples and a few more of the same kind."""
    grown = [line | {"text": f"{line['text']} So it is."} for line in LINES[:4]]
    return "\n".join(json.dumps(line) for line in [*LINES, *grown])


def mislabelled() -> str:
    """The same texts and names, each name with the next type of all."""
    types = sorted({entity["type"] for line in LINES for entity in line["entities"]})
    other = dict(zip(types, [*types[1:], types[0]], strict=True))
    return "\n".join(
        json.dumps(line | {"entities": [one | {"type": other[one["type"]]} for one in line["entities"]]})
        for line in LINES
    )


def checks(sandbox: Sandbox, space: str) -> list[str]:
    """Jobs of checks that are there."""
    return [name for name in jobs(sandbox, space) if "-check-" in name]


def runs(sandbox: Sandbox, space: str) -> list[str]:
    """Jobs of runs that are there."""
    return [name for name in jobs(sandbox, space) if "-check-" not in name]


def found(sandbox: Sandbox, space: str, side: str = "data") -> str:
    """What status says was found of data or model."""
    told: Json = status(sandbox, space).get("drift") or {}
    return str((told.get(side) or {}).get("finding", ""))


def concluded(sandbox: Sandbox, space: str, side: str = "data") -> Json:
    """status.drift once a check is through."""
    wait_for(
        "the check",
        lambda: found(sandbox, space, side) not in ("", "Checking"),
        seconds=120,
    )
    return dict(status(sandbox, space)["drift"])


def ended(sandbox: Sandbox, space: str) -> None:
    """Run 2 is over, with a result or without one."""

    def is_over() -> bool:
        run = status(sandbox, space).get("run") or {}
        stalled = condition(sandbox, space, "Stalled")[0] == "True"
        return stalled or (run.get("number"), "completionTime" in run) == (2, True)

    wait_for("the end of run 2", is_over, seconds=240)


def tidied(sandbox: Sandbox, space: str) -> None:
    """Nothing of a check is left but its record."""
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/roles"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies"
    api = sandbox.cluster.api

    def left() -> list[str]:
        made = [one["metadata"]["name"] for path in (roles, policies) for one in api.items(path)]
        return [name for name in [*made, *checks(sandbox, space)] if "-check" in name]

    wait_for("the end of the check's objects", lambda: not left(), seconds=60)


def test_samples_that_changed_are_measured_and_a_loss_starts_one_run(sandbox: Sandbox, space: str) -> None:
    """Labels of the ConfigMap: nothing. More samples: no loss, no run. Wrong labels: a loss, one run."""
    apply(sandbox, space, tasks=["entities"])
    ready(sandbox, space)
    tidied(sandbox, space)
    assert "drift" not in status(sandbox, space)
    path = f"/api/v1/namespaces/{space}/configmaps/samples"
    sandbox.cluster.api.patch(path, {"metadata": {"labels": {"team": "extraction"}}})

    fill(sandbox, space, more())
    wait_for("the change seen", lambda: found(sandbox, space) != "", seconds=SECONDS)
    told = concluded(sandbox, space)
    assert told["data"]["finding"] == "NoLoss", told
    assert told["entities"]["f1"] >= told["entities"]["low"]
    assert told["modelCalls"] > 0
    assert runs(sandbox, space) == ["docs-r1-a1"]
    tidied(sandbox, space)

    fill(sandbox, space, mislabelled())
    wait_for("the change seen", lambda: found(sandbox, space) != "NoLoss", seconds=SECONDS)
    told = concluded(sandbox, space)
    assert told["data"]["finding"] == "Loss", told
    assert told["entities"]["f1"] < told["entities"]["low"]
    assert told["run"] == 2
    wait_for("run 2", lambda: "docs-r2-a1" in runs(sandbox, space), seconds=60)
    assert condition(sandbox, space, "Ready")[0] == "True", "what is served stays served"
    ended(sandbox, space)
    assert condition(sandbox, space, "Ready")[0] == "True"
    tidied(sandbox, space)
    assert runs(sandbox, space) == ["docs-r1-a1", "docs-r2-a1"], condition(sandbox, space, "Stalled")


@pytest.fixture
def often(sandbox: Sandbox) -> Iterator[None]:
    """An operator that looks at everything each 2 s, model servers and volumes among it."""
    template = sandbox.cluster.api.get(DEPLOYMENT)["spec"]["template"]
    place = (f"deployment/{CONTROLLER}", f"--namespace={NAMESPACE}")
    sandbox.cluster.kubectl("set", "env", *place, "RESYNC_SECONDS=2", "CHECK_SECONDS=2")
    sandbox.cluster.kubectl("rollout", "status", *place, "--timeout=90s")
    yield
    body = [{"op": "replace", "path": "/spec/template", "value": template}]
    sandbox.cluster.api.patch(DEPLOYMENT, body, kind="json")
    sandbox.cluster.kubectl("rollout", "status", *place, "--timeout=90s")


def rebuild(sandbox: Sandbox, build: str, lapses: float) -> None:
    """The model server has another model under the name of the one that was pulled."""
    body = json.dumps({"model": MODEL, "build": build, "lapses": lapses}).encode()
    request = urllib.request.Request(f"{sandbox.model_server}/simulated/build", body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.loads(answer.read())["simulated"]


@pytest.mark.usefixtures("often")
def test_another_model_under_the_same_name_is_measured(sandbox: Sandbox, space: str) -> None:
    """Seen by its digest on a resync: one as good starts no run, one that is worse starts one."""
    apply(sandbox, space, tasks=["entities"], model={"name": MODEL})
    ready(sandbox, space)
    tidied(sandbox, space)
    rebuild(sandbox, "2", 0.0)
    told = concluded(sandbox, space, "model")
    assert told["model"]["finding"] == "NoLoss", told
    assert told["data"]["finding"] == "Unchanged"
    tidied(sandbox, space)
    rebuild(sandbox, "3", 0.9)
    wait_for("the change seen", lambda: found(sandbox, space, "model") != "NoLoss", seconds=30)
    told = concluded(sandbox, space, "model")
    assert told["model"]["finding"] == "Loss", told
    wait_for("run 2", lambda: "docs-r2-a1" in runs(sandbox, space), seconds=60)
    assert condition(sandbox, space, "Ready")[0] == "True"
    ended(sandbox, space)
    tidied(sandbox, space)
    assert runs(sandbox, space) == ["docs-r1-a1", "docs-r2-a1"]


@pytest.mark.usefixtures("often")
def test_a_volume_is_read_again_and_again(sandbox: Sandbox, space: str) -> None:
    """By a Job that asks no model; samples that were added are measured, once."""
    claim_of_samples(sandbox, space)
    source = {"persistentVolumeClaim": {"claimName": "samples", "path": "docs.jsonl"}}
    apply(sandbox, space, tasks=["entities"], dataset=source)
    file = folder_of(sandbox, space, "samples") / "docs.jsonl"
    file.write_text(SAMPLES, encoding="utf-8")
    ready(sandbox, space)
    assert concluded(sandbox, space)["data"]["finding"] == "Unchanged"
    assert status(sandbox, space)["drift"]["modelCalls"] == 0
    file.write_text(more(), encoding="utf-8")
    wait_for("the numbers", lambda: "entities" in status(sandbox, space)["drift"], seconds=90)
    assert runs(sandbox, space) == [f"docs-r1-a{status(sandbox, space)['run']['attempts']}"]
    wait_for("the next look", lambda: found(sandbox, space) == "Unchanged", seconds=90)


def test_always_and_never(sandbox: Sandbox, space: str) -> None:
    """Always: a run without a check. Never: nothing."""
    apply(sandbox, space, tasks=["entities"], retrain={"onDatasetChange": "Never"})
    ready(sandbox, space)
    fill(sandbox, space, more())
    apply(sandbox, space, tasks=["entities"], retrain={"onDatasetChange": "Never"}, description="again")
    wait_for("the edit", lambda: status(sandbox, space)["observedGeneration"] == 2, seconds=SECONDS)
    assert jobs(sandbox, space) == ["docs-r1-a1"]
    assert "drift" not in status(sandbox, space)
    apply(sandbox, space, tasks=["entities"], retrain={"onDatasetChange": "Always"})
    wait_for("run 2", lambda: "docs-r2-a1" in jobs(sandbox, space), seconds=SECONDS)
    wait_for("the finding", lambda: found(sandbox, space) == "Changed", seconds=SECONDS)
    ended(sandbox, space)
    assert jobs(sandbox, space) == ["docs-r1-a1", "docs-r2-a1"]
