"""Observing: every read of one reconcile, turned into plain values."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from domaintraining.api.hashing import run_hash
from domaintraining.api.names import (
    LABEL_HASH,
    LABEL_KEEP,
    LABEL_NAME,
    LABEL_REVISION,
    LABEL_ROLE,
    LABEL_RUN,
    prompt_name,
    record_name,
    run_name,
)
from domaintraining.api.reasons import REASONS
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Prompts, Report
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.api.spec import TASKS, DomainTrainingSpec, Task
from domaintraining.api.status import DomainTrainingStatus
from domaintraining.controller.attempt import ATTEMPT_KEY, Attempt
from domaintraining.controller.cluster import CONFIG_MAP, JOB, POD, Cluster
from domaintraining.controller.diagnose import read_job, refused_pods
from domaintraining.controller.manifests import ROLE_PROMPT, ROLE_SERVED, build_report
from domaintraining.controller.objects import carries, number_of
from domaintraining.controller.observe_checks import check_state, of_checks
from domaintraining.controller.observed import (
    JobState,
    Object,
    Observed,
    ReportState,
    Resource,
    Revision,
    RunRecord,
)
from domaintraining.controller.parts import ROLE_RUN
from domaintraining.controller.promotion import judged
from domaintraining.controller.revisions import read_revision

JOB_LABEL = "batch.kubernetes.io/job-name"
SLOWEST_POD: Final = timedelta(seconds=3)
"""A Job's pod is made within a second where nothing refuses it."""
REFUSED_FOR: Final = timedelta(minutes=1)
"""A policy that refuses a first pod for so long is no matter of a moment."""


def read_resource(body: Object) -> Resource:
    """A DomainTraining as the API server holds it.

    Raises:
        ValidationError: the spec holds what this version does not know.
    """
    metadata = body["metadata"]
    spec = DomainTrainingSpec.model_validate(body.get("spec") or {})
    return Resource(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        spec=spec,
        hash=run_hash(spec),
        status=read_status(body.get("status") or {}),
        created=metadata.get("creationTimestamp") or "",
    )


def read_status(values: dict[str, Any]) -> DomainTrainingStatus:
    """The status as it stands; one that another version wrote and this can't read counts as none."""
    try:
        return DomainTrainingStatus.model_validate(values)
    except ValidationError:
        return DomainTrainingStatus()


async def observe(cluster: Cluster, resource: Resource, now: datetime) -> Observed:
    """Everything in the cluster that belongs to a resource: three calls, four where there is a Job.

    One more where a Job is without a pod for a while.
    """
    mine = {LABEL_NAME: resource.name}
    # Jobs before reports: a Job that has ended has reported, and its report is seen with it
    found_jobs = await cluster.find(JOB, resource.namespace, mine)
    pods = await cluster.find(POD, resource.namespace, mine) if found_jobs else []
    (run_jobs, check_jobs), (run_pods, check_pods) = of_checks(found_jobs), of_checks(pods)
    jobs = _jobs(run_jobs, run_pods, resource.uid)
    config_maps = await cluster.find(CONFIG_MAP, resource.namespace, mine)
    by_role = _sorted(config_maps, resource.name)
    record = _record(by_role[ROLE_RUN], resource.name)
    report = _report(config_maps, record, resource)
    explained = [await _explained(cluster, resource.namespace, job, report.report, now) for job in jobs]
    found = Observed(
        resource=resource,
        now=now,
        record=record,
        runs=tuple(by_role[ROLE_RUN]),
        revisions=_revisions(by_role[ROLE_PROMPT], resource.uid),
        served=next(iter(_revisions(by_role[ROLE_SERVED], resource.uid)), None),
        jobs=tuple(explained),
        report=report,
        check=check_state(resource.name, config_maps, _jobs(check_jobs, check_pods, resource.uid)),
    )
    return judged(found)


async def _explained(
    cluster: Cluster, namespace: str, job: JobState, report: Report | None, now: datetime
) -> JobState:
    """The Job, with why its pods are refused: nothing but events tells of that."""
    final = job.trouble is not None and not REASONS[job.trouble.reason].passes
    if not job.podless or job.held_since is None or now - job.held_since <= SLOWEST_POD or final:
        return job
    ran = report is not None and (report.run, report.attempt) == (job.run, job.attempt)
    refused = refused_pods(
        await cluster.warnings(namespace, job.uid),
        job.held_since - SLOWEST_POD,  # the first refusal may come before the Job's status is written
        lasting=not ran and now - job.held_since >= REFUSED_FOR,
    )
    return replace(job, trouble=refused or job.trouble)


def _label(body: Object, label: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(label, ""))


