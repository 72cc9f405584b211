"""From a trainer's result to a revision: the files of its ConfigMap, and what its manifest says."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from domaintraining.api.comparison import ComparedModel, Comparison
from domaintraining.api.report import MANIFEST_KEY, Prompts, TaskPrompt
from domaintraining.api.run import Origin, Run
from domaintraining.api.runs import PromptConfig, ReusedFrom, TaskPromptStatus
from domaintraining.api.scalars import Short, Time
from domaintraining.api.spec import TASKS, Auto, Task
from domaintraining.api.status import DatasetStatus, Metrics, wire
from domaintraining.controller.observed import Object, Revision

TIME: Final = TypeAdapter[str](Time)
SHORT: Final = TypeAdapter[str](Short)
COMPARISON: Final = TypeAdapter[list[ComparedModel]](Comparison)
COUNTS: Final[dict[Task, str]] = {"entities": "entity_types", "relations": "relation_types"}
MODES: Final[tuple[Auto, ...]] = ("light", "medium", "heavy", "manual")
"""What a trainer runs: adaptive has become one of them."""
LONGEST_INSTRUCTION: Final = 2048
SERVED_REJECTED: Final = "servedRejected"
"""Key of a manifest: what was served when the run started had been put there by a pin alone."""
BASELINE: Final = "baseline."
"""Prefix of keys in a revision's binaryData: its baseline's files, for tasks that had no prompt before."""


def before_of(run: Run) -> dict[Task, Origin]:
    """For each task of a run where the prompt is kept that it was compared with."""
    whole = Origin(revision=run.served) if run.served is not None and not run.served_from else None
    own = Origin(revision=run.number, baseline=True)
    return {task: run.served_from.get(task) or whole or own for task in run.tasks}


def revision_data(
    result: Prompts, baseline: Prompts, run: Run, accepted: tuple[Task, ...], facts: dict[str, Any]
) -> dict[str, str]:
    """The files of a revision: the run's own prompts, whether they passed or not.

    Args:
        result: the run's prompts.
        baseline: the prompts without training.
        run: the run.
        accepted: tasks that passed when it ended.
        facts: what the controller knows of the run: completionTime (RFC 3339) and its budget.
    """
    files: dict[str, str] = {}
    tasks: dict[str, Any] = {}
    for task in TASKS:
        if prompt := result.prompt(task):
            files |= prompt.files.files(task)
            tasks[task] = task_facts(result.manifest, task) | _said(prompt)
    manifest = result.manifest | {
        "tasks": tasks,
        "metrics": wire(result.metrics),
        "accepted": list(accepted),
        "promoted": bool(accepted),
        "served": run.served,
        **({SERVED_REJECTED: True} if run.served_rejected else {}),
        "before": {task: wire(origin) for task, origin in before_of(run).items()},
        "baseline": {task: _said(prompt) for task in TASKS if (prompt := baseline.prompt(task))},
        **facts,
    }
    files[MANIFEST_KEY] = dump(manifest)
    return files


def resolved(run: Run) -> dict[str, Any]:
    """What a run's answers follow from beside its hash and its samples: what was resolved when it started.

    Gives `auto`, as it was before adaptive chose, `models` by what they do, with name and digest, and
    `keepAlive`, which stands in the published requests.
    """
    models = {"model": run.model, "promptModel": run.prompt_model, "embeddingModel": run.embedding_model}
    models |= {f"compareWith.{place}": one.model for place, one in enumerate(run.compare_with)}
    return {
        "auto": run.auto,
        "models": {does: {"name": one.name, "digest": one.digest} for does, one in models.items() if one},
        "keepAlive": run.options.keep_alive,
    }


def baseline_files(baseline: Prompts, run: Run) -> dict[str, str]:
    """The baseline's files for the tasks that had no prompt before the run."""
    own = {
        task for task, origin in before_of(run).items() if origin.baseline and origin.revision == run.number
    }
    files: dict[str, str] = {}
    for task in TASKS:
        if task in own and (prompt := baseline.prompt(task)):
            files |= prompt.files.files(task)
    return files


def dump(manifest: Mapping[str, Any]) -> str:
    """A manifest as it is published."""
    return json.dumps(manifest, ensure_ascii=False, sort_keys=True)


def baseline_data(baseline: Prompts) -> dict[str, str]:
    """The files of revision 0."""
    files: dict[str, str] = {}
    for task in TASKS:
        if prompt := baseline.prompt(task):
            files |= prompt.files.files(task)
    manifest = baseline.manifest | {"metrics": wire(baseline.metrics), "promoted": False}
    files[MANIFEST_KEY] = dump(manifest)
    return files


def _said(prompt: TaskPrompt) -> dict[str, Any]:
    return {
        "run": prompt.run,
        "instruction": prompt.instruction[:LONGEST_INSTRUCTION],
        "demos": prompt.demos,
    }


