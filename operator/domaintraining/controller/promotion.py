"""What is to be served: which revision, and of which runs its tasks' prompts are. Pure.

A revision keeps the prompts that its run made. Served are those that passed; a task that failed serves the
prompt it had before, which an earlier revision keeps, or, as its baseline, the revision itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from domaintraining.api.report import MANIFEST_KEY
from domaintraining.api.run import Origin
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import Improvement, Metrics, TaskMetrics, wire
from domaintraining.controller.acceptance import Judgement, judge
from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.revisions import dump, metrics_of, origins_before, task_facts

FILES: Final = frozenset(
    f"{task}.{file}"
    for task in TASKS
    for file in ("messages.json", "schema.json", "request.json", "dspy.json", "prompt.txt")
)
"""Keys of the files of all tasks."""


def trained_tasks(revision: Revision) -> tuple[Task, ...]:
    """Tasks that a revision keeps prompts of."""
    return tuple(task for task in TASKS if f"{task}.messages.json" in revision.data)


def last_of_spec(observed: Observed) -> Revision | None:
    """The newest revision of this spec, promoted or rejected."""
    found = [revision for revision in observed.trained if revision.hash == observed.resource.hash]
    return found[-1] if found else None


def revision_of(observed: Observed, run_hash: str) -> Revision | None:
    """The newest revision of a hash: a promoted one where there is one."""
    found = [revision for revision in observed.trained if revision.hash == run_hash]
    return max(found, key=lambda revision: (revision.promoted, revision.number), default=None)


def judgement(observed: Observed, revision: Revision) -> dict[Task, Judgement]:
    """A revision's tasks by the acceptance of today; empty where its manifest does not tell enough."""
    if not origins_before(revision):
        return {}
    return judge(metrics_of(revision), trained_tasks(revision), observed.resource.spec.acceptance)


def judged(observed: Observed) -> Observed:
    """What was observed, with the last run of this spec judged by the acceptance of today.

    Others stay as they were judged: as what is served says, or a later run that was compared with it, else as
    their own manifest.
    """
    last = last_of_spec(observed)
    return replace(
        observed,
        revisions=tuple(
            _by_spec(observed, one) if last is one else _as_served(observed, one)
            for one in observed.revisions
        ),
    )


def _by_spec(observed: Observed, revision: Revision) -> Revision:
    tasks = judgement(observed, revision)
    if not tasks:
        return revision
    passed = tuple(task for task, one in tasks.items() if one.passed)
    return replace(revision, promoted=bool(passed), accepted=passed)


def _as_served(observed: Observed, revision: Revision) -> Revision:
    served, own = observed.served, trained_tasks(revision)
    if served is not None and (served.number, served.promoted) == (revision.number, True):
        passed = tuple(task for task in served.accepted if task in own)
        return replace(revision, promoted=True, accepted=passed) if passed else revision
    for later in reversed(observed.trained):
        if later.manifest.get("served") == revision.number:
            before = origins_before(later)
            passed = tuple(task for task in own if _was_served(revision, task, before.get(task)))
            return replace(revision, promoted=True, accepted=passed) if passed else revision
    return revision


def _was_served(revision: Revision, task: Task, origin: Origin | None) -> bool:
    """Whether a revision served its own prompt, as a run tells that was compared with it."""
    if origin is None or (origin.baseline and origin.revision > revision.number):
        return task in revision.accepted  # the run had no such task, or nothing to compare it with
    return origin == Origin(revision=revision.number)


def origins(revision: Revision) -> dict[Task, Origin]:
    """For each task where the prompt is kept that a revision serves; a rejected one serves its own."""
    before = origins_before(revision)
    own = Origin(revision=revision.number)
    passed = revision.accepted if revision.promoted else TASKS
    return {task: own if task in passed else before.get(task, own) for task in trained_tasks(revision)}


def needed_by(revision: Revision) -> set[int]:
    """Revisions that keep the prompts that one serves."""
    return {origin.revision for origin in origins(revision).values()}


def composed(observed: Observed, revision: Revision) -> Revision:
    """A revision as it is served: the bytes of each task's prompt, and a manifest that says whose."""
    sources = origins(revision)
    said = (revision.manifest.get("promoted") is True, revision.manifest.get("accepted"))
    own = all(origin == Origin(revision=revision.number) for origin in sources.values())
    told = said == (revision.promoted, list(revision.accepted))
    if own and (told or not origins_before(revision)):
        return revision
    kept = {task: _kept(observed, origin) for task, origin in sources.items()}
    if not all(_files(source, sources[task], task) for task, source in kept.items()):
        return _as_it_is(observed, revision)
    files: dict[str, str] = {}
    for task, source in kept.items():
        files |= _files(source, sources[task], task)
    manifest = _manifest(revision, sources, kept)
    return replace(revision, data=files | {MANIFEST_KEY: dump(manifest)}, manifest=manifest)