def _sorted(config_maps: list[Object], name: str) -> dict[str, dict[int, Object]]:
    """ConfigMaps by role and number, each only under the name that it was made with; a copy is not ours.

    An earlier version called all records of runs as their rights; of two, that of today's name counts.
    """
    found: dict[str, dict[int, Object]] = {role: {} for role in (ROLE_RUN, ROLE_PROMPT, ROLE_SERVED)}
    for body in sorted(config_maps, key=lambda one: len(one["metadata"]["name"])):
        role = _label(body, LABEL_ROLE)
        number = number_of(body, LABEL_RUN if role == ROLE_RUN else LABEL_REVISION)
        if number is None:
            continue
        expected = {
            ROLE_RUN: (run_name(name, number), record_name(name, number)),
            ROLE_PROMPT: (prompt_name(name, number),),
            ROLE_SERVED: (prompt_name(name),),
        }
        if body["metadata"]["name"] in expected.get(role, ()):
            found[role][number] = body
    return {role: dict(sorted(bodies.items())) for role, bodies in found.items()}


def _revisions(config_maps: dict[int, Object], uid: str) -> tuple[Revision, ...]:
    return tuple(
        read_revision(body, uid, number, _label(body, LABEL_HASH), keep=_label(body, LABEL_KEEP) == "true")
        for number, body in config_maps.items()
    )


def _record(config_maps: dict[int, Object], name: str) -> RunRecord | None:
    """The readable run with the highest number."""
    for number, body in reversed(config_maps.items()):
        data = body.get("data") or {}
        try:
            run = Run.model_validate_json(data.get(RUN_KEY, ""))
            attempt = Attempt.model_validate_json(data.get(ATTEMPT_KEY, ""))
        except ValidationError:
            continue
        if run.number == number:
            found = body["metadata"]["name"]
            return RunRecord(run, attempt, "" if found == record_name(name, number) else found)
    return None


def _jobs(found: list[Object], pods: list[Object], uid: str) -> tuple[JobState, ...]:
    by_job: dict[str, list[Object]] = {}
    for pod in pods:
        by_job.setdefault(_label(pod, JOB_LABEL), []).append(pod)
    return tuple(read_job(job, by_job.get(job["metadata"]["name"], []), uid) for job in found)


def _report(config_maps: list[Object], record: RunRecord | None, resource: Resource) -> ReportState:
    """The report of the current attempt, by its name; what an earlier one left is not looked at."""
    if record is None:
        return ReportState()
    made = build_report(resource, record.run.number)
    for body in config_maps:
        if body["metadata"]["name"] == made["metadata"]["name"]:
            owners = body["metadata"].get("ownerReferences") or []
            owned = any(one.get("uid") == resource.uid for one in owners)
            astray = not owned or not carries(body, made["metadata"]["labels"])
            return replace(read_report(body.get("data") or {}, record), astray=astray)
    return ReportState()


def read_report(data: dict[str, str], record: RunRecord) -> ReportState:
    """A report ConfigMap's data: hostile input, bounded and validated."""
    if REPORT_KEY not in data:
        return ReportState()
    try:
        report = Report.model_validate_json(data[REPORT_KEY])
        baseline = Prompts.model_validate_json(data[BASELINE_KEY]) if BASELINE_KEY in data else None
        result = Prompts.model_validate_json(data[RESULT_KEY]) if RESULT_KEY in data else None
    except (ValidationError, RecursionError) as error:
        return ReportState(error=_where(error))
    if (report.run, report.attempt) != (record.run.number, record.attempt.number):
        return ReportState()
    fault = _incomplete(record.run.tasks, baseline, result)
    return ReportState(report, baseline, None if fault else result, error=fault)


def _incomplete(tasks: Sequence[Task], baseline: Prompts | None, result: Prompts | None) -> str:
    """What is wrong with the tasks of a result: a task that fails keeps the baseline's prompt."""
    if result is None:
        return ""
    if baseline is None:
        return "a result without a baseline"
    for what, prompts in (("result", result), ("baseline", baseline)):
        found = [task for task in TASKS if prompts.prompt(task) is not None]
        if missing := [task for task in tasks if task not in found]:
            return f"the {what} has no prompt for {', '.join(missing)}"
        if further := [task for task in found if task not in tasks]:
            return f"the {what} has a prompt for {', '.join(further)}, which is no task of the run"
    return ""


def _where(error: Exception) -> str:
    """Fields and kinds of the first three faults, without what was written there."""
    if not isinstance(error, ValidationError):
        return "nested too deeply"
    faults = error.errors(include_input=False, include_url=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"[:200] for one in faults)
