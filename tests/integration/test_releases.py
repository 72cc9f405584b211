"""The commands of docs/releases.md, as they stand there, in a namespace of the sandbox.

The story runs some of them, too, and restores into a cluster of its own.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.shell import Shell
from tests.integration.trainings import GROUP, SAMPLES, Json, config_map, jobs
from tests.integration.waiting import wait_for
from tests.readme import block
from tests.sandbox import kubeconfig
from tests.sandbox.environment import Sandbox, path_of_kubectl
from tests.unit.test_docs_releases import PAGE

NAME = "tech-docs"
PROMPT = f"{NAME}-prompt"
ANY = {"require": "Any"}
LABEL = "training.aegisrag.io/keep"


class User(Shell):
    """Somebody with kubectl, in a namespace with the samples and a DomainTraining of the docs' name."""

    def __init__(self, sandbox: Sandbox, space: str, folder: Path) -> None:
        super().__init__(sandbox.cluster)
        self.sandbox, self.space, self.folder = sandbox, space, folder
        access = replace(kubeconfig.read(sandbox.cluster.admin_kubeconfig), namespace=space)
        self.environment |= {
            "PATH": f"{path_of_kubectl(sandbox.cluster)}:{os.defpath}",
            "KUBECONFIG": str(kubeconfig.write(folder / "kubeconfig", access)),
        }
        body = {"metadata": {"name": NAME}, "data": {"samples.jsonl": SAMPLES}}
        sandbox.cluster.api.create(f"/api/v1/namespaces/{space}/configmaps", body)

    def docs(self, heading: str, number: int = 0, line: int | None = None) -> str:
        """Runs a block of the page, or one line of it."""
        text = block(heading, "sh", number, PAGE)
        return self.run(text if line is None else text.splitlines()[line], self.folder).strip()

    def apply(self, seed: int, **spec: Any) -> None:
        """A DomainTraining with a short search."""
        data = {"configMap": {"name": NAME, "key": "samples.jsonl"}}
        search = {"numCandidates": 2, "numTrials": 1, "seed": seed}
        body = {
            "apiVersion": "training.aegisrag.io/v1alpha1",
            "kind": "DomainTraining",
            "metadata": {"name": NAME, "namespace": self.space},
            "spec": {"dataset": data, "auto": "manual", "optimizer": search} | spec,
        }
        self.cluster.api.patch(self.path, body, "apply")

    @property
    def path(self) -> str:
        """Of the DomainTraining."""
        return f"{GROUP}/namespaces/{self.space}/domaintrainings/{NAME}"

    @property
    def status(self) -> Json:
        """Its status."""
        return dict(self.cluster.api.get(self.path).get("status") or {})

    def says(self, kind: str, reason: str) -> bool:
        """Whether a condition of the spec of now is true for a reason."""
        found = self.cluster.api.get(self.path)
        return any(
            (one["type"], one["status"], one["reason"]) == (kind, "True", reason)
            and one["observedGeneration"] == found["metadata"]["generation"]
            for one in (found.get("status") or {}).get("conditions", [])
        )

    def ends(self, kind: str, reason: str) -> None:
        """Waits for the end of a run."""
        wait_for(f"{kind}: {reason}", lambda: self.says(kind, reason), seconds=60)

    def prompts(self) -> set[str]:
        """Names of the ConfigMaps with prompts."""
        listed = self.cluster.api.items(f"/api/v1/namespaces/{self.space}/configmaps")
        return {name for one in listed if (name := one["metadata"]["name"]).startswith(PROMPT)}

    def served(self) -> Json:
        """The data of what is served."""
        return config_map(self.sandbox, self.space, PROMPT)


@pytest.fixture
def user(sandbox: Sandbox, space: str, tmp_path: Path) -> User:
    """Without a run yet."""
    return User(sandbox, space, tmp_path)


def test_the_commands_do_what_the_page_says(user: User) -> None:
    """Two runs, the second one rejected for want of documents; all else takes no Job."""
    user.apply(12, acceptance=ANY)
    user.ends("Ready", "Promoted")
    user.apply(10, acceptance={"require": "Improved"})
    user.ends("Stalled", "Rejected")
    made = jobs(user.sandbox, user.space)
    told, listed = user.docs("What was released"), user.docs("What was released", 1)
    assert [line.split()[:2] for line in told.splitlines()] == [["2", "Rejected"], ["1", "Promoted"]]
    assert re.search(rf"^{PROMPT}-r2 .* 2$", listed, re.MULTILINE)
    assert re.search(
        r"the interval begins 0\.\d{3} too low, .*; about [\d,]+ documents would settle it",
        user.docs("Rejected"),
    )
    user.docs("Rejected", 1)
    assert user.served() == config_map(user.sandbox, user.space, f"{PROMPT}-r2") | {
        "manifest.json": user.served()["manifest.json"]
    }
    assert json.loads(user.served()["manifest.json"])["promoted"] is True
    assert (
        json.loads(config_map(user.sandbox, user.space, f"{PROMPT}-r2")["manifest.json"])["promoted"] is False
    )
    user.docs("Rolled back")
    assert user.served() == config_map(user.sandbox, user.space, f"{PROMPT}-r1")
    user.docs("Rolled back", 1)
    assert user.status["promptConfig"]["revision"] == 2

    user.docs("Kept", line=0)
    user.run(f'kubectl patch dt {NAME} --type=merge --patch=\'{{"spec": {{"revisionHistoryLimit": 1}}}}\'')
    user.run(f"kubectl wait dt {NAME} --for=condition=Ready")
    assert user.prompts() == {PROMPT, f"{PROMPT}-r0", f"{PROMPT}-r1", f"{PROMPT}-r2"}
    user.docs("Kept", line=1)
    wait_for("revision 1 is gone", lambda: user.prompts() == {PROMPT, f"{PROMPT}-r0", f"{PROMPT}-r2"})
    assert jobs(user.sandbox, user.space) == made


def test_what_was_backed_up_is_restored_and_goes_on(user: User) -> None:
    """Without a Job, also what was orphaned; a file that kubectl has restored is no part of later prompts."""
    user.apply(10, acceptance=ANY)
    user.ends("Ready", "Promoted")
    before, shown = user.served(), user.status
    user.docs("Backed up")
    user.run(f"kubectl delete dt {NAME} --timeout=20s && kubectl delete configmap {NAME}")
    wait_for("nothing left", lambda: not user.prompts(), seconds=90)
    user.docs("Restored")
    assert user.served() == before
    assert (user.status["promptConfig"], user.status["metrics"]) == (shown["promptConfig"], shown["metrics"])
    assert jobs(user.sandbox, user.space) == []

    user.run(f"kubectl delete dt {NAME} --cascade=orphan --timeout=20s")
    user.run("kubectl apply --server-side --filename=backup/3-resource.json", user.folder)
    user.ends("Ready", "Promoted")
    assert user.served() == before
    assert jobs(user.sandbox, user.space) == []

    user.run(f'kubectl patch dt {NAME} --type=merge --patch=\'{{"spec": {{"tasks": ["entities"]}}}}\'')
    wait_for("run 2", lambda: (user.status.get("promptConfig") or {}).get("revision") == 2, seconds=60)
    assert {key.partition(".")[0] for key in user.served()} == {"entities", "manifest"}
    assert user.served() == config_map(user.sandbox, user.space, f"{PROMPT}-r2")
