"""An identical run of another resource of the namespace is taken over: no Job, no call, and it is said."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from domaintraining.api.names import LABEL_NAME
from domaintraining.controller.cluster import CONFIG_MAP, JOB, JsonObject
from tests.unit.controller.world import BETTER, SAMPLES, WORSE, Killed, World

BASE = {"f1": 0.5, "precision": 0.5, "recall": 0.5}
TEXT = "".join(json.dumps(one) + "\n" for one in SAMPLES)
MEASURED = {"entities": BETTER["entities"] | {"baseline": BASE, "documents": 40}}


def made(metrics: dict[str, Any] = MEASURED, spec: dict[str, Any] | None = None) -> JsonObject:
    """The revision of another resource, as a trainer and the controller made it."""
    world = World(spec)
    world.train(metrics)
    body = world.get(CONFIG_MAP, "docs-prompt-r1")
    body["metadata"] |= {"name": "manuals-prompt-r1", "ownerReferences": []}
    body["metadata"]["labels"][LABEL_NAME] = "manuals"
    changed(
        body,
        hash=body["metadata"]["labels"]["training.aegisrag.io/hash"],
        repeatable=True,
        dataset={
            "samples": 6,
            "train": 3,
            "validation": 3,
            "test": 0,
            "file": hashlib.sha256(TEXT.encode()).hexdigest(),
        },
    )
    return body


def changed(body: JsonObject, **facts: Any) -> None:
    """Other facts in the manifest."""
    body["data"]["manifest.json"] = json.dumps(json.loads(body["data"]["manifest.json"]) | facts)


def world_with(*bodies: JsonObject, spec: dict[str, Any] | None = None) -> World:
    """A resource beside revisions of others."""
    world = World(spec)
    for body in bodies:
        world._put(body)
    return world


def manifest(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.get(CONFIG_MAP, name)["data"]["manifest.json"])
    return found


def test_it_becomes_this_resources_first_revision_without_a_job() -> None:
    """Served are the other's bytes; the manifest is this resource's own and says whose they were."""
    world = world_with(made())
    world.settle()
    assert world.names(JOB) == []
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.conditions["Trained"] == ("True", "Reused")
    assert "revision 1 of DomainTraining manuals" in world.says("Trained")
    assert "0 model calls" in world.says("Trained")
    assert "Reused" in world.told
    served, source = world.get(CONFIG_MAP, "docs-prompt")["data"], made()["data"]
    assert {key: text for key, text in served.items() if key != "manifest.json"} == {
        key: text for key, text in source.items() if key != "manifest.json"
    }
    said = manifest(world, "docs-prompt")
    assert said["reusedFrom"] == {"name": "manuals", "revision": 1}
    assert (said["domain"], said["run"], said["tasks"]["entities"]["run"]) == ("docs", 1, 1)


def test_status_tells_of_a_run_without_job_attempt_or_call() -> None:
    world = world_with(made())
    world.settle()
    status = world.resource["status"]
    assert status["run"]["reusedFrom"] == {"name": "manuals", "revision": 1}
    assert (status["run"]["number"], status["run"]["attempts"], status["run"]["job"]) == (1, 0, "")
    assert status["progress"]["modelCalls"] == 0
    assert status["progress"]["percent"] == 100
    assert status["dataset"]["samples"] == 6
    assert [(one["number"], one["reason"]) for one in status["history"]] == [(1, "Promoted")]


def typed(body: JsonObject, *types: str) -> None:
    """Prompts with a closed list of types, as a trainer publishes them."""
    kinds = {"type": "object", "properties": {"type": {"type": "string", "enum": list(types)}}}
    schema = {"type": "object", "properties": {"entities": {"type": "array", "items": kinds}}}
    request = json.loads(body["data"]["entities.request.json"]) | {"format": schema}
    body["data"]["entities.schema.json"] = json.dumps(schema)
    body["data"]["entities.request.json"] = json.dumps(request)


def test_times_mode_and_types_are_those_of_what_is_served_here() -> None:
    """Nothing was started when the other's run was, adaptive has chosen already, and the types are known."""
    spec = World().resource["spec"] | {"auto": "adaptive"}
    body = made(spec=spec)
    typed(body, "Software", "Team", "Host")
    changed(body, auto="light", retrain="2026-11-20T08:00:00Z", startTime="2026-11-20T08:00:01Z")
    world = world_with(body, spec=spec)
    world.settle()
    status, said = world.resource["status"], manifest(world, "docs-prompt-r1")
    assert status["run"]["reusedFrom"] == {"name": "manuals", "revision": 1}
    assert said["startTime"] == status["run"]["startTime"] == "2026-11-23T12:00:00Z"
    assert said["startTime"] <= said["completionTime"]
    assert status["auto"] == "light"
    assert (status["dataset"]["entityTypes"], status["dataset"]["relationTypes"]) == (3, 0)
    own = manifest(world, "docs-prompt-r0")
    assert not {"startTime", "completionTime", "retrain"} & own.keys(), "as of a baseline that was made here"


@pytest.mark.parametrize("auto", ["adaptive", "all", 1, None, ["light"]])
def test_a_mode_that_is_none_is_not_told(auto: Any) -> None:
    """Manifests of others are hostile input."""
    spec = World().resource["spec"] | {"auto": "adaptive"}
    body = made(spec=spec)
    changed(body, auto=auto)
    world = world_with(body, spec=spec)
    world.settle()
    assert world.resource["status"]["auto"] == "adaptive"


def test_its_baseline_is_revision_0() -> None:
    """The baseline's own files and its numbers, though the other's r0 may be of a later run."""
    world = world_with(made())
    world.settle()
    data, said = world.get(CONFIG_MAP, "docs-prompt-r0")["data"], manifest(world, "docs-prompt-r0")
    assert "run 0" in json.loads(data["entities.messages.json"])[0]["content"]
    assert said["metrics"]["entities"]["f1"] == 0.5
    assert said["promoted"] is False


