"""What is to be served: which revision, and of which runs its tasks' prompts are. Pure.

A revision keeps the prompts that its run made. Served are those that passed; a task that failed serves the
prompt it had before, which an earlier revision keeps, or, as its baseline, the revision itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from domaintraining.api.run import Origin
from domaintraining.api.spec import TASKS, Task
from domaintraining.controller.acceptance import Judgement, judge
from domaintraining.controller.composing import compose, is_kept, kept_part
from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.revisions import SERVED_REJECTED, metrics_of, origins_before

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
    their own manifest; but what fails today is no promoted prompt of this spec. A pinned one is not judged.
    """
    return replace(observed, revisions=tuple(_judged(observed, one) for one in observed.revisions))


def _judged(observed: Observed, revision: Revision) -> Revision:
    if revision.number == observed.resource.spec.pin_revision:
        return _as_served(observed, revision)
    if revision is last_of_spec(observed):
        return _by_spec(observed, revision)
    then = _as_served(observed, revision)
    tasks = judgement(observed, then) if then.hash == observed.resource.hash and then.promoted else {}
    passed = tuple(task for task in then.accepted if task in tasks and tasks[task].passed)
    return replace(then, promoted=bool(passed), accepted=passed) if tasks else then


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
        if later.manifest.get("served") == revision.number and not later.manifest.get(SERVED_REJECTED):
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
    parts = {task: kept_part(observed, origin, task) for task, origin in sources.items()}
    found = {task: part for task, part in parts.items() if part is not None}
    return compose(revision, found) if len(found) == len(parts) else _as_it_is(observed, revision)


def _as_it_is(observed: Observed, revision: Revision) -> Revision:
    """Somebody deleted what a task's prompt was kept in: what is served stays, else that task has none."""
    served = observed.served
    if served is None:
        own = Origin(revision=revision.number)
        passed = [task for task, origin in origins(revision).items() if origin == own]
        parts = {task: part for task in passed if (part := kept_part(observed, own, task)) is not None}
        return compose(revision, parts)
    if (served.number, served.promoted) == (revision.number, True):
        return replace(revision, data=served.data, manifest=served.manifest)
    return served


def lost_part(observed: Observed, revision: Revision) -> str:
    """Which prompt that a revision serves is kept nowhere, in words; empty: all are."""
    for task, origin in origins(revision).items():
        if kept_part(observed, origin, task) is None:
            return f"its prompt for {task} is that of revision {origin.revision}, which is not kept"
    return ""


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
    kept = {one.number: one for one in observed.trained}
    if newest is None or newest.number != max(kept):
        return None
    before, found = kept.get(_served_then(newest)), newest
    while before is not None and before.number < found.number and not before.promoted:
        found, before = before, kept.get(_served_then(before))  # a pin alone had put it there
    return before if before is not None and before.promoted else None


def _served_then(revision: Revision) -> int:
    """The revision that was served when a run started; 0: none."""
    number = revision.manifest.get("served")
    return number if isinstance(number, int) else 0


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
    return {task: origin for task, origin in origins(served).items() if is_kept(observed, origin, task)}
