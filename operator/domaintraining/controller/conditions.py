"""The conditions, each from one small rule. Pure.

Ready, Reconciling and Stalled are read as kstatus does
(https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): the last two are there
only while they are true.

Ready is about what is served: true where it is a prompt of this generation's hash, also while a later run
of the same hash goes, rests or fails. What runs is told by Reconciling, Stalled and the stages' conditions.
"""

from typing import Final, NamedTuple

from domaintraining.api.reasons import DATASET_REASONS, REASONS, Reason
from domaintraining.api.status import Condition, ConditionStatus
from domaintraining.controller.acceptance import rejection
from domaintraining.controller.decide import Plan, Step, lost_problem, pin_problem
from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.promotion import composed, holds, judgement, last_of_spec, origins, pinned
from domaintraining.controller.revisions import reused_from
from domaintraining.errors import DomainTrainingError

MODEL_REASONS: Final = frozenset(
    {
        Reason.MODEL_NOT_ALLOWED,
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_PULLING,
        Reason.MODEL_PULL_FAILED,
        Reason.MODEL_UNSUITABLE,
        Reason.MODEL_SERVER_UNAVAILABLE,
        Reason.GRAPH_UNAVAILABLE,
        Reason.GRAPH_REFUSED,
        Reason.GRAPH_INVALID,
    }
)


class _Said(NamedTuple):
    status: ConditionStatus
    reason: Reason
    message: str = ""


def conditions(
    observed: Observed, plan: Plan, problem: DomainTrainingError | None, now: str
) -> list[Condition]:
    """All conditions; the time of one changes only with its status.

    Args:
        observed: what the reconcile saw last.
        plan: what it decided.
        problem: what kept the step from being done.
        now: time of RFC 3339 for conditions that change.
    """
    astray = pin_problem(observed) or (lost_problem(observed) if plan.step is Step.REST else None)
    trouble = problem or _trouble(observed, plan)
    served = _served(observed)
    stage = _stage(observed, plan, trouble)
    ready = served or (_failed(astray) if astray else stage)
    said = {
        "Available": _available(observed),
        "Ready": ready,
        "Reconciling": None if astray else _reconciling(plan, trouble, stage),
        "Stalled": _stalled(observed, plan, astray or trouble, ready),
        "DatasetValid": _dataset(observed, plan, trouble),
        "ModelReady": _model(observed, trouble),
        "Trained": _trained(observed, plan, trouble, stage),
        "Promoted": served or _not_promoted(observed, plan, stage),
    }
    before = {one.type: one for one in observed.resource.status.conditions}
    result = []
    for kind, one in said.items():
        if one is None:
            continue
        last = before.get(kind)
        since = last.last_transition_time if last is not None and last.status == one.status else now
        result.append(
            Condition(
                type=kind,
                status=one.status,
                reason=one.reason.value,
                message=one.message[:1024],
                observed_generation=observed.resource.generation,
                last_transition_time=since,
            )
        )
    return result


def _trouble(observed: Observed, plan: Plan) -> DomainTrainingError | None:
    """What is wrong with the attempt that goes on or that ended."""
    record = observed.record
    if plan.step is Step.WAIT and record is not None and record.attempt.failure is not None:
        failure = record.attempt.failure
        return DomainTrainingError(failure.reason, failure.message)
    if plan.step is not Step.WATCH or _held(observed):
        return None
    report = observed.report.report
    if report is not None and report.waiting is not None:
        return DomainTrainingError(report.waiting.reason, report.waiting.message)
    return observed.job.trouble if observed.job is not None else None


def _with_remedy(trouble: DomainTrainingError) -> str:
    message = trouble.message if trouble.message.endswith((".", "!", "?")) else f"{trouble.message}."
    return f"{message} {trouble.remedy}".strip()


def _needs_a_person(trouble: DomainTrainingError | None) -> bool:
    return trouble is not None and REASONS[trouble.reason].stalled


def _available(observed: Observed) -> _Said:
    if observed.served is None:
        return _Said("False", Reason.NO_PROMPT, "no prompt was promoted yet")
    served = observed.served
    if not served.promoted:
        words = f"revision {served.number}, which was not accepted, is served: spec.pinRevision"
        pin = observed.resource.spec.pin_revision == served.number
        return _Said("True", Reason.PINNED, f"{words} {'names' if pin else 'had named'} it")
    return _Said("True", Reason.PROMOTED, f"revision {served.number} is served")


