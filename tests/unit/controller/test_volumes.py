"""The volumes of a trainer: its journal and the data of a claim, and what is checked of them."""

import asyncio
from typing import Any

import pytest

from domaintraining.api.names import LABEL_NAME
from domaintraining.api.run import RunJournal
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.claims import check_journal, make_claim
from domaintraining.controller.cluster import ClusterError
from domaintraining.controller.jobs import JOURNAL, build_job
from domaintraining.controller.journal import journal_of, journal_words
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.observed import Observed, Resource
from domaintraining.controller.preflight import check_data
from domaintraining.controller.resolve import resolve
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from tests.unit.controller.test_decide import MODEL, NOW, record
from tests.unit.controller.test_preflight import wanting

SETTINGS = Settings(trainer_image="domaintraining:1")
CLASS = {"storageClassName": "fast", "storage": "2Gi"}
DATA = {"persistentVolumeClaim": {"claimName": "samples", "path": "exports/docs.jsonl"}}


def wants_journal(**journal: Any) -> Resource:
    return wanting(job={"journal": journal})


def claim(name: str, **metadata: Any) -> dict[str, Any]:
    """A claim as the API server holds it."""
    about = {"namespace": "team", "name": name} | metadata
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about}


def pod_of(resource: Resource) -> dict[str, Any]:
    """The pod of the first attempt."""
    run = resolve(Observed(resource, NOW), 1, MODEL, SETTINGS)
    attempt = Attempt(number=1, start_time="2026-11-23T12:00:00Z")
    pod: dict[str, Any] = build_job(resource, run, attempt, SETTINGS)["spec"]["template"]["spec"]
    return pod


def volume(resource: Resource, name: str) -> dict[str, Any]:
    (found,) = (one for one in pod_of(resource)["volumes"] if one["name"] == name)
    return {key: value for key, value in found.items() if key != "name"}


@pytest.mark.parametrize(
    ("journal", "kept", "mounted"),
    [
        ({}, "", {"emptyDir": {"sizeLimit": "1Gi"}}),
        ({"storage": "5Gi"}, "", {"emptyDir": {"sizeLimit": "5Gi"}}),
        (CLASS, "docs-journal", {"persistentVolumeClaim": {"claimName": "docs-journal"}}),
        ({"claimName": "answers"}, "answers", {"persistentVolumeClaim": {"claimName": "answers"}}),
    ],
)
def test_the_journal_lies_where_the_spec_says(journal: Any, kept: str, mounted: dict[str, Any]) -> None:
    """The trainer is told whether it outlives the pod, and status where it is."""
    wanted = wants_journal(**journal)
    assert journal_of(wanted) == RunJournal(kept=bool(kept), claim=kept)
    assert volume(wanted, "journal") == mounted
    words = journal_words(journal_of(wanted))
    assert words.endswith(f"in claim {kept}") if kept else "as long as the pod" in words


