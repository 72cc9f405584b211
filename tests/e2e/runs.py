"""Runs of the demo's DomainTraining on the real node, and short words for their pods and conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.e2e.product import Product
from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY

Json = dict[str, Any]
GROUP: Final = "/apis/training.aegisrag.io/v1alpha1"
NAME: Final = "tech-docs"
MANIFEST: Final = REPOSITORY / "crds" / "samples" / "tech-docs.yaml"
SAMPLES: Final = REPOSITORY / "crds" / "samples" / "tech-docs.jsonl"
RUN_SECONDS: Final = 300
LABEL_NAME: Final = "training.aegisrag.io/name"


@dataclass(frozen=True)
class FinishedRun:
    """A run of the demo that ended with a prompt."""

    space: str
    status: Json
    calls: int
    """Chat calls that the model server got for it."""
    prompt: dict[str, str]
    """The data of the served ConfigMap."""

    @property
    def answers(self) -> dict[str, str]:
        """The prompts themselves, without the manifest, which tells of names and versions."""
        return {key: text for key, text in self.prompt.items() if key != "manifest.json"}


def start_demo(product: Product, space: str, job: Json | None = None) -> None:
    """Applies crds/samples in a namespace; `job` becomes spec.job."""
    in_space = f"--namespace={space}"
    product.cluster.kubectl(in_space, "create", "configmap", NAME, f"--from-file=samples.jsonl={SAMPLES}")
    resource = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    if job is not None:
        resource["spec"]["job"] = job
    product.cluster.kubectl(in_space, "apply", "--filename=-", input=yaml.safe_dump(resource))


def finish_demo(product: Product, space: str, calls_before: int) -> FinishedRun:
    """Waits for the demo's end. Raises AssertionError with its state where it comes to none."""
    try:
        wait_for(f"{space}/{NAME} is Ready", lambda: is_ready(product, space), RUN_SECONDS)
    except AssertionError as error:
        in_space = f"--namespace={space}"
        state = product.cluster.kubectl(in_space, "describe", "domaintrainings,pods")
        raise AssertionError(f"{error}\n{state}") from None
    status = resource_of(product, space)["status"]
    path = f"/api/v1/namespaces/{space}/configmaps/{status['promptConfig']['configMap']}"
    prompt = product.cluster.api.get(path)["data"]
    return FinishedRun(space, status, product.calls() - calls_before, prompt)


def resource_of(product: Product, space: str, name: str = NAME) -> Json:
    """A DomainTraining as the API server holds it."""
    return product.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/{name}")


def is_ready(product: Product, space: str, name: str = NAME) -> bool:
    """Whether its prompt is served. Raises AssertionError with the message where it is stalled."""
    conditions = resource_of(product, space, name).get("status", {}).get("conditions", [])
    found = {one["type"]: one for one in conditions}
    assert "Stalled" not in found, found["Stalled"]
    return bool(found.get("Ready", {}).get("status") == "True")


def trainer_pods(product: Product, space: str, name: str = NAME) -> list[Json]:
    """The pods of a DomainTraining's trainers, the newest first."""
    path = f"/api/v1/namespaces/{space}/pods"
    found = product.cluster.api.items(path, labelSelector=f"{LABEL_NAME}={name}")
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)


def container_id(pod: Json) -> str:
    """The id of a pod's one container, as containerd knows it."""
    (state,) = pod["status"]["containerStatuses"]
    return str(state["containerID"]).removeprefix("containerd://")


def running_trainer(product: Product, space: str, name: str = NAME) -> Json | None:
    """The pod whose trainer runs now."""
    for pod in trainer_pods(product, space, name):
        states = [one["state"] for one in pod["status"].get("containerStatuses", [])]
        if any("running" in state for state in states) and not pod["metadata"].get("deletionTimestamp"):
            return pod
    return None