def part_of(manifest: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object in a manifest; empty where there is none under the key, or something else."""
    part = manifest.get(key)
    return part if isinstance(part, dict) else {}


def task_facts(manifest: dict[str, Any], task: str) -> dict[str, Any]:
    """What a manifest says of a task's prompt."""
    return part_of(part_of(manifest, "tasks"), task)


def metrics_of(revision: Revision) -> Metrics:
    """What a revision's manifest says was measured of it; empty where it says nothing readable."""
    try:
        return Metrics.model_validate(revision.manifest.get("metrics", {}))
    except ValueError:
        return Metrics()


def completion_time(revision: Revision) -> str | None:
    """When the run ended, of RFC 3339, as its manifest says; None where it says nothing readable."""
    try:
        return TIME.validate_python(revision.manifest.get("completionTime"))
    except ValidationError:
        return None


def data_digest(data: dict[str, str]) -> str:
    """SHA-256 over the data of a ConfigMap: canonical JSON of key to text."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_config(config_map: str, served: Revision) -> PromptConfig:
    """What status says of the served prompt."""
    tasks = {task: task_facts(served.manifest, task) for task in TASKS}
    said = {
        task: _prompt_status(facts, model_named(served, task))
        for task, facts in tasks.items()
        if f"{task}.messages.json" in served.data
    }
    return PromptConfig(
        config_map=config_map,
        revision=served.number,
        digest=data_digest(served.data),
        entities=said.get("entities"),
        relations=said.get("relations"),
    )


def model_named(revision: Revision, task: Task) -> str:
    """The model that a task's request.json names; empty where it can't be read."""
    try:
        body = json.loads(revision.data.get(f"{task}.request.json", "{}"))
        return SHORT.validate_python(body["model"], strict=True)
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""


def compared_models(revision: Revision) -> list[ComparedModel]:
    """The models that a revision's run compared, as its manifest says it; empty where it says nothing
    readable.
    """
    try:
        return COMPARISON.validate_python(revision.manifest.get("models", []))
    except ValidationError:
        return []


def _prompt_status(facts: dict[str, Any], model: str) -> TaskPromptStatus:
    instruction = str(facts.get("instruction", ""))[:LONGEST_INSTRUCTION]
    try:
        return TaskPromptStatus(instruction=instruction, model=model, demos=facts.get("demos", 0))
    except ValidationError:
        return TaskPromptStatus(instruction=instruction, model=model)


def read_revision(config_map: Object, uid: str, number: int, run_hash: str, *, keep: bool) -> Revision:
    """A prompt ConfigMap as a revision; a manifest that can't be read counts as empty."""
    data = {str(key): str(text) for key, text in (config_map.get("data") or {}).items()}
    try:
        manifest = json.loads(data.get(MANIFEST_KEY, "{}"))
    except (ValueError, RecursionError):
        manifest = {}
    manifest = manifest if isinstance(manifest, dict) else {}
    owners = config_map["metadata"].get("ownerReferences") or []
    return Revision(
        number,
        run_hash,
        promoted=manifest.get("promoted") is True,
        data=data,
        manifest=manifest,
        owned=any(owner.get("uid") == uid for owner in owners),
        keep=keep,
        accepted=accepted_of(manifest),
        baseline=_decoded(config_map.get("binaryData") or {}),
    )


def accepted_of(manifest: dict[str, Any]) -> tuple[Task, ...]:
    """Tasks that a manifest says passed."""
    said = manifest.get("accepted")
    return tuple(task for task in TASKS if isinstance(said, list) and task in said)


def origins_before(revision: Revision) -> dict[Task, Origin]:
    """For each task where its prompt before a revision's run is kept, as far as the manifest says it."""
    said = part_of(revision.manifest, "before")
    found: dict[Task, Origin] = {}
    for task in TASKS:
        try:
            found[task] = Origin.model_validate(said[task])
        except (ValidationError, KeyError):
            continue
    return found


def encoded(baseline: Mapping[str, str]) -> dict[str, str]:
    """A baseline's files as binaryData of its revision."""
    return {
        f"{BASELINE}{key}": base64.b64encode(text.encode()).decode() for key, text in sorted(baseline.items())
    }


def _decoded(binary: Mapping[str, Any]) -> dict[str, str]:
    files = {}
    for key, text in binary.items():
        try:
            files[str(key).removeprefix(BASELINE)] = base64.b64decode(str(text), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return files


def reused_from(revision: Revision | None) -> ReusedFrom | None:
    """Whose revision it was, as its manifest says; None: this resource's own run made it."""
    said = revision.manifest.get("reusedFrom") if revision is not None else None
    try:
        return ReusedFrom.model_validate(said) if said is not None else None
    except ValidationError:
        return None


def dataset_of(revision: Revision | None) -> DatasetStatus | None:
    """The samples of a run that was reused, as far as its revision tells of them."""
    if revision is None or reused_from(revision) is None:
        return None
    try:
        told = DatasetStatus.model_validate(revision.manifest.get("dataset"))
    except ValidationError:
        return None
    types = {field: _types(revision, task) for task, field in COUNTS.items()}
    return told.model_copy(update=types)


def _types(revision: Revision, task: Task) -> int:
    """Length of a task's closed list of types, as its schema has it; 0 where that can't be read."""
    try:
        schema = json.loads(revision.data.get(f"{task}.schema.json", "{}"))
        found = schema["properties"][task]["items"]["properties"]["type"]["enum"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return 0
    return len(found) if isinstance(found, list) else 0


def mode_of(revision: Revision | None) -> Auto | None:
    """The mode that a revision's run ran with, as its manifest says; None where it names none."""
    said = revision.manifest.get("auto") if revision is not None else None
    return next((mode for mode in MODES if said == mode), None)
