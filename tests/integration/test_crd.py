"""What a real API server makes of the CRD: refusals with words, defaults, columns, status."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.api.hashing import run_hash
from domaintraining.api.names import GROUP, PLURAL, VERSION
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import DomainTrainingStatus, wire
from tests.sandbox.api import ApiError
from tests.sandbox.cluster import Cluster
from tests.sandbox.environment import CRD
from tests.unit.api.statuses import full_status

FILES = Path(__file__).parent / "crd"
BAD = sorted((FILES / "bad").glob("*.yaml"))
GOOD = sorted((FILES / "good").glob("*.yaml"))
NAMESPACE = f"crd-{uuid.uuid4().hex[:8]}"
RESOURCES = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that serves DomainTrainings, and an empty namespace for them."""
    cluster.define(CRD)
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def apply(cluster: Cluster, resource: Json, **query: str) -> Json:
    """Creates a resource as `kubectl apply` does: unknown fields are refused."""
    return cluster.api.request("POST", RESOURCES, resource, query={"fieldValidation": "Strict", **query})


def refusal(cluster: Cluster, resource: Json) -> str:
    """The words that the API server refuses a resource with; without effect."""
    with pytest.raises(ApiError) as refused:
        apply(cluster, resource, dryRun="All")
    assert refused.value.status in (400, 422)
    return str(refused.value)


def resource_of(spec: Json, name: str = "tech-docs") -> Json:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "DomainTraining",
        "metadata": {"name": name},
        "spec": {"dataset": {"configMap": {"name": "tech-docs", "key": "samples.jsonl"}}} | spec,
    }


def missing_words(expected: str, found: str) -> list[str]:
    """The parts of the expected words, between the dots, that don't follow each other in what was found."""
    missing = []
    for part in expected.split(" … "):
        before, _, after = found.partition(part)
        if before == found:
            missing.append(part)
        else:
            found = after
    return missing


def test_there_are_enough_files() -> None:
    assert len(BAD) >= 25
    assert len(GOOD) >= 10


@pytest.mark.parametrize("file", BAD, ids=[file.stem for file in BAD])
def test_wrong_resource_is_refused_with_field_and_remedy(served: Cluster, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    mark, _, words = text.splitlines()[0].partition("# refused: ")
    assert not mark, f"{file}: the first line says `# refused: <words>`"
    found = refusal(served, yaml.safe_load(text))
    assert missing_words(words, found) == [], found


@pytest.mark.parametrize("file", GOOD, ids=[file.stem for file in GOOD])
def test_right_resource_is_taken_and_means_what_was_written(served: Cluster, file: Path) -> None:
    """Defaults that the API server writes out change neither what is read nor what starts a run."""
    resource = yaml.safe_load(file.read_text(encoding="utf-8"))
    stored = apply(served, resource, dryRun="All")
    written = DomainTrainingSpec.model_validate(without_nulls(resource["spec"]))
    read = DomainTrainingSpec.model_validate(stored["spec"])
    assert read == written
    assert run_hash(read) == run_hash(written)
    assert stored["metadata"].get("labels") == resource["metadata"].get("labels")


def without_nulls(spec: Json) -> Json:
    """A key without value is an absent field to the API server."""
    return {key: value for key, value in spec.items() if value is not None}


def test_too_many_samples_are_refused(served: Cluster) -> None:
    sample = {"text": "Loki stores logs.", "entities": []}
    apply(served, resource_of({"dataset": {"inline": [sample] * 1000}}), dryRun="All")
    found = refusal(served, resource_of({"dataset": {"inline": [sample] * 1001}}))
    assert "spec.dataset.inline: Too many: 1001: must have at most 1000 items" in found


def test_too_long_instruction_is_refused(served: Cluster) -> None:
    apply(served, resource_of({"instructions": {"entities": "ä" * 8192}}), dryRun="All")
    found = refusal(served, resource_of({"instructions": {"entities": "ä" * 8193}}))
    assert "spec.instructions.entities: Too long: may not be more than 8192" in found


def test_new_resource_is_marked_as_unseen(served: Cluster) -> None:
    resource = resource_of({}, "unseen") | {"status": {"observedGeneration": 7}}
    assert apply(served, resource, dryRun="All")["status"] == {"observedGeneration": -1}


def test_defaults_are_shown(served: Cluster) -> None:
    spec = apply(served, resource_of({}), dryRun="All")["spec"]
    assert spec["tasks"] == ["entities", "relations"]
    assert spec["dataset"]["split"] == {"testPercent": 25, "validationPercent": 50, "seed": 9}
    assert spec["optimizer"]["bootstrappedDemos"] == 3
    assert spec["model"]["options"] == {"temperature": 0, "maxTokens": 2048, "think": "Disabled"}
    assert "auto" not in spec


def test_columns_are_those_of_the_contract(served: Cluster) -> None:
    apply(served, resource_of({}, "columns"))
    status = wire(full_status())
    served.api.patch(f"{RESOURCES}/columns/status", {"status": status})
    narrow = served.kubectl("get", "dt", "-n", NAMESPACE).splitlines()
    wide = served.kubectl("get", "dt", "-n", NAMESPACE, "-o", "wide").splitlines()
    usual = ["NAME", "READY", "REASON", "PROGRESS", "ENTITY-F1", "RELATION-F1", "MODEL", "AGE"]
    assert narrow[0].split() == usual
    assert wide[0].split() == [*usual, "AUTO", "VERDICT", "ETA", "CALLS", "REVISION", "DOMAIN", "JOB"]
    assert narrow[1].split()[:-1] == [
        "columns",
        "True",
        "Promoted",
        "100%",
        "0.712→0.831",
        "0.500→0.625",
        "qwen3:32b",
    ]
    assert wide[1].split()[8:] == [
        "light",
        "Improved",
        "2026-11-23T10:00:00Z",
        "1234",
        "3",
        "tech_docs",
        "columns-r3-a1",
    ]
    served.api.delete(f"{RESOURCES}/columns")


def test_whole_status_is_stored_as_the_controller_writes_it(served: Cluster) -> None:
    """No field is pruned, none is refused, none is added."""
    apply(served, resource_of({}, "status"))
    status = wire(full_status())
    path = f"{RESOURCES}/status"
    written = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "DomainTraining", "status": status}
    query = {"fieldManager": "domaintraining-controller", "fieldValidation": "Strict"}
    stored = served.api.patch(f"{path}/status", written, "apply", **query)
    assert stored["status"] == status
    assert DomainTrainingStatus.model_validate(stored["status"]) == full_status()
    served.api.delete(path)


def test_category_lists_it(served: Cluster) -> None:
    apply(served, resource_of({}, "category"))
    assert "category" in served.kubectl("get", "aegisrag", "-n", NAMESPACE, "-o", "name")
    served.api.delete(f"{RESOURCES}/category")


def test_fields_are_explained(served: Cluster) -> None:
    said = served.kubectl("explain", "dt.spec.optimizer.bootstrappedDemos")
    assert "At most so many demos whose answer the model gave itself and got right." in " ".join(said.split())
