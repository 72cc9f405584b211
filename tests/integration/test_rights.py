"""The operator's rights are those it uses, as the API server's audit log has them after all other tests."""

from __future__ import annotations

from typing import Any

import yaml

from tests.integration.rights import Right, granted, is_trainer, refused, used
from tests.integration.trainings import allow_pods, apply, condition, ready, status
from tests.integration.waiting import wait_for
from tests.integration.workloads import job
from tests.sandbox.environment import CONTROLLER, NAMESPACE, RULES, Sandbox

Json = dict[str, Any]
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{CONTROLLER}"


def of_the_operator(sandbox: Sandbox) -> list[Json]:
    """Its requests so far."""
    return [event for event in sandbox.cluster.audited() if event["user"]["username"] == OPERATOR]


def test_a_job_of_somebody_else_is_told_and_left_alone(sandbox: Sandbox, space: str) -> None:
    """NameConflict, until the user has removed it; the run then starts by itself."""
    jobs = f"/apis/batch/v1/namespaces/{space}/jobs"
    sandbox.cluster.api.create(jobs, job("docs-r1-a1", "true"))
    apply(sandbox, space, tasks=["entities"])
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "NameConflict")
    assert "Job docs-r1-a1" in condition(sandbox, space, "Stalled")[2]
    assert "ownerReferences" not in sandbox.cluster.api.get(f"{jobs}/docs-r1-a1")["metadata"]
    sandbox.cluster.api.delete(f"{jobs}/docs-r1-a1")
    assert ready(sandbox, space)["run"]["number"] == 1


def test_every_right_is_used_and_none_is_missing(sandbox: Sandbox, space: str) -> None:
    """A training with a journal, held up by a quota and stopped for another one, needs all that is allowed.

    What the other tests of this session did counts as well.
    """
    allow_pods(sandbox, space, "0")
    apply(sandbox, space, tasks=["entities"], job={"journal": {"storageClassName": "simulated-folder"}})
    wait_for("told", lambda: condition(sandbox, space, "Reconciling")[1] == "QuotaExceeded", seconds=60)
    allow_pods(sandbox, space, "5")
    wait_for("Training", lambda: condition(sandbox, space, "Ready")[1] == "Training", seconds=60)
    apply(sandbox, space, tasks=["relations"])
    wait_for("run 2", lambda: status(sandbox, space)["run"]["number"] == 2, seconds=60)
    ready(sandbox, space)
    events = of_the_operator(sandbox)
    assert refused(events) == []
    asked = {right for event in events for right in used(event)}
    rules = granted(yaml.safe_load(RULES.read_text(encoding="utf-8")))
    assert asked - rules == set(), "granted by something else than the rules"
    assert rules - asked == set(), "granted and of no use"


def test_trainers_were_refused_nothing(sandbox: Sandbox) -> None:
    """A trainer patches its one report; it never asks for what it may not."""
    events = [
        event for event in sandbox.cluster.audited() if is_trainer(event["user"]["username"], [CONTROLLER])
    ]
    assert events
    assert refused(events) == []
    assert {right for event in events for right in used(event)} <= {
        Right("", "configmaps", "get"),
        Right("", "configmaps", "patch"),
    }
