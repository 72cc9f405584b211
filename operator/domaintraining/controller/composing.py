"""One prompt out of those of several runs: the bytes of each task, and a manifest that says whose. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from domaintraining.api.report import MANIFEST_KEY
from domaintraining.api.run import Origin
from domaintraining.api.spec import Task
from domaintraining.api.status import Improvement, Metrics, TaskMetrics, wire
from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.revisions import dump, metrics_of, part_of, task_facts

MOST_BYTES: Final = 2**20
"""Of all values of a ConfigMap together, see
https://kubernetes.io/docs/concepts/configuration/configmap/#motivation."""
SEEN_ELSEWHERE: Final = "seenElsewhere"
"""Key of a manifest: runs whose seen texts stand in their own manifests alone, as there was no room here."""


@dataclass(frozen=True)
class Part:
    """One task's prompt as a run keeps it."""

    origin: Origin
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    """What the manifest says of the prompt."""
    measured: TaskMetrics | None
    seen: tuple[str, ...]
    """Digests of the texts that its run had seen; those of a baseline had seen none."""
    elsewhere: tuple[int, ...] = ()
    """Runs whose seen texts are not among them."""


def is_kept(observed: Observed, origin: Origin, task: Task) -> bool:
    """Whether a revision keeps a task's prompt."""
    return bool(_files(_kept(observed, origin), origin, task))


def kept_part(observed: Observed, origin: Origin, task: Task) -> Part | None:
    """A task's prompt; where its revision was deleted, as it is served; None: it is nowhere."""
    source = _kept(observed, origin)
    files = _files(source, origin, task)
    if source is None or not files:
        return _served_part(observed, origin, task)
    measured = getattr(metrics_of(source), task)
    if not origin.baseline:
        facts = task_facts(source.manifest, task)
        return Part(origin, files, facts, measured, tuple(_seen(source)))
    facts = part_of(part_of(source.manifest, "baseline"), task)
    return Part(origin, files, facts, of_baseline(measured), ())


def compose(revision: Revision, parts: Mapping[Task, Part]) -> Revision:
    """A revision whose tasks' prompts are these; the texts that any of their runs had seen, as far as there
    is room.
    """
    files = {key: text for part in parts.values() for key, text in part.files.items()}
    seen = dict.fromkeys([*_seen(revision), *(one for part in parts.values() for one in part.seen)])
    manifest = _manifest(revision, parts) | {"seen": list(seen)}
    others = {number for part in parts.values() for number in part.elsewhere}
    if _size(files) + len(dump(manifest).encode()) > MOST_BYTES:
        others |= {part.origin.revision for part in parts.values() if part.seen} - {revision.number}
        manifest |= {"seen": _seen(revision)}
    manifest |= {SEEN_ELSEWHERE: sorted(others)} if others else {}
    return replace(revision, data=files | {MANIFEST_KEY: dump(manifest)}, manifest=manifest)


def of_baseline(measured: TaskMetrics | None) -> TaskMetrics:
    """What was measured of the prompt without training; nothing where that was not measured."""
    scores = measured.baseline if measured is not None else None
    if measured is None or scores is None:
        return TaskMetrics()
    return TaskMetrics(
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        baseline=scores,
        improvement=Improvement(value=0, low=0, high=0, over="Baseline"),
        verdict="Unclear",
        documents=measured.documents,
    )


def _manifest(revision: Revision, parts: Mapping[Task, Part]) -> dict[str, Any]:
    """The run's manifest, with each task's part from the run that its prompt is from."""
    # a pair of prompts that was never measured together has no number end to end
    together = len({str(part.origin) for part in parts.values()}) == 1
    numbers: dict[str, Any] = {task: part.measured for task, part in parts.items()}
    whole = Metrics(**numbers, end_to_end=metrics_of(revision).end_to_end if together else None)
    return revision.manifest | {
        "tasks": {task: dict(part.facts) for task, part in parts.items()},
        "metrics": wire(whole),
        "accepted": list(revision.accepted),
        "promoted": revision.promoted,
    }


def _served_part(observed: Observed, origin: Origin, task: Task) -> Part | None:
    """The same from `<name>-prompt`, where that serves this run's prompt."""
    served = observed.served
    if served is None or origin.baseline:
        return None
    facts, files = task_facts(served.manifest, task), _of(served.data, task)
    if facts.get("run") != origin.revision or not files:
        return None
    said = served.manifest.get(SEEN_ELSEWHERE)
    elsewhere = tuple(one for one in said if isinstance(one, int)) if isinstance(said, list) else ()
    return Part(origin, files, facts, getattr(metrics_of(served), task), tuple(_seen(served)), elsewhere)


def _kept(observed: Observed, origin: Origin) -> Revision | None:
    return next((one for one in observed.trained if one.number == origin.revision), None)


def _files(source: Revision | None, origin: Origin, task: Task) -> dict[str, str]:
    if source is None:
        return {}
    return _of(source.baseline if origin.baseline else source.data, task)


def _of(files: Mapping[str, str], task: Task) -> dict[str, str]:
    return {key: text for key, text in files.items() if key.startswith(f"{task}.")}


def _seen(revision: Revision) -> list[str]:
    said = revision.manifest.get("seen")
    return [one for one in said if isinstance(one, str)] if isinstance(said, list) else []


def _size(files: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for text in files.values())
