"""Data and models that change under a served prompt: what is measured, and what starts a run."""

from itertools import pairwise
from typing import Any

import pytest

from domaintraining.controller.apiserver import ApiServer, Peer, single
from domaintraining.controller.cluster import CONFIG_MAP, JOB, NETWORK_POLICY, ROLE
from domaintraining.controller.drift import spread
from domaintraining.controller.network import Network
from domaintraining.guard import Guard
from tests.unit.controller.drifting import (
    DATA,
    NEW,
    OTHER,
    UNMEASURED,
    VOLUME,
    answer,
    check_job,
    check_jobs,
    drift,
    drifting,
    end,
    fill,
    findings,
    found,
    later,
    left,
    record,
    renew,
    report,
    run_check_pod,
    started,
)
from tests.unit.controller.world import World


def runs(world: World) -> list[str]:
    """Jobs of runs that were made, in order."""
    return [name for name in world.made(JOB) if "-check-" not in name]


def test_while_nothing_changes_nothing_is_made_or_written() -> None:
    """Also not by looks of a controller that was started anew."""
    world = drifting()
    writes = len(world.cluster.writes)
    for _ in range(3):
        later(world, 3600)
        world.controller = world.started()
        world.settle()
    assert len(world.cluster.writes) == writes
    assert "drift" not in world.resource["status"]


def test_other_labels_on_the_samples_are_no_change() -> None:
    """The content counts, not the version of the object."""
    world = drifting()
    writes = len(world.cluster.writes)
    fill(world, "first", team="extraction")
    world.settle()
    assert len(world.cluster.writes) == writes


def test_changed_samples_without_a_loss_start_no_run() -> None:
    """The served prompt is measured once; status tells the numbers, and the same samples are left alone."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.75))
    told = drift(world)
    assert findings(world) == ("NoLoss", None)
    assert told["entities"] == {"f1": 0.75, "published": 0.8, "low": 0.7, "high": 0.9, "documents": 30}
    assert told["data"]["now"] == NEW[:12]
    assert told["modelCalls"] == 30
    assert runs(world) == ["docs-r1-a1"]
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert left(world) == []
    world.controller = world.started()
    world.settle()
    fill(world, "first")
    world.settle()
    fill(world, "second")
    world.settle()
    assert world.made(JOB) == ["docs-r1-a1", "docs-check-1"]


def test_a_loss_starts_exactly_one_run() -> None:
    """With the next number and the same hash; what is served stays served meanwhile."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.69))
    assert findings(world) == ("Loss", None)
    assert drift(world)["run"] == 2
    assert "below 0.700" in drift(world)["message"]
    assert runs(world) == ["docs-r1-a1", "docs-r2-a1"]
    assert world.told.count("Loss") == 1
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.conditions["Reconciling"][0] == "True"
    hashes = {world.record(number)["metadata"]["labels"]["training.aegisrag.io/hash"] for number in (2,)}
    assert hashes == {world.get(CONFIG_MAP, "docs-prompt")["metadata"]["labels"]["training.aegisrag.io/hash"]}
    world.train(UNMEASURED)
    world.end_job("Complete")
    world.controller = world.started()
    world.settle()
    assert runs(world) == ["docs-r1-a1", "docs-r2-a1"]


def test_the_run_after_a_loss_may_be_rejected_and_ready_stays() -> None:
    """It was made with the changed samples: they are not measured again."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.1))
    worse = {"verdict": "Worse", "f1": 0.1, "precision": 0.1, "recall": 0.1}
    bad = {"entities": worse | {"improvement": {"value": -0.6, "low": -0.7, "high": -0.5, "over": "Served"}}}
    world.train(bad)
    world.end_job("Complete")
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert "Stalled" not in world.conditions
    assert world.made(JOB) == ["docs-r1-a1", "docs-check-1", "docs-r2-a1"]


@pytest.mark.parametrize(("f1", "finding"), [(0.7, "NoLoss"), (0.699, "Loss")])
def test_a_loss_is_below_the_low_end(f1: float, finding: str) -> None:
    """The low end itself is none."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=f1))
    assert findings(world)[0] == finding


