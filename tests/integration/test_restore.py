"""A backup with plain kubectl, and what a restored DomainTraining makes of it."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.trainings import GROUP, apply, config_map, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]
PROMPTS = "training.aegisrag.io/role in (prompt,served)"


def backup(sandbox: Sandbox, space: str) -> list[Json]:
    """The resource and its prompts as kubectl prints them, without what names the objects of today."""
    listed = sandbox.cluster.kubectl("get", "configmap", f"-n={space}", f"-l={PROMPTS}", "-o=json")
    resource = sandbox.cluster.kubectl("get", "dt", "docs", f"-n={space}", "-o=json")
    saved = [*json.loads(listed)["items"], json.loads(resource)]
    for one in saved:
        for key in ("uid", "resourceVersion", "creationTimestamp", "generation", "ownerReferences"):
            one["metadata"].pop(key, None)
    return saved


def restore(sandbox: Sandbox, space: str, saved: list[Json]) -> None:
    """`kubectl apply` of a backup."""
    for one in saved:
        one["metadata"]["namespace"] = space
    body = {"apiVersion": "v1", "kind": "List", "items": saved}
    sandbox.cluster.kubectl("apply", "--filename=-", input=json.dumps(body))


def delete(sandbox: Sandbox, space: str) -> None:
    """The resource goes, and with it all that it owns; a new kind is known to the collector after 30 s."""
    sandbox.cluster.kubectl("delete", "dt", "docs", f"--namespace={space}", "--timeout=20s")
    wait_for("nothing left", lambda: not prompts(sandbox, space), seconds=90)


def prompts(sandbox: Sandbox, space: str) -> list[Json]:
    """The ConfigMaps with prompts."""
    path = f"/api/v1/namespaces/{space}/configmaps"
    return [
        one for one in sandbox.cluster.api.items(path) if one["metadata"]["name"].startswith("docs-prompt")
    ]


def adopted(sandbox: Sandbox, space: str, *others: str) -> None:
    """Waits until baseline, revision and served prompt name the resource of today and others as owners."""
    resource = sandbox.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/docs")
    wanted = {resource["metadata"]["uid"], *others}

    def owners() -> bool:
        found = [one["metadata"].get("ownerReferences", []) for one in prompts(sandbox, space)]
        return [{owner["uid"] for owner in one} for one in found] == [wanted] * 3

    wait_for("adopted", owners)


def test_a_restored_resource_serves_its_prompts_without_a_run(sandbox: Sandbox, space: str) -> None:
    """After deletion and in another namespace: the prompts without owner references are adopted."""
    apply(sandbox, space, tasks=["entities"])
    before = ready(sandbox, space)
    served = config_map(sandbox, space, "docs-prompt")
    saved = backup(sandbox, space)
    delete(sandbox, space)
    other = f"{space[:50]}-other"
    sandbox.cluster.kubectl("create", "namespace", other)
    for place in (space, other):
        restore(sandbox, place, saved)
        shown = ready(sandbox, place)
        assert shown["promptConfig"] == before["promptConfig"]
        assert config_map(sandbox, place, "docs-prompt") == served
        assert jobs(sandbox, place) == []
        adopted(sandbox, place)
    apply(sandbox, space, tasks=["entities"], optimizer={"seed": 10})
    wait_for("run 2", lambda: status(sandbox, space).get("run", {}).get("number") == 2)


def test_a_reference_to_a_resource_that_is_gone_is_taken_over(sandbox: Sandbox, space: str) -> None:
    """Beside an owner that lives the garbage collector leaves a prompt; only one controller is allowed."""
    apply(sandbox, space, tasks=["entities"])
    ready(sandbox, space)
    saved = backup(sandbox, space)
    delete(sandbox, space)
    samples = sandbox.cluster.api.get(f"/api/v1/namespaces/{space}/configmaps/samples")["metadata"]["uid"]
    for one in saved[:-1]:
        kind = {"apiVersion": "training.aegisrag.io/v1alpha1", "kind": "DomainTraining", "name": "docs"}
        one["metadata"]["ownerReferences"] = [
            kind | {"uid": "00000000-0000-4000-8000-000000000000", "controller": True},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "samples", "uid": samples},
        ]
    restore(sandbox, space, saved[-1:] + saved[:-1])
    ready(sandbox, space)
    adopted(sandbox, space, samples)
