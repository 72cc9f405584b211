"""Objects of a run: no privilege, no secret, names that are always the same, gone with their resource."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.names import ANNOTATION_SERVERS, LABEL_QUEUE, MAX_NAME
from domaintraining.api.run import Origin, Run, RunJournal
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.controller import manifests
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.jobs import build_job
from domaintraining.controller.observed import Resource
from domaintraining.controller.parts import parts_of_run
from domaintraining.controller.settings import Settings
from tests.unit.controller.test_decide import HASH, record, resource, revision

SETTINGS = Settings(trainer_image="domaintraining:1")
SAMPLE = {"text": "The patient's number is 7.", "entities": [{"name": "7", "type": "Number"}]}
RESOURCES = {"limits": {"memory": "1Gi"}, "requests": {"cpu": "500m"}}


def wanting(**spec: Any) -> Resource:
    """A resource whose spec differs from the smallest one."""
    smallest = {"dataset": {"configMap": {"name": "data", "key": "samples.jsonl"}}}
    return resource(spec=DomainTrainingSpec.model_validate(smallest | spec))


def started(**changes: Any) -> tuple[Run, Attempt]:
    """A run with its attempt."""
    one = record()
    return one.run.model_copy(update=changes), one.attempt


def job_of(wanted: Resource | None = None, **changes: Any) -> dict[str, Any]:
    """The Job of a run."""
    return build_job(wanted or resource(), *started(**changes), SETTINGS)


def everything(wanted: Resource) -> list[dict[str, Any]]:
    """All objects that are made for a resource."""
    run, attempt = started(served=1)
    return [
        manifests.build_run(wanted, run, attempt),
        manifests.build_data(wanted, run),
        manifests.build_report(wanted, 1),
        manifests.build_revision(wanted, 0, HASH, {}),
        manifests.build_served(wanted, revision(1)),
        manifests.build_claim(wanted, f"{wanted.name}-journal"),
        *manifests.rights_of(wanted, parts_of_run(wanted.name, 1)),
        build_job(wanted, run, attempt, SETTINGS),
    ]


def test_the_pod_has_no_privilege() -> None:
    """As the strictest of the pod security standards asks, and without the default token."""
    pod = job_of()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
    assert all("hostPath" not in volume for volume in pod["volumes"])
    assert pod["restartPolicy"] == "Never"


def test_the_token_is_short_lived_and_may_write_one_report() -> None:
    """Get and patch of one ConfigMap by its name; the token is renewed within the hour."""
    volumes = {one["name"]: one for one in job_of()["spec"]["template"]["spec"]["volumes"]}
    token, authority = volumes["credentials"]["projected"]["sources"]
    assert token == {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    assert authority["configMap"]["name"] == "kube-root-ca.crt"
    role, account, binding = manifests.rights_of(resource(), parts_of_run(resource().name, 1))
    assert account["automountServiceAccountToken"] is False
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["docs-r1-report"],
            "verbs": ["get", "patch"],
        }
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "docs-r1", "namespace": "team"}]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }


def test_what_is_mounted_can_not_be_written() -> None:
    """But the pod's own folder and the journal; every mount has its volume."""
    pod = job_of(served=4)["spec"]["template"]["spec"]
    mounts = pod["containers"][0]["volumeMounts"]
    assert {one["name"] for one in mounts if not one.get("readOnly")} == {"tmp", "journal"}
    assert {one["name"] for one in mounts} == {one["name"] for one in pod["volumes"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes["served"] == {"name": "served", "configMap": {"name": "docs-prompt-r4"}}
    assert "served" not in {one["name"] for one in job_of()["spec"]["template"]["spec"]["volumes"]}


def test_a_served_prompt_of_several_runs_is_mounted_from_their_revisions() -> None:
    """Each task's request, and what each run had seen; a baseline has seen nothing."""
    sources = {"entities": Origin(revision=4), "relations": Origin(revision=2)}
    assert served_files(served=4, served_from=sources) == {
        "docs-prompt-r4": {
            "manifest.json": "manifest.json",
            "entities.request.json": "entities.request.json",
        },
        "docs-prompt-r2": {
            "manifest.json": "manifest-r2.json",
            "relations.request.json": "relations.request.json",
        },
    }
    sources = {"entities": Origin(revision=4), "relations": Origin(revision=3, baseline=True)}
    assert served_files(served=4, served_from=sources)["docs-prompt-r3"] == {
        "baseline.relations.request.json": "relations.request.json"
    }


def served_files(**changes: Any) -> dict[str, dict[str, str]]:
    """What is mounted as the served prompt: for each ConfigMap paths by key."""
    volumes = {one["name"]: one for one in job_of(**changes)["spec"]["template"]["spec"]["volumes"]}
    sources = [one["configMap"] for one in volumes["served"]["projected"]["sources"]]
    return {one["name"]: {item["key"]: item["path"] for item in one["items"]} for one in sources}


def test_every_object_belongs_to_its_resource() -> None:
    """The garbage collector removes it, and the controller finds it; the owner's deletion waits for none."""
    for body in everything(wanting(dataset={"inline": [SAMPLE]})):
        metadata = body["metadata"]
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("DomainTraining", "uid-1", True)
        assert owner["blockOwnerDeletion"] is False
        assert metadata["namespace"] == "team"
        assert metadata["labels"]["training.aegisrag.io/name"] == "docs"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "domaintraining"


def test_names_and_labels_are_valid_for_the_longest_name() -> None:
    """The largest numbers, too."""
    longest = replace(resource(), name="a" * MAX_NAME)
    run, attempt = started(number=99_999_999)
    job = build_job(longest, run, attempt.model_copy(update={"number": 99_999}), SETTINGS)
    for body in [*everything(longest), job]:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", body["metadata"]["name"])
        for value in body["metadata"]["labels"].values():
            assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value)


def test_sample_text_stands_in_the_data_and_nowhere_else() -> None:
    """Not in a label, an argument, an environment variable or the run."""
    wanted = wanting(dataset={"inline": [SAMPLE, SAMPLE]})
    for body in everything(wanted):
        held = "patient" in json.dumps(body)
        assert held is (body["metadata"]["name"] == "docs-r1-data")
    data = manifests.build_data(wanted, started()[0])["data"]
    (lines,) = data.values()
    assert [json.loads(line) for line in lines.splitlines()] == [SAMPLE, SAMPLE]


def test_the_pod_gets_no_secret() -> None:
    """No Secret is mounted or read, and the environment holds names and paths alone."""
    pod = job_of()["spec"]["template"]["spec"]
    assert all("secret" not in volume for volume in pod["volumes"])
    assert "envFrom" not in pod["containers"][0]
    assert all(set(one) == {"name", "value"} for one in pod["containers"][0]["env"])
    environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert environment["REPORT_NAME"] == "docs-r1-report"
    assert environment["ATTEMPT"] == "1"


def test_a_run_keeps_its_image_and_a_failure_is_final_by_its_code() -> None:
    """3 and 75 end the attempt; a pod that was evicted does not count."""
    job = job_of(image="registry.example/trainer:7")
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/trainer:7"
    ignore, fail = job["spec"]["podFailurePolicy"]["rules"]
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [3, 75])


