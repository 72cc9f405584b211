"""Records states of DomainTrainings from real runs on a cluster of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from tests.gitops.scenarios import SCENARIOS, SILENT_SERVER, Scenario
from tests.gitops.watched import condition, shown, watched
from tests.integration.trainings import SAMPLES
from tests.sandbox.environment import CONTROLLER, NAMESPACE, Sandbox

Json = dict[str, Any]
AT_ONCE: Final = 6
PLACES: Final = 2
"""Trainings at once on the server, so that some have to wait."""
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
SAME_TIME: Final = "2026-01-01T00:00:00Z"
SAME_UID: Final = "00000000-0000-4000-8000-000000000000"
COUNTERS: Final = frozenset(
    {
        "modelCalls",
        "plannedModelCalls",
        "tokens",
        "plannedTokens",
        "estimatedSeconds",
        "estimatedCompletionTime",
        "lastUpdatedTime",
    }
)
"""Counts of progress that differ from run to run."""


def record(sandbox: Sandbox, folder: Path) -> dict[str, Json]:
    """All moments of all scenarios by name, without what differs from one recording to the next.

    Args:
        sandbox: a running one; its operator is told to allow the server that does not answer.
        folder: for what the watches say.
    """
    deployment = f"deployment/{CONTROLLER}"
    place = f"--namespace={NAMESPACE}"
    settings = (f"ALLOWED_ENDPOINTS={SILENT_SERVER}", f"TRAININGS_PER_SERVER={PLACES}")
    sandbox.cluster.kubectl("set", "env", deployment, place, *settings)
    sandbox.cluster.kubectl("rollout", "status", deployment, place, "--timeout=60s")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(chain.from_iterable(pool.map(partial(played, sandbox, folder), SCENARIOS)))
    found["progressing_in_line"] = _in_line(folder)
    return {name: settled(body, sandbox.model_server) for name, body in found.items()}


@contextmanager
def own_sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox that is gone behind the block."""
    running = Sandbox(folder)
    running.up(print)
    try:
        yield running
    finally:
        running.down()


def settled(body: Json, model_server: str) -> Json:
    """A recorded object without names of this run: times, ids, ports and counts are always the same.

    An instruction's text is left out as well: what the model wrote is no part of a state.
    """
    metadata = {key: body["metadata"][key] for key in ("name", "generation") if key in body["metadata"]}
    metadata |= {"namespace": "team-a", "uid": SAME_UID}
    for key in ("annotations", "deletionTimestamp", "finalizers"):
        if key in body["metadata"]:
            metadata[key] = body["metadata"][key]
    names = {
        _place(model_server): "ollama.ollama:11434",
        _place(SILENT_SERVER): "gpu-b.example.com:11434",
        "127.0.0.1": "192.0.2.1",
        f"/namespaces/{body['metadata']['namespace']}/": "/namespaces/team-a/",
    }
    kept = {key: body[key] for key in ("apiVersion", "kind", "spec", "status") if key in body}
    return dict(_plain({**kept, "metadata": metadata}, names))


def _place(url: str) -> str:
    """Host and port: messages of failed connections name these alone."""
    return url.partition("://")[2]


def _plain(value: Any, names: dict[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(one, names, name) for name, one in sorted(value.items()) if name not in COUNTERS}
    if isinstance(value, list):
        return [_plain(one, names) for one in value]
    if not isinstance(value, str):
        return value
    if key == "instruction":
        return "(left out)"
    for place, name in names.items():
        value = value.replace(place, name)
    return value if key.endswith("requested-at") else TIME.sub(SAME_TIME, value)


def _in_line(folder: Path) -> Json:
    """A moment at which some training waited for its place; which one it was is no matter."""
    for output in sorted(folder.glob("*.json")):
        for body in shown(output):
            waits = condition(body, "Ready") == ("False", "Queued") and "run" not in body["status"]
            if waits:
                return body
    raise AssertionError(f"none of {AT_ONCE} waited for one of {PLACES} places")


def played(sandbox: Sandbox, folder: Path, scenario: Scenario) -> list[tuple[str, Json]]:
    """The moments of one scenario as they were shown, in a namespace of its own."""
    space = scenario.__name__.replace("_", "-")
    cluster = sandbox.cluster
    cluster.kubectl("create", "namespace", space)
    samples = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    cluster.api.create(f"/api/v1/namespaces/{space}/configmaps", samples)
    with watched(cluster, space, folder) as one:
        moments = list(scenario(one))
    cluster.api.delete(f"/api/v1/namespaces/{space}")
    return moments