def test_it_is_judged_by_this_resources_own_acceptance() -> None:
    """What was promoted there may be rejected here; a weaker acceptance serves it then, without a call."""
    spec = World().resource["spec"] | {"acceptance": {"minF1": 0.9}}
    world = world_with(made(), spec=spec)
    world.settle()
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.conditions["Trained"] == ("True", "Reused")
    world.change(acceptance={"minF1": 0.7})
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.names(JOB) == []


def test_a_rejected_run_is_reused_as_well() -> None:
    world = world_with(made({"entities": WORSE["entities"] | {"baseline": BASE, "documents": 40}}))
    world.settle()
    assert world.conditions["Ready"] == ("False", "Rejected")
    assert world.names(JOB) == []


def _other_digest(body: JsonObject) -> None:
    said = json.loads(body["data"]["manifest.json"])["resolved"]
    said["models"]["model"]["digest"] = "sha256:2"
    changed(body, resolved=said)


def _placeholder(body: JsonObject) -> None:
    messages = json.loads(body["data"]["entities.messages.json"])
    messages[0]["content"] += "{text}"
    body["data"]["entities.messages.json"] = json.dumps(messages)


UNLIKE: dict[str, Callable[[JsonObject], None]] = {
    "other samples": lambda body: changed(body, dataset={"file": "0" * 64}),
    "no digest of samples": lambda body: changed(body, dataset={}),
    "another digest of the model": _other_digest,
    "another hash": lambda body: changed(body, hash="0" * 32),
    "not repeatable": lambda body: changed(body, repeatable=False),
    "its budget was spent": lambda body: changed(body, budgetExhausted=True),
    "compared with a served prompt": lambda body: changed(body, served=3),
    "made by an older operator": lambda body: changed(body, resolved=None),
    "nothing measured": lambda body: changed(body, metrics={}),
    "metrics of another shape": lambda body: changed(body, metrics={"entities": {"f1": "high"}}),
    "a manifest that is none": lambda body: body["data"].update({"manifest.json": "[" * 100_000}),
    "a copy under another name": lambda body: body["metadata"].update(name="copy"),
    "no baseline": lambda body: body.pop("binaryData"),
    "a missing file": lambda body: body["data"].pop("entities.schema.json"),
    "a further file": lambda body: body["data"].update({"relations.schema.json": "{}"}),
    "a file that is no prompt": lambda body: body["data"].update({"entities.request.json": "{}"}),
    "a placeholder in an instruction": _placeholder,
}


@pytest.mark.parametrize("what", UNLIKE)
def test_what_is_not_identical_and_whole_is_left_alone(what: str) -> None:
    """A revision that differs, or that somebody edited, is nobody else's result: a run of its own starts."""
    body = made()
    UNLIKE[what](body)
    world = world_with(body)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_who_asks_for_a_run_gets_one() -> None:
    """The annotation asks for a run, not for a result."""
    world = world_with(made())
    world.ask("2026-11-23T11:00:00Z")
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_who_has_a_history_trains_against_it() -> None:
    """A prompt is served that the new one has to be compared with, which the other's numbers don't do."""
    spec = World().resource["spec"] | {"optimizer": {"seed": 10}}
    world = World(spec)
    world.train(MEASURED)
    world._put(made())
    world.change()
    world.settle()
    assert world.names(JOB)[-1] == "docs-r2-a1"


def test_samples_that_only_a_trainer_can_see_are_read_again() -> None:
    """Of a volume the controller knows the claim, not what its files hold."""
    claim = {"persistentVolumeClaim": {"claimName": "samples", "path": "a.jsonl"}}
    spec = World().resource["spec"] | {"dataset": claim}
    volume = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    claimed = volume | {"metadata": {"namespace": "team", "name": "samples"}}
    source = World(spec)
    source._put(claimed)
    source.train(MEASURED)
    body = source.get(CONFIG_MAP, "docs-prompt-r1")
    body["metadata"] |= {"name": "manuals-prompt-r1", "ownerReferences": []}
    body["metadata"]["labels"][LABEL_NAME] = "manuals"
    world = world_with(body, claimed, spec=spec)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_killed_after_any_write_it_ends_the_same() -> None:
    """The revision is written last: before it, the controller looks for the identical run again."""
    whole = world_with(made())
    whole.settle()
    total = len(whole.cluster.writes)
    assert total >= 5
    for dies_after in range(1, total + 1):
        world = world_with(made())
        world.cluster.dies_after = dies_after
        world.settle()
        assert world.content() == whole.content(), f"killed after {whole.cluster.writes[dies_after - 1]}"


def test_killed_before_the_revision_and_the_other_gone_it_trains() -> None:
    """Nothing is promised before the revision is there: the run that was recorded gets its Job."""
    world = world_with(made())
    world.cluster.dies_after = 1
    with pytest.raises(Killed):
        world.look()
    assert "docs-r1" in world.names(CONFIG_MAP)
    assert "docs-prompt-r1" not in world.names(CONFIG_MAP)
    del world.cluster.objects[CONFIG_MAP, "team", "manuals-prompt-r1"]
    world.controller = world.started()
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]


def test_the_first_by_name_is_taken() -> None:
    """Of several equal ones always the same."""
    other = made()
    other["metadata"]["name"] = "books-prompt-r1"
    other["metadata"]["labels"][LABEL_NAME] = "books"
    world = world_with(made(), other)
    world.settle()
    assert manifest(world, "docs-prompt")["reusedFrom"]["name"] == "books"
