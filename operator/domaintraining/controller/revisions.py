"""From a trainer's result to a revision: acceptance by task, and the files of the ConfigMap."""

import hashlib
import json
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from domaintraining.api.report import MANIFEST_KEY, Prompts
from domaintraining.api.runs import PromptConfig, TaskPromptStatus
from domaintraining.api.scalars import Time
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import Improvement, Metrics, TaskMetrics, wire
from domaintraining.controller.observed import Object, Revision

TIME: Final = TypeAdapter[str](Time)
LONGEST_INSTRUCTION: Final = 2048


def accepted(prompts: Prompts) -> tuple[Task, ...]:
    """Tasks whose prompt passes: not worse than the prompt served, else the baseline (NotWorse).

    Without held-out data nothing is known to be worse, and it passes.
    """
    metrics = {"entities": prompts.metrics.entities, "relations": prompts.metrics.relations}
    return tuple(
        task
        for task in TASKS
        if prompts.prompt(task) is not None
        and ((measured := metrics[task]) is None or measured.verdict != "Worse")
    )


def revision_data(
    result: Prompts, baseline: Prompts, served: Revision | None, facts: dict[str, Any]
) -> tuple[dict[str, str], bool]:
    """The files of a revision and whether it is promoted.

    A task that fails keeps the prompt it had: that of the served revision, else the baseline. Where no task
    passes the run's own prompts are kept as they are, and not served.

    Args:
        result: the run's prompts.
        baseline: the prompts without training.
        served: revision served when the run ended.
        facts: what the controller knows of the run: completionTime (RFC 3339) and its budget.
    """
    passed = accepted(result)
    files: dict[str, str] = {}
    tasks: dict[str, Any] = {}
    kept: list[Task] = []
    for task in TASKS:
        prompt = result.prompt(task)
        if prompt is None:
            continue
        if task in passed or not passed:
            files |= prompt.files.files(task)
            tasks[task] = _facts(result.manifest, task) | _said(prompt.run, prompt.instruction, prompt.demos)
            continue
        kept.append(task)
        before = _before(task, baseline, served)
        files |= before[0]
        tasks[task] = before[1]
    metrics = _metrics(result.metrics, kept, served)
    manifest = result.manifest | {
        "tasks": tasks,
        "metrics": wire(metrics),
        "accepted": list(passed),
        "promoted": bool(passed),
        **facts,
    }
    files[MANIFEST_KEY] = json.dumps(manifest, ensure_ascii=False, sort_keys=True)
    return files, bool(passed)


def baseline_data(baseline: Prompts) -> dict[str, str]:
    """The files of revision 0."""
    files: dict[str, str] = {}
    for task in TASKS:
        if prompt := baseline.prompt(task):
            files |= prompt.files.files(task)
    manifest = baseline.manifest | {"metrics": wire(baseline.metrics), "promoted": False}
    files[MANIFEST_KEY] = json.dumps(manifest, ensure_ascii=False, sort_keys=True)
    return files


def _said(run: int, instruction: str, demos: int) -> dict[str, Any]:
    return {"run": run, "instruction": instruction[:LONGEST_INSTRUCTION], "demos": demos}


def _facts(manifest: dict[str, Any], task: str) -> dict[str, Any]:
    tasks = manifest.get("tasks")
    facts = tasks.get(task) if isinstance(tasks, dict) else None
    return facts if isinstance(facts, dict) else {}


def _before(task: Task, baseline: Prompts, served: Revision | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Files of the prompt that a task had before the run, and what the manifest says of it."""
    if served is not None and f"{task}.messages.json" in served.data:
        files = {key: text for key, text in served.data.items() if key.startswith(f"{task}.")}
        return files, _facts(served.manifest, task)
    prompt = baseline.prompt(task)
    assert prompt is not None, "a baseline holds every task of its run"
    facts = _facts(baseline.manifest, task) | _said(0, prompt.instruction, prompt.demos)
    return prompt.files.files(task), facts


def _metrics(measured: Metrics, kept: list[Task], served: Revision | None) -> Metrics:
    """Metrics of the prompts that the revision holds; a pair never measured together has no endToEnd."""
    if not kept:
        return measured
    before = metrics_of(served) if served is not None else None
    changes: dict[str, Any] = {"end_to_end": None}
    for task in kept:
        new = getattr(measured, task)
        changes[task] = getattr(before, task) if before is not None else _of_baseline(new)
    return measured.model_copy(update=changes)


def _of_baseline(new: TaskMetrics) -> TaskMetrics:
    scores = new.baseline
    if scores is None:
        return TaskMetrics()
    return TaskMetrics(
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        baseline=scores,
        improvement=Improvement(value=0, low=0, high=0, over="Baseline"),
        verdict="Unclear",
        documents=new.documents,
    )


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
    tasks = {task: _facts(served.manifest, task) for task in TASKS}
    said = {
        task: _prompt_status(facts) for task, facts in tasks.items() if f"{task}.messages.json" in served.data
    }
    return PromptConfig(
        config_map=config_map,
        revision=served.number,
        digest=data_digest(served.data),
        entities=said.get("entities"),
        relations=said.get("relations"),
    )


def _prompt_status(facts: dict[str, Any]) -> TaskPromptStatus:
    instruction = str(facts.get("instruction", ""))[:LONGEST_INSTRUCTION]
    try:
        return TaskPromptStatus(instruction=instruction, demos=facts.get("demos", 0))
    except ValidationError:
        return TaskPromptStatus(instruction=instruction)


def read_revision(config_map: Object, uid: str, number: int, run_hash: str, *, keep: bool) -> Revision:
    """A prompt ConfigMap as a revision; a manifest that can't be read counts as empty."""
    data = {str(key): str(text) for key, text in (config_map.get("data") or {}).items()}
    try:
        manifest = json.loads(data.get(MANIFEST_KEY, "{}"))
    except (ValueError, RecursionError):
        manifest = {}
    manifest = manifest if isinstance(manifest, dict) else {}
    owners = config_map["metadata"].get("ownerReferences") or []
    owned = any(owner.get("uid") == uid for owner in owners)
    promoted = manifest.get("promoted") is True
    return Revision(number, run_hash, promoted, data, manifest, owned, keep)
