"""Every version of a DomainTraining that the API server has shown, in order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.integration.waiting import wait_for
from tests.sandbox.cluster import Cluster

Json = dict[str, Any]
PATIENCE_SECONDS: Final = 240.0
GROUP: Final = "/apis/training.aegisrag.io/v1alpha1"


class Watched:
    """The DomainTraining `docs` of one namespace, and what `kubectl get --watch` has said about it."""

    def __init__(self, cluster: Cluster, space: str, output: Path) -> None:
        self.cluster = cluster
        self.space = space
        self._output = output
        self._seen = 0

    def versions(self) -> list[Json]:
        """All that was shown since the last `forget`."""
        return shown(self._output)[self._seen :]

    def forget(self) -> None:
        """From here on only what comes later is looked at."""
        self._seen += len(self.versions())

    def first(self, what: str, holds: Callable[[Json], bool]) -> Json:
        """The first version of which this holds; waits for it."""
        look = partial(self.shown, holds)
        try:
            return wait_for(f"{self.space}: {what}", look, PATIENCE_SECONDS)
        except AssertionError as error:
            last = [one.get("status") for one in self.versions()[-1:]]
            raise AssertionError(f"{error}; the status shown last: {json.dumps(last)}") from None

    def shown(self, holds: Callable[[Json], bool]) -> Json | None:
        """The first version so far of which this holds; None: there is none."""
        return next(filter(holds, self.versions()), None)

    def apply(self, metadata: Json | None = None, **spec: Any) -> None:
        """Server-side apply of the resource, as GitOps tools do it."""
        data = {"configMap": {"name": "samples", "key": "samples.jsonl"}}
        body = {
            "apiVersion": "training.aegisrag.io/v1alpha1",
            "kind": "DomainTraining",
            "metadata": {"name": "docs", "namespace": self.space, **(metadata or {})},
            "spec": {"dataset": data, "auto": "light", "tasks": ["entities"]} | spec,
        }
        self.cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "--filename=-", input=json.dumps(body)
        )

    def annotate(self, **annotations: str) -> None:
        """Annotations of the project's own prefix."""
        named = {f"training.aegisrag.io/{name.replace('_', '-')}": text for name, text in annotations.items()}
        path = f"{GROUP}/namespaces/{self.space}/domaintrainings/docs"
        self.cluster.api.patch(path, {"metadata": {"annotations": named}})


def shown(output: Path) -> list[Json]:
    """All objects that a watch has written so far."""
    text, found, at = output.read_text(encoding="utf-8").strip(), [], 0
    decoder = json.JSONDecoder()
    while at < len(text):
        try:
            one, end = decoder.raw_decode(text, at)
        except ValueError:  # the last one is half written
            break
        found.append(one)
        at = end + 1
    return found


@contextmanager
def watched(cluster: Cluster, space: str, folder: Path) -> Iterator[Watched]:
    """Watches a namespace from before its DomainTraining is made; ends the watch behind the block."""
    output = folder / f"{space}.json"
    command = [str(cluster.kubectl_program), "get", "dt", f"--namespace={space}", "--watch", "--output=json"]
    with output.open("w", encoding="utf-8") as file:
        watch = subprocess.Popen(
            [*command, f"--kubeconfig={cluster.admin_kubeconfig}"],
            stdout=file,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield Watched(cluster, space, output)
    finally:
        watch.kill()
        watch.wait()


def condition(body: Json, kind: str) -> tuple[str, str]:
    """Status and reason of a condition; empty where there is none."""
    for one in body.get("status", {}).get("conditions", []):
        if one["type"] == kind:
            return one["status"], one["reason"]
    return "", ""