def test_samples_that_read_the_same_are_unchanged() -> None:
    """A file of other bytes with the same samples costs a Job and no call."""
    world = drifting()
    fill(world, "second")
    answer(world, found(changed=False))
    assert findings(world) == ("Unchanged", None)
    world.settle()
    assert runs(world) == ["docs-r1-a1"]


def test_without_published_numbers_nothing_is_measured() -> None:
    """No Job, no run; status says how to start one by hand."""
    world = drifting(metrics=UNMEASURED)
    fill(world, "second")
    world.settle()
    assert findings(world) == ("NotMeasured", None)
    assert "retrain-requested-at" in drift(world)["message"]
    assert world.made(JOB) == ["docs-r1-a1"]
    world.ask("2026-11-23T13:00:00Z")
    world.settle()
    assert runs(world)[-1] == "docs-r2-a1"


def test_a_check_that_measured_nothing_starts_no_run() -> None:
    """Held-out documents of the changed samples that the prompt had all seen."""
    world = drifting()
    fill(world, "second")
    answer(world, found())
    assert findings(world) == ("NotMeasured", None)
    assert "too few held-out documents" in drift(world)["message"]
    assert runs(world) == ["docs-r1-a1"]


def test_always_starts_a_run_without_measuring() -> None:
    """One for each change."""
    world = drifting(retrain={"onDatasetChange": "Always"})
    fill(world, "second")
    world.settle()
    assert findings(world) == ("Changed", None)
    assert world.made(JOB) == ["docs-r1-a1", "docs-r2-a1"]
    world.train(UNMEASURED)
    world.end_job("Complete")
    world.settle()
    world.settle()
    assert world.made(JOB) == ["docs-r1-a1", "docs-r2-a1"]


def test_never_is_not_even_a_look() -> None:
    """Neither the samples nor the model server are asked."""
    world = drifting(retrain={"onDatasetChange": "Never", "onModelChange": "Never"})
    asked = len(world.models.asked)
    fill(world, "second")
    renew(world, "sha256:2")
    world.settle()
    assert world.made(JOB) == ["docs-r1-a1"]
    assert len(world.models.asked) == asked
    assert "drift" not in world.resource["status"]


def test_another_model_under_the_same_name_is_measured() -> None:
    """By its digest, asked once in a resync; a loss starts a run."""
    world = drifting()
    renew(world, "sha256:2")
    world.settle()
    assert started(world).check is not None
    assert started(world).check.model_changed  # type: ignore[union-attr]
    assert started(world).model.digest == "sha256:2"
    answer(world, found("", f1=0.3, changed=False) | {"dataDigest": NEW, "dataset": {"digest": NEW}})
    assert findings(world) == ("Unchanged", "Loss")
    assert drift(world)["model"] | {"checkedTime": ""} == {
        "checkedTime": "",
        "before": "sha256:1",
        "now": "sha256:2",
        "finding": "Loss",
    }
    assert runs(world) == ["docs-r1-a1", "docs-r2-a1"]


def test_a_model_server_that_is_down_is_no_finding() -> None:
    """Asked once in a while, however often the resource is looked at."""
    world = drifting()
    world.models.down.add(world.settings.ollama_base_url)
    later(world, 600)
    asked = len(world.models.asked)
    for _ in range(5):
        world.settle()
    assert len(world.models.asked) == asked + 1
    assert world.made(JOB) == ["docs-r1-a1"]


def test_a_check_whose_model_server_is_down_starts_no_job() -> None:
    """It is told, tried again with growing pauses, and measured once the server is back."""
    world = drifting(retrain={"onModelChange": "Never"})
    later(world, 600)
    world.models.down.add(world.settings.ollama_base_url)
    fill(world, "second")
    world.settle()
    assert check_jobs(world) == []
    assert findings(world) == ("CheckFailed", None)
    assert "does not tell the digest" in drift(world)["message"]
    world.models.down.clear()
    later(world, 600)
    world.settle()
    assert len(check_jobs(world)) == 1