def _served(observed: Observed) -> _Said | None:
    """Ready: the prompt of this generation's hash, or the pinned one, is served as its revisions keep it."""
    served, pin = observed.served, observed.resource.spec.pin_revision
    if served is None or (served.number != pin if pin else served.hash != observed.resource.hash):
        return None
    kept = next((one for one in observed.trained if one.number == served.number), served)
    if not holds(served, composed(observed, kept)):
        return None
    if pin:
        return (
            _Said("True", Reason.PINNED, f"revision {pin} is pinned and served") if pinned(observed) else None
        )
    if not kept.promoted:
        return None
    return _Said("True", Reason.PROMOTED, f"revision {served.number} is served{_keeps(observed, kept)}")


def _keeps(observed: Observed, served: Revision) -> str:
    """What a served revision serves of earlier ones, and why."""
    others = []
    for task, origin in origins(served).items():
        if origin.baseline:
            others.append(f"{task} keeps the baseline's prompt")
        elif origin.revision != served.number:
            others.append(f"{task} keeps the prompt of revision {origin.revision}")
    _, words = rejection(judgement(observed, served)) if others else (None, "")
    return f"; {', '.join(others)}" + (f" ({words})" if words else "") if others else ""


def _stage(observed: Observed, plan: Plan, trouble: DomainTrainingError | None) -> _Said:
    """How far the run is; Ready too, unless a prompt of this hash is served."""
    if plan.step is Step.REST and trouble is None:
        return _said_rejected(observed, plan.run)
    if trouble is not None and _needs_a_person(trouble):
        return _failed(trouble)
    if plan.step is Step.SUSPEND and trouble is None:
        return _Said("False", Reason.SUSPENDED, f"spec.suspend is true; false goes on with run {plan.run}")
    if trouble is None and (words := _waits_for(observed, plan)):
        return _Said("False", Reason.QUEUED, words)
    if plan.step is Step.WATCH:
        running = observed.job is not None and observed.job.started
        words = _with_remedy(trouble) if trouble else ""
        report = observed.report.report
        words = words or (report.progress.message if report and running else "")
        return _Said("False", Reason.TRAINING if running else Reason.QUEUED, words)
    return _Said("False", Reason.PENDING, _with_remedy(trouble) if trouble else "the run is being prepared")


def _held(observed: Observed) -> bool:
    return observed.job is not None and observed.job.suspended


def _waits_for(observed: Observed, plan: Plan) -> str:
    """What it waits for: a place, or who lets a suspended Job go on; empty: it does not wait.

    Why Kueue does not let it go on yet stands in objects of its own, which are not read here.
    """
    if plan.step is Step.START and observed.place is not None:
        return observed.place.words
    job, namespace = observed.job, observed.resource.namespace
    if plan.step is not Step.WATCH or job is None or not job.suspended:
        return ""
    if not job.queue:
        return f"Job {job.name} is suspended; who suspended it, such as Kueue, lets it go on"
    words = f"Job {job.name} is in Kueue's queue {job.queue}, which lets it go on"
    return f"{words}; `kubectl -n {namespace} describe workloads` says what it waits for"


def _failed(trouble: DomainTrainingError) -> _Said:
    return _Said("False", Reason.FAILED, _with_remedy(trouble))


def _rejected(observed: Observed, number: int) -> tuple[Reason, str]:
    """Why no task of a run passed: Rejected or NoHeldOutData, and by how much each fell short."""
    kept = next((one for one in observed.trained if one.number == number), None)
    return rejection(judgement(observed, kept)) if kept is not None else (Reason.REJECTED, "")


def _said_rejected(observed: Observed, number: int) -> _Said:
    reason, why = _rejected(observed, number)
    words = f"no task of run {number} passed the acceptance{f': {why}' if why else ''}"
    return _Said("False", Reason.REJECTED, f"{words}. {REASONS[reason].remedy}")


def _stalled(
    observed: Observed, plan: Plan, trouble: DomainTrainingError | None, ready: _Said
) -> _Said | None:
    if trouble is not None and _needs_a_person(trouble):
        return _Said("True", trouble.reason, _with_remedy(trouble))
    if plan.step is Step.REST and ready.reason is Reason.REJECTED:
        return _Said("True", _rejected(observed, plan.run)[0], ready.message)
    return None


