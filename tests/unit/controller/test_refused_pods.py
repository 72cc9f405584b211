"""A Job whose pods are refused is explained by its events, as nothing else tells of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domaintraining.controller.diagnose import refused_pods
from domaintraining.controller.jobs import build_job
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.observe import SLOWEST_POD, observe
from domaintraining.controller.settings import Settings
from tests.unit.controller.test_decide import NOW, record, resource

Json = dict[str, Any]
QUOTA = 'Error creating: pods "docs-r1-a1-{}" is forbidden: exceeded quota: team, requested: pods=1'
POLICY = 'Error creating: pods "docs-r1-a1-x" is forbidden: violates PodSecurity "restricted:latest"'


def warning(note: str, at: str = "2026-11-23T16:00:00Z", **fields: Any) -> Json:
    """An event of the Job controller as events.k8s.io shows it."""
    return {"reason": "FailedCreate", "note": note, "eventTime": None, "deprecatedLastTimestamp": at} | fields


@pytest.mark.parametrize(
    ("warnings", "reason"),
    [
        ([], None),
        ([warning("Job was active longer than specified", reason="DeadlineExceeded")], None),
        ([warning(QUOTA.format("a"))], "QuotaExceeded"),
        ([warning(POLICY)], "AdmissionDenied"),
        ([warning(POLICY), warning(QUOTA.format("a"), at="2026-11-23T16:00:05Z")], "QuotaExceeded"),
        (
            [warning(POLICY, series={"lastObservedTime": "2026-11-24"}), warning(QUOTA)],
            "AdmissionDenied",
        ),
    ],
)
def test_the_last_refusal_counts(warnings: list[Json], reason: str | None) -> None:
    found = refused_pods(warnings)
    assert (found and found.reason) == reason


def test_every_try_is_told_with_the_same_words() -> None:
    """Else status would be written again for each of them."""
    first, second = (refused_pods([warning(QUOTA.format(name))]) for name in ("a", "b"))
    assert first
    assert second
    assert first.message == second.message
    assert "exceeded quota: team" in first.message


@pytest.mark.parametrize(("waited", "asked"), [(SLOWEST_POD, "no"), (SLOWEST_POD * 2, "yes")])
def test_events_are_asked_for_once_a_pod_should_be_there(waited: timedelta, asked: str) -> None:
    """A Job whose pod is made at once costs no request more."""
    mine = resource()
    job = build_job(mine, record().run, record().attempt, Settings(trainer_image="i"))
    job["metadata"]["uid"] = "job-uid"
    job["status"] = {"startTime": (NOW - waited).isoformat()}
    regarding = {"regarding": {"uid": "job-uid"}, "type": "Warning"}
    about = {"apiVersion": "events.k8s.io/v1", "kind": "Event"}
    event = warning(QUOTA.format("a")) | regarding | about
    event["metadata"] = {"name": "a", "namespace": mine.namespace}
    seen = asyncio.run(observe(MemoryCluster(job, event), mine, NOW))
    (found,) = seen.jobs
    assert (found.trouble is not None) is (asked == "yes")