def test_a_check_waits_for_a_place_and_has_one() -> None:
    """A server that is full takes no check; its Job counts like a training."""
    world = drifting()
    full = {"server": world.settings.trainings_per_server}
    for number in range(full["server"]):
        other = world.get(JOB, "docs-r1-a1")
        labels = other["metadata"]["labels"] | {"training.aegisrag.io/name": f"other-{number}"}
        metadata = other["metadata"] | {"name": f"other-{number}-r1-a1", "labels": labels}
        world._put(other | {"metadata": metadata, "status": {}})
    fill(world, "second")
    world.settle()
    assert record(world).current is not None
    assert check_jobs(world) == []
    assert findings(world) == ("Checking", None)
    world.cluster.objects.pop((JOB, "team", "other-0-r1-a1"))
    later(world, 60)
    world.settle()
    assert check_jobs(world) == ["docs-check-1"]


def test_a_volume_is_read_on_the_operators_schedule() -> None:
    """First without a model: only samples that changed are measured."""
    world = drifting(VOLUME)
    world.settle()
    assert check_jobs(world) == []
    later(world, 0.75 * world.settings.check_seconds - 60)
    world.settle()
    assert check_jobs(world) == [], "not before its time"
    later(world, 0.5 * world.settings.check_seconds + 120)
    world.settle()
    assert started(world).check is not None
    assert not started(world).check.measure  # type: ignore[union-attr]
    annotations = check_job(world)["metadata"]["annotations"]
    assert not any("model-servers" in key for key in annotations), "it needs no place"
    answer(world, found(changed=False))
    assert findings(world) == ("Unchanged", None)
    assert check_jobs(world) == []
    later(world, 1.3 * world.settings.check_seconds)
    answer(world, found(unmeasured="NotAsked"))
    assert started(world).check.measure  # type: ignore[union-attr]
    answer(world, found(f1=0.75))
    assert findings(world) == ("NoLoss", None)
    assert world.made(JOB) == ["docs-r1-a1", "docs-check-1", "docs-check-2", "docs-check-3"]
    later(world, 1.3 * world.settings.check_seconds)
    world.settle()
    assert started(world).check.data_digest == NEW  # type: ignore[union-attr]


def test_a_new_run_ends_a_check() -> None:
    """Nothing of it goes on beside the run, and it is not taken up again."""
    world = drifting()
    fill(world, "second")
    world.settle()
    run_check_pod(world)
    world.settle()
    world.ask("2026-11-23T13:00:00Z")
    world.settle()
    assert check_jobs(world) == []
    assert runs(world)[-1] == "docs-r2-a1"
    assert record(world).current is None


@pytest.mark.parametrize("change", [{"suspend": True}, {"pinRevision": 1}])
def test_what_is_suspended_or_pinned_is_not_looked_at(change: dict[str, Any]) -> None:
    """A check that goes on is stopped; it begins anew afterwards."""
    world = drifting()
    fill(world, "second")
    world.settle()
    world.change(dataset=DATA, **change)
    world.settle()
    assert check_jobs(world) == []
    world.change(dataset=DATA)
    world.settle()
    assert check_jobs(world) == ["docs-check-2"]


def test_a_check_that_fails_is_told_and_tried_again() -> None:
    """After a pause that grows, under another name; what is served stays served."""
    world = drifting()
    fill(world, "second")
    world.settle()
    run_check_pod(world)
    world.settle()
    report(world, failure={"reason": "ModelServerUnavailable", "message": "no answer for 600 s"})
    end(world, "Failed")
    world.settle()
    assert findings(world) == ("CheckFailed", None)
    assert "no answer for 600 s" in drift(world)["message"]
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert check_jobs(world) == []
    later(world, 31)
    world.settle()
    assert check_jobs(world) == ["docs-check-2"]


def test_samples_that_are_wrong_are_looked_at_again_when_they_change() -> None:
    """And not before the schedule's time otherwise."""
    world = drifting()
    fill(world, "second")
    world.settle()
    report(world, failure={"reason": "DatasetInvalid", "message": "line 3: not JSON"})
    end(world, "Failed")
    world.settle()
    later(world, 3600)
    world.settle()
    assert check_jobs(world) == []
    fill(world, "third")
    world.settle()
    assert check_jobs(world) == ["docs-check-3"]


HOSTILE = [
    "no JSON",
    '{"run": 1, "attempt": 1, "check": {"dataDigest": "x", "changed": true, "dataset": {}}}',
    '{"run": 1, "attempt": 1, "check": ' + "[" * 5000 + "]" * 5000 + "}",
    '{"run": 1, "attempt": 1, "check": {"metrics": {"entities": {"f1": 7}}}}',
]


