"""Observing: every read of one reconcile, turned into plain values."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domaintraining.api.hashing import run_hash
from domaintraining.api.names import (
    LABEL_HASH,
    LABEL_KEEP,
    LABEL_NAME,
    LABEL_REVISION,
    LABEL_ROLE,
    LABEL_RUN,
    run_name,
)
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Prompts, Report
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import DomainTrainingStatus
from domaintraining.controller.attempt import ATTEMPT_KEY, Attempt
from domaintraining.controller.cluster import CONFIG_MAP, JOB, POD, Cluster
from domaintraining.controller.diagnose import read_job
from domaintraining.controller.manifests import ROLE_PROMPT, ROLE_REPORT, ROLE_RUN, ROLE_SERVED
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import (
    JobState,
    Object,
    Observed,
    ReportState,
    Resource,
    Revision,
    RunRecord,
)
from domaintraining.controller.revisions import read_revision

JOB_LABEL = "batch.kubernetes.io/job-name"


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
    )


def read_status(values: dict[str, Any]) -> DomainTrainingStatus:
    """The status as it stands; one that another version wrote and this can't read counts as none."""
    try:
        return DomainTrainingStatus.model_validate(values)
    except ValidationError:
        return DomainTrainingStatus()


async def observe(cluster: Cluster, resource: Resource, now: datetime) -> Observed:
    """Everything in the cluster that belongs to a resource: three calls, four where there is a Job."""
    mine = {LABEL_NAME: resource.name}
    config_maps = await cluster.find(CONFIG_MAP, resource.namespace, mine)
    found_jobs = await cluster.find(JOB, resource.namespace, mine)
    pods = await cluster.find(POD, resource.namespace, mine) if found_jobs else []
    revisions = tuple(
        sorted(_revisions(config_maps, ROLE_PROMPT, resource.uid), key=lambda revision: revision.number)
    )
    served = next(iter(_revisions(config_maps, ROLE_SERVED, resource.uid)), None)
    record = _record(config_maps)
    return Observed(
        resource=resource,
        now=now,
        record=record,
        runs=_runs(config_maps, resource.name),
        revisions=revisions,
        served=served,
        jobs=_jobs(found_jobs, pods, resource.uid),
        report=_report(config_maps, record),
    )


def _label(body: Object, label: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(label, ""))


def _revisions(config_maps: list[Object], role: str, uid: str) -> list[Revision]:
    found = []
    for body in config_maps:
        number = number_of(body, LABEL_REVISION)
        if _label(body, LABEL_ROLE) == role and number is not None:
            keep = _label(body, LABEL_KEEP) == "true"
            found.append(read_revision(body, uid, number, _label(body, LABEL_HASH), keep=keep))
    return found


def _runs(config_maps: list[Object], name: str) -> tuple[int, ...]:
    """Numbers of the runs whose ConfigMap is there."""
    numbers = (
        (number_of(body, LABEL_RUN), body["metadata"]["name"])
        for body in config_maps
        if _label(body, LABEL_ROLE) == ROLE_RUN
    )
    return tuple(sorted(number for number, own in numbers if number and own == run_name(name, number)))


def _record(config_maps: list[Object]) -> RunRecord | None:
    """The readable run with the highest number."""
    records = []
    for body in config_maps:
        if _label(body, LABEL_ROLE) != ROLE_RUN:
            continue
        data = body.get("data") or {}
        try:
            run = Run.model_validate_json(data.get(RUN_KEY, ""))
            attempt = Attempt.model_validate_json(data.get(ATTEMPT_KEY, ""))
        except ValidationError:
            continue
        records.append(RunRecord(run, attempt))
    return max(records, key=lambda record: record.run.number, default=None)


def _jobs(found: list[Object], pods: list[Object], uid: str) -> tuple[JobState, ...]:
    by_job: dict[str, list[Object]] = {}
    for pod in pods:
        by_job.setdefault(_label(pod, JOB_LABEL), []).append(pod)
    return tuple(read_job(job, by_job.get(job["metadata"]["name"], []), uid) for job in found)


def _report(config_maps: list[Object], record: RunRecord | None) -> ReportState:
    """The report of the current attempt; what an earlier one left is not looked at."""
    if record is None:
        return ReportState()
    number = str(record.run.number)
    for body in config_maps:
        if _label(body, LABEL_ROLE) == ROLE_REPORT and _label(body, LABEL_RUN) == number:
            return read_report(body.get("data") or {}, record)
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
    if result is not None and baseline is None:
        return ReportState(report, error="a result without a baseline")
    missing = [task for task in record.run.tasks if result is not None and result.prompt(task) is None]
    if missing:
        return ReportState(report, baseline, error=f"the result has no prompt for {', '.join(missing)}")
    return ReportState(report, baseline, result)


def _where(error: Exception) -> str:
    """Fields and kinds of the first three faults, without what was written there."""
    if not isinstance(error, ValidationError):
        return "nested too deeply"
    faults = error.errors(include_input=False, include_url=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"[:200] for one in faults)
