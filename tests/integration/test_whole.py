"""A reader of `<name>-prompt` never sees half of an update: every version that there ever was is whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.trainings import Json, apply, condition, jobs, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

PROMPT = "docs-prompt"
FILES = ("messages.json", "schema.json", "request.json", "dspy.json", "prompt.txt")
ANY: Json = {"require": "Any"}
STRICT: Json = ANY | {"relations": {"minF1": 1}}
"""Relations never pass: they keep the prompt that they had."""


@contextmanager
def watched(sandbox: Sandbox, space: str, file: Path) -> Iterator[None]:
    """Has kubectl write each version of the served prompt into a file meanwhile."""
    command = [str(sandbox.cluster.kubectl_program), f"--namespace={space}", "get", "configmaps", "--watch"]
    command += [f"--field-selector=metadata.name={PROMPT}", "--output=json"]
    environment = {"HOME": str(file.parent), "KUBECONFIG": str(sandbox.cluster.admin_kubeconfig)}
    with file.open("w", encoding="utf-8") as written:
        watch = subprocess.Popen(command, env=environment, stdout=written)
        try:
            yield
        finally:
            watch.terminate()
            watch.wait(timeout=10)


def versions(file: Path) -> list[Json]:
    """The versions that were written whole so far."""
    text, found, place = file.read_text(encoding="utf-8"), [], 0
    while place < len(text):
        try:
            version, place = json.JSONDecoder().raw_decode(text, place)
        except json.JSONDecodeError:
            break
        found.append(version)
        place += len(text[place:]) - len(text[place:].lstrip())
    return found


def revisions(sandbox: Sandbox, space: str) -> dict[int, Json]:
    """The ConfigMaps of all revisions by number."""
    label = "training.aegisrag.io/revision"
    listed = sandbox.cluster.api.items(f"/api/v1/namespaces/{space}/configmaps", labelSelector=label)
    return {int(one["metadata"]["labels"][label]): one for one in listed if one["metadata"]["name"] != PROMPT}


def whole(version: Json, kept: dict[int, Json]) -> dict[str, int]:
    """Of which run each task's prompt is; fails where not all that a reader finds belongs together."""
    data: dict[str, str] = version["data"]
    manifest = json.loads(data["manifest.json"])
    found: dict[str, int] = {}
    for task, facts in manifest["tasks"].items():
        source = kept[facts["run"]]["data"]
        for name in FILES:
            assert data[f"{task}.{name}"] == source[f"{task}.{name}"], f"{task}.{name} of another run"
        numbers = json.loads(source["manifest.json"])["metrics"]
        assert manifest["metrics"][task] == numbers[task], "numbers of another prompt"
        request = json.loads(data[f"{task}.request.json"])
        assert request["messages"] == json.loads(data[f"{task}.messages.json"])
        assert request["format"] == json.loads(data[f"{task}.schema.json"])
        found[task] = facts["run"]
    assert data.keys() == {"manifest.json", *(f"{task}.{name}" for task in found for name in FILES)}
    assert version["metadata"]["labels"]["training.aegisrag.io/revision"] == str(manifest["run"])
    return found


def settled(sandbox: Sandbox, space: str, revision: int, **spec: Any) -> None:
    """An edit, until a revision is served for it."""
    search = {"numCandidates": 2, "numTrials": 1, "seed": 9}
    apply(sandbox, space, **({"auto": "manual", "optimizer": search} | spec))

    def ended() -> bool:
        shown = status(sandbox, space).get("promptConfig") or {}
        there = condition(sandbox, space, "Ready")[0] == "True" and shown.get("revision") == revision
        return there and condition(sandbox, space, "Reconciling")[0] != "True"

    wait_for(f"revision {revision}", ended, seconds=240)


def test_every_version_of_the_served_prompt_is_whole(sandbox: Sandbox, space: str, tmp_path: Path) -> None:
    """Promoted, composed of two runs, rolled back, of fewer tasks: manifest and files belong together."""
    file = tmp_path / "versions.json"
    second: Json = {"optimizer": {"numCandidates": 2, "numTrials": 1, "seed": 10}}
    with watched(sandbox, space, file):
        settled(sandbox, space, 1, acceptance=ANY)
        settled(sandbox, space, 2, acceptance=STRICT, **second)
        made = jobs(sandbox, space)
        wait_for("composed", lambda: told(file) == {"entities": 2, "relations": 1})
        settled(sandbox, space, 2, acceptance=ANY, **second)
        wait_for("both of run 2", lambda: told(file) == {"entities": 2, "relations": 2})
        settled(sandbox, space, 1, acceptance=ANY, pinRevision=1, **second)
        settled(sandbox, space, 2, acceptance=STRICT, **second)
        wait_for("composed again", lambda: told(file) == {"entities": 2, "relations": 1})
        assert jobs(sandbox, space) == made
        settled(sandbox, space, 3, acceptance=ANY, tasks=["entities"])
        wait_for("of one task", lambda: told(file) == {"entities": 3})
    kept = revisions(sandbox, space)
    seen = [whole(one, kept) for one in versions(file)]
    assert [one for place, one in enumerate(seen) if seen[place - 1 : place] != [one]] == [
        {"entities": 1, "relations": 1},
        {"entities": 2, "relations": 1},
        {"entities": 2, "relations": 2},
        {"entities": 1, "relations": 1},
        {"entities": 2, "relations": 1},
        {"entities": 3},
    ]


def told(file: Path) -> dict[str, int]:
    """What the manifest of the last version says."""
    tasks = json.loads(versions(file)[-1]["data"]["manifest.json"])["tasks"]
    return {task: facts["run"] for task, facts in tasks.items()}
