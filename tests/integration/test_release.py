"""A prompt released like software, on a real API server: rejected, promoted, pinned, rolled back."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.integration.trainings import Json, apply, condition, config_map, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

AT_ONCE = 5.0
"""Seconds within which a pinned revision is served."""


def at_once(what: str, look: Callable[[], bool]) -> float:
    """Waits for what takes no call; gives the seconds it took."""
    begun = time.monotonic()
    wait_for(what, look, seconds=AT_ONCE)
    return time.monotonic() - begun


def is_served(sandbox: Sandbox, space: str, revision: int) -> bool:
    """Whether `docs-prompt` holds a revision byte for byte, and status says so."""
    shown = status(sandbox, space).get("promptConfig") or {}
    prompt = config_map(sandbox, space, "docs-prompt")
    return bool(
        shown.get("revision") == revision
        and prompt == config_map(sandbox, space, f"docs-prompt-r{revision}")
        and condition(sandbox, space, "Reconciling")[0] != "True"
    )


def said(sandbox: Sandbox, space: str, kind: str) -> tuple[str, str]:
    """Status and reason of a condition of today's generation."""
    return condition(sandbox, space, kind)[:2]


def histories(shown: Json) -> list[tuple[int, str]]:
    """Number and reason of each run that ended."""
    return [(one["number"], one["reason"]) for one in shown["history"]]


def test_a_prompt_is_released_pinned_and_rolled_back(sandbox: Sandbox, space: str) -> None:
    """Two runs; all that follows takes no Job: gate, pin, a pin of nothing, the earlier spec, the limit."""
    first = {"tasks": ["entities"]}
    second = first | {"optimizer": {"seed": 10}}
    apply(sandbox, space, **first)
    ready(sandbox, space)
    assert is_served(sandbox, space, 1)
    strict = {"minF1": 1, "minImprovement": 0.9}
    apply(sandbox, space, **second, acceptance=strict)
    wait_for("run 2", lambda: said(sandbox, space, "Stalled") == ("True", "Rejected"), seconds=240)
    assert said(sandbox, space, "Ready") == ("False", "Rejected")
    assert "short of minF1 1" in condition(sandbox, space, "Stalled")[2]
    assert histories(status(sandbox, space)) == [(2, "Rejected"), (1, "Promoted")]
    kept = config_map(sandbox, space, "docs-prompt-r1")
    assert config_map(sandbox, space, "docs-prompt") == kept, "what was served stays"
    made = jobs(sandbox, space)

    apply(sandbox, space, **second, acceptance={"require": "Any"})
    at_once("run 2 promoted", lambda: said(sandbox, space, "Ready") == ("True", "Promoted"))
    assert status(sandbox, space)["promptConfig"]["revision"] == 2
    assert histories(status(sandbox, space)) == [(2, "Promoted"), (1, "Promoted")]
    apply(sandbox, space, **second, acceptance=strict)
    at_once("run 2 taken back", lambda: config_map(sandbox, space, "docs-prompt") == kept)
    apply(sandbox, space, **second, acceptance={"require": "Any"})
    at_once("run 2 promoted again", lambda: said(sandbox, space, "Ready") == ("True", "Promoted"))

    apply(sandbox, space, **second, acceptance={"require": "Any"}, pinRevision=1)
    at_once("revision 1 pinned", lambda: is_served(sandbox, space, 1))
    at_once("Pinned", lambda: said(sandbox, space, "Ready") == ("True", "Pinned"))
    apply(sandbox, space, **second, pinRevision=7)
    at_once("no revision 7", lambda: said(sandbox, space, "Stalled") == ("True", "RevisionNotFound"))
    assert config_map(sandbox, space, "docs-prompt") == kept

    apply(sandbox, space, **first)
    at_once("the earlier spec", lambda: said(sandbox, space, "Ready") == ("True", "Promoted"))
    assert is_served(sandbox, space, 1)
    apply(sandbox, space, **first, revisionHistoryLimit=1)
    at_once("the limit", lambda: status(sandbox, space)["observedGeneration"] >= 8)
    assert config_map(sandbox, space, "docs-prompt") == kept
    assert jobs(sandbox, space) == made
