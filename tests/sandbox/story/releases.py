"""The first half of the story: prompts that are released, rejected, rolled back."""

from __future__ import annotations

from typing import Any

from tests.sandbox.story.stage import Json, Stage

TASKS = ("entities", "relations")
GOOD: dict[str, Any] = {"optimizer": {"bootstrappedDemos": 2, "labeledDemos": 0}}
"""A careful first release: at most two demos."""
WORSE: dict[str, Any] = {
    "auto": "manual",
    "optimizer": {"numCandidates": 2, "numTrials": 1, "bootstrappedDemos": 0, "labeledDemos": 0},
}
"""Somebody wants a short prompt at once: no demos, and hardly a search."""
BETTER: dict[str, Any] = {
    "optimizer": {"bootstrappedDemos": 6, "labeledDemos": 6},
    "acceptance": {"relations": {"require": "Improved"}},
}
"""More demos; for relations the gate asks for a clear gain."""


def good(stage: Stage) -> str:
    """A first prompt, better than the baseline."""
    stage.apply(GOOD)
    stage.wait("the first prompt", stage.ended)
    status = stage.status
    stage.expect("revision 1 is served", holds=served(status) == 1)
    for task in TASKS:
        measured = status["metrics"][task]
        gain = measured["improvement"]
        improved = (measured["verdict"], gain["over"]) == ("Improved", "Baseline")
        stage.expect(f"{task} are clearly better than the baseline", holds=improved and gain["low"] > 0)
    return f"run 1 promoted, {figures(status['metrics'])}"


def worse(stage: Stage) -> str:
    """A run that is clearly worse is kept and not served, and says by how much it fell short."""
    before = stage.prompt()
    stage.apply(WORSE)
    stage.wait("the second run", stage.ended)
    why = stage.commands("Rejected")
    stage.say(f"  {why}")
    stage.expect("run 2 is rejected", holds=stage.condition("Stalled")[:2] == ("True", "Rejected"))
    metrics = stage.manifest(2)["metrics"]
    for task in TASKS:
        stage.expect(f"{task} are clearly worse", holds=metrics[task]["verdict"] == "Worse")
        f1, short = metrics[task]["f1"], metrics[task]["improvement"]["value"]
        words = f"{task}: Worse, F1 {f1:.3f} is {short:+.3f} to the served prompt"
        stage.expect(f"it says by how much {task} fell short", holds=words in why)
    stage.expect("what was served stays, byte for byte", holds=stage.prompt() == before == stage.prompt(1))
    return f"run 2 rejected, {differences(metrics)}; revision 1 stays served"


def better(stage: Stage) -> str:
    """A run that is better than what is served takes its place."""
    stage.apply(BETTER)
    stage.wait("the third run", stage.ended)
    status = stage.status
    stage.expect("revision 3 is served", holds=served(status) == 3 and stage.prompt() == stage.prompt(3))
    metrics = status["metrics"]
    gain = metrics["relations"]["improvement"]
    clear = (metrics["relations"]["verdict"], gain["over"]) == ("Improved", "Served") and gain["low"] > 0
    stage.expect("relations are clearly better than what was served", holds=clear)
    stage.expect("entities are not worse", holds=metrics["entities"]["verdict"] != "Worse")
    told = [(one["number"], one["reason"]) for one in status["history"]]
    stage.expect("the history tells", holds=told == [(3, "Promoted"), (2, "Rejected"), (1, "Promoted")])
    stage.say("\n".join(f"  {line}" for line in stage.commands("What was released").splitlines()))
    return f"run 3 promoted, {differences(metrics)} to revision 1"


def rollback(stage: Stage) -> str:
    """The first prompt again, at once."""
    jobs = stage.jobs()
    stage.commands("Rolled back")
    stage.expect("revision 1 is served, byte for byte", holds=stage.prompt() == stage.prompt(1))
    stage.wait("Pinned", lambda: stage.condition("Ready")[:2] == ("True", "Pinned"))
    stage.expect("no Job was made", holds=stage.jobs() == jobs)
    return "revision 1 pinned and served"


def forward(stage: Stage) -> str:
    """And back to the newest."""
    jobs = stage.jobs()
    stage.commands("Rolled back", 1)
    stage.expect("revision 3 is served again", holds=served(stage.status) == 3)
    stage.expect("byte for byte", holds=stage.prompt() == stage.prompt(3))
    stage.expect("no Job was made", holds=stage.jobs() == jobs)
    return "revision 3 served again"


def served(status: Json) -> int:
    """Number of the revision that is served; 0: none."""
    return int((status.get("promptConfig") or {}).get("revision", 0))


def figures(metrics: Json) -> str:
    """F1 of each task, the baseline's first."""
    return ", ".join(
        f"{task} {metrics[task]['baseline']['f1']:.3f}→{metrics[task]['f1']:.3f}" for task in TASKS
    )


def differences(metrics: Json) -> str:
    """How far each task's prompt is from what it was compared with."""
    return ", ".join(f"{task} {metrics[task]['improvement']['value']:+.3f}" for task in TASKS)
