"""A later run of the same spec, and an edit, as kubectl's user waits for them."""

from __future__ import annotations

from tests.integration.trainings import GROUP, Json, apply, condition, config_map, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

ASKED = "2026-11-23T12:00:00Z"
ANNOTATION = "training.aegisrag.io/retrain-requested-at"


def test_what_is_served_stays_ready_and_an_edit_is_waited_for(sandbox: Sandbox, space: str) -> None:
    """The words of the README: `kubectl wait` returns for the run that was asked for, never before it."""
    kubectl, place = sandbox.cluster.kubectl, f"--namespace={space}"
    apply(sandbox, space, tasks=["entities"])
    since = _ready(ready(sandbox, space))
    kubectl("annotate", "dt", "docs", place, f"{ANNOTATION}={ASKED}")
    kubectl("wait", "dt", "docs", place, f"--for=jsonpath={{.status.lastHandledRetrainTime}}={ASKED}")
    seen: list[str] = []

    def ended() -> bool:
        shown = status(sandbox, space)
        assert _ready(shown) == since, "Ready changed"
        seen.append(shown["summary"]["progress"])
        conditions = {one["type"]: one["status"] for one in shown["conditions"]}
        assert (conditions["Trained"] == "True") == ("Reconciling" not in conditions)
        return bool(conditions["Trained"] == "True")

    wait_for("the end of run 2", ended, seconds=120)
    assert len(set(seen)) > 2
    assert seen[-1] == "100%"
    assert status(sandbox, space)["run"]["number"] == 2
    apply(sandbox, space, tasks=["relations"])
    kubectl("wait", "dt", "docs", place, "--for=condition=Ready", "--timeout=120s")
    shown = status(sandbox, space)
    assert (shown["promptConfig"]["revision"], shown["observedGeneration"]) == (3, 2)
    body: Json = sandbox.cluster.api.get(f"{GROUP}/namespaces/{space}/domaintrainings/docs")
    assert body["metadata"]["generation"] == shown["observedGeneration"]


def test_a_rejected_later_run_leaves_what_is_served_ready(sandbox: Sandbox, space: str) -> None:
    """It makes the same prompt again, and Improved is asked for: kept, not served, nothing stalled."""
    apply(sandbox, space, tasks=["entities"], acceptance={"require": "Improved"})
    since, served = _ready(ready(sandbox, space)), config_map(sandbox, space, "docs-prompt")
    sandbox.cluster.kubectl("annotate", "dt", "docs", f"--namespace={space}", f"{ANNOTATION}={ASKED}")
    wait_for("the end of run 2", lambda: len(status(sandbox, space)["history"]) == 2, seconds=120)
    wait_for("rest", lambda: condition(sandbox, space, "Reconciling")[0] != "True")
    shown = status(sandbox, space)
    assert [(one["number"], one["reason"]) for one in shown["history"]] == [(2, "Rejected"), (1, "Promoted")]
    assert _ready(shown) == since
    assert condition(sandbox, space, "Stalled") == ("", "", "")
    assert (
        "not accepted (entities: Unclear where Improved is asked for"
        in condition(sandbox, space, "Trained")[2]
    )
    assert config_map(sandbox, space, "docs-prompt") == served
    assert config_map(sandbox, space, "docs-prompt-r2")


def _ready(shown: Json) -> tuple[str, str, str]:
    """Status, reason and age of Ready."""
    (one,) = (one for one in shown["conditions"] if one["type"] == "Ready")
    return one["status"], one["reason"], one["lastTransitionTime"]