def _reconciling(plan: Plan, trouble: DomainTrainingError | None, stage: _Said) -> _Said | None:
    """A suspended run is neither reconciled nor stalled: it was asked to rest, as Argo CD shows it too."""
    if _needs_a_person(trouble) or (plan.step in (Step.REST, Step.SUSPEND) and trouble is None):
        return None
    return _Said("True", trouble.reason if trouble else stage.reason, stage.message)


def _dataset(observed: Observed, plan: Plan, trouble: DomainTrainingError | None) -> _Said:
    if trouble is not None and trouble.reason in DATASET_REASONS:
        return _Said("False", trouble.reason, _with_remedy(trouble))
    report = observed.report.report
    if report is not None and report.dataset is not None:
        data = report.dataset
        counts = f"{data.train} train, {data.validation} validation, {data.test} held-out"
        chosen = (
            f"; adaptive chose {report.auto}: {report.auto_reason}"
            if report.auto and report.auto_reason
            else ""
        )
        return _Said("True", Reason.DATASET_VALID, f"{data.samples} samples: {counts}{chosen}")
    if plan.step is Step.REST:
        return _Said("True", Reason.DATASET_VALID, "the samples were read when the run was made")
    return _Said("Unknown", Reason.PENDING, "the samples are not read yet")


def _model(observed: Observed, trouble: DomainTrainingError | None) -> _Said:
    if trouble is not None and trouble.reason in MODEL_REASONS:
        return _Said("False", trouble.reason, _with_remedy(trouble))
    if observed.record is not None:
        return _Said("True", Reason.MODEL_READY, f"{observed.record.run.model.name} is on the server")
    if observed.preflight is not None and observed.preflight.model is not None:
        return _Said("True", Reason.MODEL_READY, f"{observed.preflight.model.name} is on the server")
    if observed.place is not None:
        # asked when it came, and again when it is its turn
        for one in observed.resource.status.conditions:
            if one.type == "ModelReady" and one.status == "True":
                return _Said("True", Reason.MODEL_READY, one.message)
    return _Said("Unknown", Reason.PENDING, "the model is not checked yet")


def _trained(observed: Observed, plan: Plan, trouble: DomainTrainingError | None, stage: _Said) -> _Said:
    """The last run of this spec; where one goes, that one."""
    if plan.step is Step.SUPERSEDE and observed.record is not None:
        number = observed.record.run.number
        return _Said("False", Reason.SUPERSEDED, f"run {number} was stopped: the spec asks for another one")
    if plan.step is Step.REST:
        return _ended(observed, plan)
    if trouble is not None:
        return _Said("False", trouble.reason, _with_remedy(trouble))
    return _Said("False", stage.reason, stage.message)


def _ended(observed: Observed, plan: Plan) -> _Said:
    last = last_of_spec(observed)
    if last is None:
        return _Said("Unknown", Reason.PENDING, "its revision is gone")
    if last.manifest.get("budgetExhausted") is True:
        words = f"the budget of run {last.number} was spent; its best so far is evaluated and kept"
        return _Said("True", Reason.BUDGET_EXHAUSTED, f"{words}. {REASONS[Reason.BUDGET_EXHAUSTED].remedy}")
    source = reused_from(last)
    if source is not None and last.number == plan.run:
        words = f"run {last.number} was made from revision {source.revision} of DomainTraining {source.name}"
        return _Said("True", Reason.REUSED, f"{words}: the same spec, samples and models; 0 model calls")
    words = f"run {last.number} ended with a result"
    if last.number != plan.run:
        _, why = _rejected(observed, last.number)
        words += f" that was not accepted{f' ({why})' if why else ''}; revision {plan.run} stays served"
    return _Said("True", Reason.TRAINED, words)


def _not_promoted(observed: Observed, plan: Plan, stage: _Said) -> _Said:
    if plan.step is Step.REST and stage.reason is Reason.REJECTED:
        return stage._replace(reason=_rejected(observed, plan.run)[0])
    if plan.step is Step.REST:
        return stage
    return _Said("False", Reason.NOT_ACCEPTED, "no promoted prompt of this spec yet")
