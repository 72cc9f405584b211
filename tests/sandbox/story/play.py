"""The story from its first step to its last."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import Sandbox
from tests.sandbox.progress import Say
from tests.sandbox.story import drift, releases, restore
from tests.sandbox.story.stage import Stage
from tests.sandbox.story.telling import Scene, alive, as_json, table

SAMPLES = REPOSITORY / "crds" / "samples" / "tech-docs.jsonl"
FIRST_SAMPLES = 120
"""What the team has labelled when the story begins; the others come later."""
LOOK_SECONDS = 5
"""How often the operator looks whether the model is still the same; a user's does each 5 minutes."""
SIMULATED = (
    "The model is SIMULATED: its answers come from the prompt by rules. The figures show what the operator",
    "does with good and bad prompts, not how good a language model is.",
)


def play(folder: Path, output: Literal["text", "json"]) -> int:
    """Plays it in a folder of its own and stops what it started, whatever happens; gives 0.

    Raises SandboxError where a step does not show what it claims.
    """
    begun = time.monotonic()
    say: Say = partial(print, flush=True, file=sys.stdout if output == "text" else sys.stderr)
    ours, empty = (_simulated(folder / name) for name in ("ours", "empty"))
    try:
        scenes = _scenes(ours, empty, folder, say)
    finally:
        say("Stopping everything")
        ours.down()
        empty.down()
    seconds = time.monotonic() - begun
    if output == "json":
        print(as_json(scenes, seconds))
        return 0
    print("\n".join(["", *table(scenes), "", *SIMULATED, f"Done after {seconds:.0f} s."]), flush=True)
    return 0


def _simulated(state: Path) -> Sandbox:
    """A sandbox with the simulated model, whatever the environment names: the story is about its answers."""
    sandbox = Sandbox(state, {"RESYNC_SECONDS": str(LOOK_SECONDS)})
    sandbox.own_server = ""
    return sandbox


def _scenes(ours: Sandbox, empty: Sandbox, folder: Path, say: Say) -> list[Scene]:
    say("A control plane with the operator and a SIMULATED model server")
    with alive(say, lambda: ""):
        ours.up(say)
    stage = Stage(ours, folder, say)
    samples = SAMPLES.read_text(encoding="utf-8").splitlines()
    stage.put_samples(samples[:FIRST_SAMPLES])
    scenes = [
        _played("a good prompt", stage, releases.good),
        _played("a worse one", stage, releases.worse),
        _played("a better one", stage, releases.better),
        _played("rollback", stage, releases.rollback),
        _played("the newest again", stage, releases.forward),
        _played("data changed without loss", stage, partial(drift.more_data, lines=samples)),
        _played("data changed with loss", stage, partial(drift.other_labels, lines=samples)),
        _played("model digest changed", stage, drift.other_model),
        _played("backup", stage, restore.backup),
    ]
    say("Another control plane, empty but for the operator, with a SIMULATED model server of its own")
    with alive(say, lambda: ""):
        empty.up(say)
    other = Stage(empty, folder, say)
    scenes.append(_played("restore into an empty cluster", other, partial(restore.restore, lost=stage)))
    return scenes


def _played(title: str, stage: Stage, act: Callable[[Stage], str]) -> Scene:
    stage.say(f"--- {title}")
    calls, begun = stage.calls, time.monotonic()
    with alive(stage.say, stage.seen):
        happened = act(stage)
    scene = Scene(title, happened, stage.calls - calls, time.monotonic() - begun)
    stage.say(f"  {happened}: {scene.calls} calls, {scene.seconds:.1f} s")
    return scene