def _as_it_is(observed: Observed, revision: Revision) -> Revision:
    """Somebody deleted what a task's prompt was kept in: what is served stays, else all is the run's own."""
    served = observed.served
    if served is not None and (served.number, served.promoted) == (revision.number, True):
        return replace(revision, data=served.data, manifest=served.manifest)
    return revision


def _kept(observed: Observed, origin: Origin) -> Revision | None:
    return next((one for one in observed.trained if one.number == origin.revision), None)


def _files(source: Revision | None, origin: Origin, task: Task) -> dict[str, str]:
    if source is None:
        return {}
    files = source.baseline if origin.baseline else source.data
    return {key: text for key, text in files.items() if key.startswith(f"{task}.")}


def _manifest(
    revision: Revision, sources: dict[Task, Origin], kept: dict[Task, Revision | None]
) -> dict[str, Any]:
    """The run's manifest, with each task's part from the run that its prompt is from."""
    tasks: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    seen: dict[Any, None] = dict.fromkeys(_seen(revision))
    for task, origin in sources.items():
        source = kept[task]
        assert source is not None, "all files were found"
        measured = getattr(metrics_of(source), task)
        if origin.baseline:
            tasks[task] = task_facts({"tasks": source.manifest.get("baseline")}, task)
            numbers[task] = of_baseline(measured)
        else:
            tasks[task] = task_facts(source.manifest, task)
            numbers[task] = measured
            seen |= dict.fromkeys(_seen(source))
    # a pair of prompts that was never measured together has no number end to end
    together = len(set(map(str, sources.values()))) == 1
    whole = Metrics(**numbers, end_to_end=metrics_of(revision).end_to_end if together else None)
    return revision.manifest | {
        "tasks": tasks,
        "metrics": wire(whole),
        "seen": list(seen),
        "accepted": list(revision.accepted),
        "promoted": revision.promoted,
    }


def _seen(revision: Revision) -> list[str]:
    said = revision.manifest.get("seen")
    return [one for one in said if isinstance(one, str)] if isinstance(said, list) else []


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


def pinned(observed: Observed) -> Revision | None:
    """The revision that spec.pinRevision names, where it is kept."""
    number = observed.resource.spec.pin_revision
    return next((one for one in observed.trained if one.number == number), None)


def wanted(observed: Observed) -> Revision | None:
    """The revision that `<name>-prompt` should hold, as it is served; None: leave it as it is."""
    found = pinned(observed)
    if observed.resource.spec.pin_revision is None:
        newest = revision_of(observed, observed.resource.hash)
        found = newest if newest is not None and newest.promoted else _withdrawn(observed, newest)
    found = found or _lost(observed)
    return composed(observed, found) if found is not None else None


def _withdrawn(observed: Observed, newest: Revision | None) -> Revision | None:
    """What was served before the last run, where that one was rejected and none of its spec is left."""
    if newest is None or newest.number != observed.trained[-1].number:
        return None
    before = newest.manifest.get("served")
    return next((one for one in observed.trained if one.number == before and one.promoted), None)


def _lost(observed: Observed) -> Revision | None:
    """The newest promoted revision, where the served ConfigMap is gone or was edited."""
    promoted = [revision for revision in observed.trained if revision.promoted]
    served = observed.served
    if served is None:
        return promoted[-1] if promoted else None
    return next((one for one in promoted if one.number == served.number), None)


def promoted_served(observed: Observed) -> Revision | None:
    """The revision that `<name>-prompt` holds, as it is to be served."""
    served = observed.served
    if served is None:
        return None
    kept = next((one for one in observed.trained if one.number == served.number), None)
    pin = observed.resource.spec.pin_revision
    return composed(observed, kept) if kept and (kept.promoted or kept.number == pin) else served


def holds(served: Revision, found: Revision) -> bool:
    """Whether what is served is a revision, byte for byte; keys that others added are theirs."""
    return found.data.items() <= served.data.items() and not left_over(served.data, found.data)


def left_over(served: Mapping[str, str], found: Mapping[str, str]) -> set[str]:
    """Files of tasks that are served and are none of a revision's: another field manager keeps them there.

    Whoever restored `<name>-prompt` from a backup is one.
    """
    return set(FILES & served.keys()) - found.keys()


def compared_with(observed: Observed) -> Revision | None:
    """The revision that a run's prompts are compared with: the one that is served, where it is kept."""
    served = promoted_served(observed)
    if served is None:
        return None
    return served if any(one.number == served.number for one in observed.trained) else None


def served_from(observed: Observed, served: Revision) -> dict[Task, Origin]:
    """For each task where the prompt that a revision serves is kept; what is gone is left out."""
    return {
        task: origin
        for task, origin in origins(served).items()
        if _files(_kept(observed, origin), origin, task)
    }