def test_kueue_lets_the_job_of_its_queue_go_and_nobody_else_does() -> None:
    """Made suspended; without a queue spec.suspend is not written, so that nobody fights over it."""
    made = job_of(replace(wanting(), labels={LABEL_QUEUE: "gpus"}))
    assert (made["metadata"]["labels"][LABEL_QUEUE], made["spec"]["suspend"]) == ("gpus", True)
    assert "suspend" not in job_of()["spec"]


def test_a_job_names_its_model_servers() -> None:
    """What it takes a place on, with the model on each; of two models on one server the trained one."""
    made = json.loads(job_of()["metadata"]["annotations"][ANNOTATION_SERVERS])
    assert made == {"http://ollama:11434": "qwen3:32b"}


def test_the_spec_places_the_pod() -> None:
    """Resources, selector, tolerations, class, labels, annotations; and Kueue's queue from the resource."""
    job = {
        "resources": RESOURCES,
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "low",
        "podLabels": {"team": "docs"},
        "podAnnotations": {"note": "a"},
        "backoffLimit": 1,
        "ttlSecondsAfterFinished": 600,
    }
    made = job_of(replace(wanting(job=job), labels={LABEL_QUEUE: "gpus", "other": "x"}))
    pod = made["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == RESOURCES
    assert (pod["nodeSelector"], pod["priorityClassName"]) == ({"pool": "gpu"}, "low")
    assert pod["tolerations"] == job["tolerations"]
    assert made["spec"]["template"]["metadata"]["annotations"] == {"note": "a"}
    assert made["spec"]["template"]["metadata"]["labels"]["team"] == "docs"
    assert (made["spec"]["backoffLimit"], made["spec"]["ttlSecondsAfterFinished"]) == (1, 600)
    assert made["metadata"]["labels"][LABEL_QUEUE] == "gpus"
    assert "other" not in made["metadata"]["labels"]
    assert "priorityClassName" not in job_of()["spec"]["template"]["spec"]
    assert LABEL_QUEUE not in job_of()["metadata"]["labels"]


def test_labels_of_ours_are_not_given_away() -> None:
    """Whatever the spec asks for: the controller finds its pods by them."""
    job = wanting(job={"podLabels": {"training.aegisrag.io/name": "other"}})
    labels = job_of(job)["spec"]["template"]["metadata"]["labels"]
    assert labels["training.aegisrag.io/name"] == "docs"


def test_a_finished_job_stays_until_it_was_seen() -> None:
    """One that is gone at once would be made again."""
    assert job_of(wanting(job={"ttlSecondsAfterFinished": 0}))["spec"]["ttlSecondsAfterFinished"] == 60


@pytest.mark.parametrize(
    ("dataset", "volume"),
    [
        (
            {"configMap": {"name": "data", "key": "a.jsonl"}},
            {"configMap": {"name": "data", "items": [{"key": "a.jsonl", "path": "samples.jsonl"}]}},
        ),
        ({"inline": [SAMPLE]}, {"configMap": {"name": "docs-r1-data"}}),
        (
            {"persistentVolumeClaim": {"claimName": "c", "path": "a.jsonl"}},
            {"persistentVolumeClaim": {"claimName": "c"}},
        ),
    ],
)
def test_the_data_are_mounted_from_their_source(dataset: dict[str, Any], volume: dict[str, Any]) -> None:
    """The trainer has no right to read them otherwise."""
    volumes = job_of(wanting(dataset=dataset))["spec"]["template"]["spec"]["volumes"]
    assert {"name": "data"} | volume in volumes


def test_the_journal_is_a_claim_or_lives_as_long_as_the_pod() -> None:
    """With a size in either case."""
    volumes = job_of(wanting(job={"journal": {"storage": "2Gi"}}))["spec"]["template"]["spec"]["volumes"]
    assert {"name": "journal", "emptyDir": {"sizeLimit": "2Gi"}} in volumes
    kept = job_of(journal=RunJournal(kept=True, claim="answers"))["spec"]["template"]["spec"]["volumes"]
    assert {"name": "journal", "persistentVolumeClaim": {"claimName": "answers"}} in kept


def test_a_revision_is_immutable_and_what_is_served_is_its_copy() -> None:
    """Only what is served changes."""
    body = manifests.build_revision(resource(), 3, HASH, {"a": "b"})
    assert (body["immutable"], body["data"], body["metadata"]["name"]) == (True, {"a": "b"}, "docs-prompt-r3")
    served = manifests.build_served(resource(), revision(3))
    assert "immutable" not in served
    assert (served["data"], served["metadata"]["name"]) == (revision(3).data, "docs-prompt")
    assert served["metadata"]["labels"]["training.aegisrag.io/revision"] == "3"


def test_the_report_is_made_without_data() -> None:
    """What is applied is the controller's; the data are the trainer's alone."""
    assert "data" not in manifests.build_report(resource(), 1)


def test_an_event_is_bounded_and_about_the_resource() -> None:
    """The API server refuses notes of more than 1,024 bytes."""
    event = manifests.build_event(
        resource(),
        kind="Normal",
        reason="Queued",
        note="ä" * 2000,
        now="2026-11-23T12:00:00.000000Z",
        name="e",
    )
    assert len(event["note"].encode()) <= 1024
    assert event["regarding"]["uid"] == "uid-1"
    assert event["metadata"] == {"name": "e", "namespace": "team"}
