"""A cluster in which the story plays: what is done there, seen there and expected there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import yaml

from tests.readme import DOCS, block
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import Sandbox, path_of_kubectl
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say

T = TypeVar("T")
Json = dict[str, Any]
NAME = "tech-docs"
PROMPT = f"{NAME}-prompt"
RELEASES = DOCS / "releases.md"
MANIFEST = REPOSITORY / "crds" / "samples" / "tech-docs.yaml"
TRAININGS = "/apis/training.aegisrag.io/v1alpha1/namespaces/default/domaintrainings"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LIMIT_SECONDS = 300.0
LOOK_SECONDS = 0.05


class Stage:
    """One sandbox, with a DomainTraining `tech-docs` in the namespace default; `folder` is for files."""

    def __init__(self, sandbox: Sandbox, folder: Path, say: Say) -> None:
        self.sandbox, self.folder, self.say = sandbox, folder, say

    # what is done

    def apply(self, spec: Mapping[str, Any]) -> None:
        """The sample's DomainTraining with other fields of its spec, as a person edits and applies it."""
        body = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
        body["spec"] |= spec
        self.say(f"  spec: {json.dumps(spec)}")
        self.kubectl("apply", "--filename=-", given=json.dumps(body))

    def put_samples(self, lines: list[str]) -> None:
        """The ConfigMap with the samples, or other samples in it."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": "default"},
            "data": {"samples.jsonl": "".join(f"{line}\n" for line in lines)},
        }
        self.kubectl("apply", "--server-side", "--filename=-", given=json.dumps(body))

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """`kubectl` as admin."""
        return self.sandbox.cluster.kubectl(*arguments, input=given)

    def commands(self, heading: str, number: int = 0) -> str:
        """Runs a block of docs/releases.md as it stands; gives what it printed.

        Raises SandboxError with what it said when it fails.
        """
        text = block(heading, "sh", number, RELEASES)
        for line in text.splitlines():
            self.say(f"  $ {line}")
        cluster = self.sandbox.cluster
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env={
                "PATH": f"{path_of_kubectl(cluster)}:{os.environ.get('PATH', os.defpath)}",
                "HOME": str(cluster.state),
                "KUBECONFIG": str(cluster.admin_kubeconfig),
            },
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise SandboxError(f"docs/releases.md, {heading}: {done.stderr.strip()}")
        return done.stdout.strip()

    # what is seen

    @property
    def calls(self) -> int:
        """Chat and embedding calls that the model server was asked for so far."""
        with urlopen(f"{self.sandbox.model_server}/simulated/stats", timeout=10) as answer:
            asked = json.load(answer)["calls"]
        return int(asked.get("/api/chat", 0) + asked.get("/api/embed", 0))

    @property
    def resource(self) -> Json:
        """The DomainTraining."""
        return self.sandbox.cluster.api.get(f"{TRAININGS}/{NAME}")

    @property
    def status(self) -> Json:
        """Its status."""
        return dict(self.resource.get("status") or {})

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition of the spec of now; empty where there is none."""
        found = self.resource
        for one in (found.get("status") or {}).get("conditions", []):
            if one["type"] == kind and one["observedGeneration"] == found["metadata"]["generation"]:
                return one["status"], one["reason"], one["message"]
        return "", "", ""

    def data(self, name: str) -> dict[str, str]:
        """The data of a ConfigMap."""
        return dict(self.sandbox.cluster.api.get(f"{CONFIG_MAPS}/{name}")["data"])

    def prompt(self, revision: int | None = None) -> dict[str, str]:
        """The prompts that are served, or those of a revision."""
        return self.data(PROMPT if revision is None else f"{PROMPT}-r{revision}")

    def manifest(self, revision: int) -> Json:
        """What a revision's manifest says."""
        found: Json = json.loads(self.prompt(revision)["manifest.json"])
        return found

    def jobs(self) -> list[str]:
        """Names of all Jobs."""
        return [one["metadata"]["name"] for one in self.sandbox.cluster.api.items("/apis/batch/v1/jobs")]

    def seen(self) -> str:
        """What `kubectl get dt` says of it."""
        status = self.status
        _, reason, _ = self.condition("Ready")
        return f"{reason} {status.get('summary', {}).get('progress', '')}"

    # what is expected

    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """Looks until there is an answer that is true. Raises SandboxError if none comes."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            if found := look():
                return found
            if time.monotonic() > deadline:
                told = json.dumps(self.status.get("conditions"), indent=2)
                raise SandboxError(f"not within {LIMIT_SECONDS:.0f} s: {what}; the conditions are\n{told}")
            time.sleep(LOOK_SECONDS)

    def ended(self) -> bool:
        """Whether nothing goes on: a prompt of this spec is served, or a person has to act."""
        ready, stalled = self.condition("Ready")[0], self.condition("Stalled")[0]
        return "True" in (ready, stalled) and self.condition("Reconciling")[0] != "True"

    def expect(self, claim: str, *, holds: bool) -> None:
        """Raises SandboxError where a claim of the story does not hold."""
        if not holds:
            told = json.dumps(self.status, indent=2)
            raise SandboxError(f"the story does not hold: {claim}. The status is\n{told}")