@pytest.mark.parametrize("text", HOSTILE, ids=["none", "digest", "deep", "ratio"])
def test_a_report_that_cant_be_believed_fails_the_check(text: str) -> None:
    """It starts no run, and its words are in no status."""
    world = drifting()
    fill(world, "second")
    world.settle()
    body = world.get(CONFIG_MAP, "docs-check-report")
    world._put(body | {"data": {"report.json": text}})
    world.settle()
    assert findings(world) == ("CheckFailed", None)
    assert runs(world) == ["docs-r1-a1"]


def test_the_trainer_of_a_check_may_write_its_own_report_alone() -> None:
    """A Role by name, as that of a run; and the Job bears no label of a run."""
    world = drifting()
    fill(world, "second")
    world.settle()
    (rule,) = world.get(ROLE, "docs-check")["rules"]
    assert rule["resourceNames"] == ["docs-check-report"]
    assert rule["verbs"] == ["get", "patch"]
    labels = check_job(world)["metadata"]["labels"]
    assert "training.aegisrag.io/run" not in labels
    assert (NETWORK_POLICY, "team", "docs-check") not in world.cluster.objects, "no network in this world"


class FixedApiServer(ApiServer):
    """An API server that stays where it is."""

    async def look(self) -> tuple[Peer, ...]:
        """Its address."""
        return (Peer(single("10.0.0.1"), 6443),)


@pytest.mark.parametrize(
    ("data", "servers"), [(DATA, {"10.0.0.1/32", "10.96.7.7/32"}), (VOLUME, {"10.0.0.1/32"})]
)
def test_a_check_reaches_what_it_needs(data: dict[str, Any], servers: set[str]) -> None:
    """One that measures: API server and model server, as a run; one that reads a volume, no model server."""
    world = drifting(data)
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    guard = Guard(look_up=lambda _host, _port, /: ["10.96.7.7"])
    world.controller.network = Network(world.settings, FixedApiServer(world.cluster, environment), guard)
    fill(world, "second")
    later(world, 1.3 * world.settings.check_seconds)
    world.settle()
    spec = world.get(NETWORK_POLICY, "docs-check")["spec"]
    blocks = {to["ipBlock"]["cidr"] for rule in spec["egress"] for to in rule["to"] if "ipBlock" in to}
    assert servers <= blocks
    assert ("10.96.7.7/32" in blocks) == ("10.96.7.7/32" in servers)
    pods = spec["podSelector"]["matchLabels"]
    assert pods.items() <= check_job(world)["spec"]["template"]["metadata"]["labels"].items()
    assert not pods.items() <= world.get(JOB, "docs-r1-a1")["metadata"]["labels"].items()


def test_many_resources_have_times_of_their_own() -> None:
    """Between three and five quarters of the period, spread evenly, and always the same."""
    times = sorted(spread(f"uid-{number}") for number in range(200))
    assert 0.75 <= times[0] < 0.77
    assert 1.23 < times[-1] <= 1.25
    assert max(later - sooner for sooner, later in pairwise(times)) < 0.02
    assert spread("uid-1") == spread("uid-1")


def test_a_restored_resource_knows_its_samples_from_the_manifest() -> None:
    """Nothing is measured because of a restore."""
    world = drifting()
    world.restore()
    fill(world, "first")
    world.settle()
    assert world.made(JOB) == ["docs-r1-a1"]
    fill(world, "second")
    world.settle()
    assert check_jobs(world) == ["docs-check-1"]


def test_both_changes_are_measured_together_once_more() -> None:
    """Samples and model, each measured with the other's earlier state."""
    world = drifting()
    fill(world, "second")
    answer(world, found(f1=0.8))
    renew(world, "sha256:2")
    answer(world, found(f1=0.8, changed=False))
    assert findings(world) == ("Unchanged", "NoLoss")
    fill(world, "third")
    answer(world, found(OTHER, f1=0.8))
    assert findings(world) == ("NoLoss", None)
    assert world.made(JOB)[1:] == ["docs-check-1", "docs-check-2", "docs-check-3"]
