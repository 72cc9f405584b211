"""A model that is not on the server yet: it is pulled, seen in status, and trained with."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import pairwise
from urllib.request import urlopen

from tests.integration.trainings import apply, condition, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

MODEL = "qwen2.5:72b"
PAUSE_SECONDS = 2.9
CHANGES = 2
"""Writes that wait for nothing: the Job that follows the pull, and its pod."""
PERCENT = re.compile(r"(\d+) ?%")


def installed(url: str) -> set[str]:
    """Names of the models on the server."""
    with urlopen(f"{url}/api/tags", timeout=10) as reply:
        return {model["name"] for model in json.load(reply)["models"]}


def written(sandbox: Sandbox, space: str) -> list[datetime]:
    """When the API server was asked to write the status."""
    path = f"/namespaces/{space}/domaintrainings/docs/status"
    events = [event for event in sandbox.cluster.audited() if path in event["requestURI"]]
    return [datetime.fromisoformat(event["requestReceivedTimestamp"]) for event in events]


def test_a_missing_model_is_pulled_with_its_percentage_in_status(sandbox: Sandbox, space: str) -> None:
    """ModelReady says how far the pull is, no Job starts before it, and the training goes on to Ready."""
    seen: list[int] = []

    def pulled() -> bool:
        if jobs(sandbox, space):  # the status that tells it is written just after the Job
            assert MODEL in installed(sandbox.model_server), "a Job before its model"
        truth, reason, message = condition(sandbox, space, "ModelReady")
        if truth == "True":
            return True
        if reason == "ModelPulling":
            assert MODEL in message
            assert condition(sandbox, space, "Reconciling")[0] == "True"
            seen.extend(int(percent) for percent in PERCENT.findall(message))
        return False

    apply(sandbox, space, model={"name": MODEL}, tasks=["entities"])
    wait_for("ModelReady", pulled, seconds=120)
    assert seen == sorted(seen), "a percentage fell"
    assert len(set(seen)) >= 3
    assert seen[0] < 50
    between = [(after - before).total_seconds() for before, after in pairwise(written(sandbox, space))]
    assert len([pause for pause in between if pause < PAUSE_SECONDS]) <= CHANGES, between
    shown = ready(sandbox, space)
    assert shown["model"]["name"] == MODEL
    assert MODEL in installed(shown["model"]["endpoint"])
    assert jobs(sandbox, space) == ["docs-r1-a1"]
    assert status(sandbox, space)["metrics"]["entities"]["documents"] > 0
