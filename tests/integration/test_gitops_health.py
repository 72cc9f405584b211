"""Recorded states through the health checks as shipped, in the libraries of Argo CD, Flux and kstatus."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.api.status import DomainTrainingStatus
from tests.gitops import scenarios
from tests.gitops.recorder import played
from tests.gitops.verdict import ARGO, LUA, SNIPPET, STATES, Verdict, snippet, verdicts
from tests.integration.trainings import SAMPLES
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]
QUICK = (
    scenarios.whole_life,
    scenarios.missing_data,
    scenarios.forbidden_server,
    scenarios.unknown_model,
    scenarios.no_place,
    scenarios.no_quota,
)
FILES = sorted(STATES.glob("*.yaml"))
SAME = {
    "healthy": ("Healthy", "Current", "Current"),
    "progressing": ("Progressing", "InProgress", "InProgress"),
    "degraded": ("Degraded", "Failed", "Failed"),
    # Asked to rest before there is a prompt: whoever waits for one goes on waiting.
    "suspended": ("Suspended", "InProgress", "InProgress"),
}
"""By the first word of a state's name: what Argo CD, Flux and kstatus say, in this order."""
DELETED = ("Progressing", "InProgress", "Terminating")


@pytest.fixture(scope="module")
def said() -> dict[str, Verdict]:
    """The verdicts on all recorded states."""
    return verdicts(FILES, print)


@pytest.mark.parametrize("state", [file.stem for file in FILES])
def test_the_three_agree_with_what_a_person_would_say(said: dict[str, Verdict], state: str) -> None:
    """Green, going, red and paused are the same everywhere."""
    one = said[state]
    expected = DELETED if state == "progressing_deleted" else SAME[state.partition("_")[0]]
    assert (one.argo, one.flux, one.kstatus) == expected


def test_argo_cd_would_find_its_test_data_complete(said: dict[str, Verdict]) -> None:
    """health_test.yaml, which Argo CD's own tests read, lists each state with its status and message."""
    listed = yaml.safe_load((ARGO / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    expected = {
        Path(one["inputPath"]).stem: (one["healthStatus"]["status"], one["healthStatus"]["message"])
        for one in listed
    }
    assert expected == {state: (one.argo, one.message) for state, one in said.items()}


def test_a_red_state_says_what_to_do(said: dict[str, Verdict]) -> None:
    """What Argo CD shows beside the broken heart begins with the reason and is more than it."""
    for state, one in said.items():
        if one.argo == "Degraded":
            reason, _, words = one.message.partition(": ")
            assert reason.isalnum(), state
            assert len(words) > 40, state


def test_the_snippet_holds_the_same_script() -> None:
    """What is pasted into argocd-cm is what was tested."""
    assert SNIPPET.read_text(encoding="utf-8") == snippet(LUA.read_text(encoding="utf-8"))


def test_the_states_are_of_this_version_and_tell_nothing() -> None:
    """At least 16, each a status that this version knows, without text of a sample or an address of a run."""
    assert len(FILES) >= 16
    texts = [json.loads(line)["text"] for line in SAMPLES.splitlines()]
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        DomainTrainingStatus.model_validate(yaml.safe_load(text)["status"])
        assert not [one for one in texts if one[:40] in text], file
        assert "127.0.0.1" not in text, file


def test_the_operator_says_today_what_was_recorded(sandbox: Sandbox, tmp_path: Path) -> None:
    """A whole life and the quick failures, played anew: the same conditions with the same reasons."""
    with ThreadPoolExecutor(len(QUICK)) as pool:
        found = dict(chain.from_iterable(pool.map(partial(played, sandbox, tmp_path), QUICK)))
    assert len(found.keys() | {"progressing_queued"}) == 12
    for name, body in found.items():
        kept = yaml.safe_load((STATES / f"{name}.yaml").read_text(encoding="utf-8"))
        assert said_by(body) == said_by(kept), name


def said_by(body: Json) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {
        one["type"]: (one["status"], one["reason"]) for one in body.get("status", {}).get("conditions", [])
    }
