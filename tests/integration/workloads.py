"""Pods and Jobs of the tests, and short words for what is asked of them."""

from __future__ import annotations

from typing import Any

from tests.integration.waiting import wait_for
from tests.sandbox import proc
from tests.sandbox.api import ApiError
from tests.sandbox.cluster import Cluster

Json = dict[str, Any]
# As an image of the sandbox: this interpreter and this checkout.
IMAGE = "domaintraining:test"
UNTIL_DONE = "while ! test -e done; do sleep 0.05; done"


def container(*command: str, **fields: Any) -> Json:
    return {"name": "main", "image": IMAGE, "command": list(command), **fields}


def pod(name: str, *command: str, **fields: Any) -> Json:
    own = {key: fields.pop(key) for key in ("env", "resources", "volumeMounts", "image") if key in fields}
    spec = {"restartPolicy": "Never", "containers": [container(*command, **own)], **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def job(name: str, *command: str, **fields: Any) -> Json:
    template = {"spec": {"restartPolicy": "Never", "containers": [container(*command, **fields)]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


class Space:
    """Short words for what the tests do in their namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.api = cluster.api
        self.core = f"/api/v1/namespaces/{namespace}"
        self.batch = f"/apis/batch/v1/namespaces/{namespace}"

    def run(self, body: Json) -> None:
        self.api.create(f"{self.core}/pods", body)

    def state(self, name: str) -> Json:
        """The container's state: one of waiting, running, terminated."""
        statuses = self.api.get(f"{self.core}/pods/{name}")["status"].get("containerStatuses")
        state: Json = statuses[0]["state"] if statuses else {}
        return state

    def until(self, name: str, kind: str) -> Json:
        """Waits for a state of the container and gives what stands in it."""
        found: Json = wait_for(f"{name} {kind}", lambda: self.state(name).get(kind))
        return found

    def ended(self, name: str) -> Json:
        """Waits for the end of a pod's container."""
        return self.until(name, "terminated")

    def pod_of(self, job: str) -> Json:
        """The first pod of a Job."""

        def look() -> list[Json]:
            return self.api.items(f"{self.core}/pods", labelSelector=f"job-name={job}")

        return wait_for(f"a pod of {job}", look)[0]

    def condition(self, job: str) -> str:
        """Waits for the end of a Job: Complete or Failed."""

        def look() -> str | None:
            conditions = self.api.get(f"{self.batch}/jobs/{job}")["status"].get("conditions", [])
            ends = [item["type"] for item in conditions if item["type"] in ("Complete", "Failed")]
            return ends[0] if ends else None

        return wait_for(f"the end of {job}", look)

    def log_of(self, name: str) -> str:
        """The pod's log so far; empty while there is none."""
        try:
            return self.api.text(f"{self.core}/pods/{name}/log")
        except ApiError:
            return ""

    def is_up(self, name: str) -> bool:
        """Whether the pod's program has said so in its log."""
        return "up" in self.log_of(name)


def let_go(name: str) -> None:
    """Makes the file that the pod's program waits for in its working folder."""
    (proc.PROC / str(processes_of(name)[0]) / "cwd" / "done").touch()


def processes_of(name: str) -> list[int]:
    """The process ids of a pod, found by what only its processes have in their environment."""
    return sorted(process.pid for process in proc.with_environment(f"HOSTNAME={name}"))
