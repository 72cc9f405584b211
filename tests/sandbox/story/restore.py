"""The end of the story: what was released outlives its cluster."""

from __future__ import annotations

import json

from tests.sandbox.story.releases import served
from tests.sandbox.story.stage import PROMPT, Stage


def backup(stage: Stage) -> str:
    """The resource, its prompts and its samples in files, by kubectl alone."""
    stage.commands("Backed up")
    files = sorted((stage.folder / "backup").iterdir())
    kilobytes = sum(file.stat().st_size for file in files) / 1000
    return f"{len(files)} files, {kilobytes:,.0f} kB"


def restore(empty: Stage, lost: Stage) -> str:
    """In an empty cluster the same prompt is served, without a run.

    Args:
        empty: where nothing but the operator is.
        lost: where the backup was made.
    """
    empty.commands("Restored")
    for stage in (empty, lost):
        stage.expect("a prompt is served", holds=served(stage.status) > 0)
    empty.expect("it is the same, byte for byte", holds=empty.prompt() == lost.prompt())
    empty.expect("status tells the same of it", holds=_told(empty) == _told(lost))
    empty.wait("the prompts have their owner", lambda: _is_adopted(empty))
    empty.expect("no Job was made", holds=empty.jobs() == [])
    return f"revision {served(empty.status)} adopted and served"


def _told(stage: Stage) -> list[object]:
    status = stage.status
    return [status[part] for part in ("promptConfig", "metrics")]


def _is_adopted(stage: Stage) -> bool:
    """Whether all prompts are owned by the resource of this cluster, and by nothing else."""
    listed = json.loads(stage.kubectl("get", "configmaps", "--output=json"))["items"]
    prompts = [one["metadata"] for one in listed if one["metadata"]["name"].startswith(PROMPT)]
    owners = [[owner["uid"] for owner in one.get("ownerReferences", [])] for one in prompts]
    return len(prompts) > 1 and owners == [[stage.resource["metadata"]["uid"]]] * len(prompts)