def test_the_journal_can_be_written_and_its_folder_is_told() -> None:
    """The only mount beside /tmp that is not read-only."""
    (container,) = pod_of(wants_journal(**CLASS))["containers"]
    writable = [one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")]
    assert writable == ["/tmp", JOURNAL]
    assert {"name": "JOURNAL_DIR", "value": JOURNAL} in container["env"]


def test_all_runs_of_a_resource_share_one_claim() -> None:
    """Made once, owned by the resource, with class and size of the spec."""
    cluster, wanted = MemoryCluster(), wants_journal(**CLASS)
    for _ in range(2):
        asyncio.run(make_claim(cluster, wanted))
    assert cluster.writes == ["create PersistentVolumeClaim team/docs-journal"]
    (made,) = cluster.objects.values()
    assert made["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "2Gi"}},
        "storageClassName": "fast",
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == wanted.uid
    asyncio.run(check_journal(cluster, wanted))


def test_two_controllers_make_one_claim() -> None:
    """That it exists already is fine; a refusal is told."""
    wanted, entry = wants_journal(**CLASS), "create PersistentVolumeClaim team/docs-journal"
    cluster = MemoryCluster()
    cluster.refusals[entry] = ClusterError(409, "AlreadyExists", "docs-journal already exists")
    asyncio.run(make_claim(cluster, wanted))
    cluster.refusals[entry] = ClusterError(403, "Forbidden", "exceeded quota: storage")
    with pytest.raises(DomainTrainingError) as refused:
        asyncio.run(make_claim(cluster, wanted))
    assert refused.value.reason == "QuotaExceeded"


def test_a_resource_that_wants_no_claim_makes_none() -> None:
    """Neither for the pod's own folder nor for a claim that exists."""
    cluster = MemoryCluster()
    for journal in ({}, {"claimName": "answers"}):
        asyncio.run(make_claim(cluster, wants_journal(**journal)))
    assert cluster.writes == []


DELETED = "2026-11-23T12:00:00Z"


@pytest.mark.parametrize(
    ("journal", "found", "reason", "words"),
    [
        (
            {"claimName": "answers"},
            [],
            "JournalNotFound",
            "spec.job.journal.claimName: PersistentVolumeClaim answers does not exist",
        ),
        (
            {"claimName": "answers"},
            [claim("answers", deletionTimestamp=DELETED)],
            "JournalBusy",
            "is being deleted",
        ),
        (
            CLASS,
            [claim("docs-journal", labels={LABEL_NAME: "docs"}, deletionTimestamp=DELETED)],
            "JournalBusy",
            "is being deleted",
        ),
        (CLASS, [claim("docs-journal")], "NameConflict", "docs-journal exists and is not of this resource"),
    ],
)
def test_a_claim_that_cannot_be_used_is_named_before_a_job_starts(
    journal: Any, found: list[dict[str, Any]], reason: str, words: str
) -> None:
    """With what to do in the table of reasons."""
    source = {"namespace": "team", "name": "data"}
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": source, "data": {"samples.jsonl": "{}"}}
    preflight = asyncio.run(check_data(MemoryCluster(data, *found), wants_journal(**journal), SETTINGS))
    assert preflight.problem is not None
    assert preflight.problem.reason == reason
    assert words in preflight.problem.message


@pytest.mark.parametrize(
    "source",
    [
        DATA,
        {"configMap": {"name": "docs", "key": "a.jsonl"}},
        {"inline": [{"text": "Loki stores logs."}]},
        {"http": {"url": "https://data.example.com/a.jsonl"}},
    ],
)
def test_the_trainer_is_told_of_split_and_rewordings_wherever_the_data_are(source: dict[str, Any]) -> None:
    wanted = wanting(dataset={**source, "split": {"seed": 4}, "augment": {"factor": 3}})
    data = resolve(Observed(wanted, NOW), 1, MODEL, SETTINGS).data
    assert data.split.seed == 4
    assert data.augment is not None
    assert data.augment.factor == 3


def test_data_of_a_claim_are_mounted_whole_and_read_only() -> None:
    """The path is looked up below: one that is missing is an error, where a subPath would make a folder."""
    wanted = wanting(dataset=DATA)
    assert volume(wanted, "data") == {"persistentVolumeClaim": {"claimName": "samples"}}
    (container,) = pod_of(wanted)["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "data")
    assert mount["readOnly"] is True
    run = resolve(Observed(wanted, NOW), 1, MODEL, SETTINGS)
    assert (run.data.file, run.data.claim, run.data.format) == ("exports/docs.jsonl", "samples", "auto")
    assert run.data.source == "claim samples, path exports/docs.jsonl"


def test_a_missing_claim_of_data_is_named() -> None:
    """Also one that is going away."""
    for found, words in (
        ([], "does not exist"),
        ([claim("samples", deletionTimestamp=DELETED)], "being deleted"),
    ):
        preflight = asyncio.run(check_data(MemoryCluster(*found), wanting(dataset=DATA), SETTINGS))
        assert preflight.data_problem is not None
        assert preflight.data_problem.reason == "DatasetNotFound"
        assert "PersistentVolumeClaim samples" in preflight.data_problem.message
        assert words in preflight.data_problem.message


def test_another_claim_of_the_same_name_is_other_data() -> None:
    """An attempt that failed on the old one goes on with the new one."""
    digests = {
        asyncio.run(
            check_data(MemoryCluster(claim("samples", uid=uid)), wanting(dataset=DATA), SETTINGS)
        ).data_digest
        for uid in ("one", "other")
    }
    assert len(digests) == 2
    assert "" not in digests


def test_a_run_of_an_earlier_version_is_read() -> None:
    """Without the fields that came later."""
    run = record().run
    assert (run.journal, run.prompt_model, run.max_concurrent_requests) == (RunJournal(), None, None)
