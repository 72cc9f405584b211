"""Applying a plan: every write of the controller but the status."""

import hashlib
import logging
from dataclasses import replace
from datetime import datetime

from domaintraining.api.names import prompt_name, report_name, run_name
from domaintraining.api.reasons import Reason
from domaintraining.api.report import Failure
from domaintraining.api.run import Run
from domaintraining.api.scalars import rfc3339
from domaintraining.api.spec import TASKS
from domaintraining.controller import manifests
from domaintraining.controller.acceptance import judge
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.cluster import CONFIG_MAP, NETWORK_POLICY, Cluster, ClusterError
from domaintraining.controller.decide import Plan, suspended
from domaintraining.controller.diagnose import failure_of_job
from domaintraining.controller.jobs import build_job
from domaintraining.controller.network import Network
from domaintraining.controller.observed import Observed, Preflight, Resource, Revision
from domaintraining.controller.promotion import left_over
from domaintraining.controller.removal import is_ours, remove
from domaintraining.controller.resolve import resolve
from domaintraining.controller.revisions import baseline_data, baseline_files, resolved, revision_data
from domaintraining.controller.settings import Settings
from domaintraining.controller.similar import with_similar
from domaintraining.controller.spending import spending
from domaintraining.controller.writes import create_job, furnish, put
from domaintraining.errors import DomainTrainingError

log = logging.getLogger(__name__)


async def start(  # noqa: PLR0913, PLR0917 - all that an attempt is made of
    cluster: Cluster,
    observed: Observed,
    plan: Plan,
    preflight: Preflight,
    settings: Settings,
    network: Network | None = None,
) -> None:
    """Start an attempt: record it, make its objects, then the Job. Each step may be repeated.

    Without a network, its pods get no policy and the trainer is not told where the API server is.

    Raises:
        DomainTrainingError: an object is refused or belongs to somebody else.
    """
    assert preflight.model is not None, "an attempt starts after its checks"
    resource = observed.resource
    api_server = await network.api_server() if network else []
    models = preflight.model, settings, preflight.prompt_model
    run = resolve(
        observed,
        plan.run,
        *models,
        api_server=api_server,
        embedding_model=preflight.embedding_model,
        compare_with=preflight.compare_with,
    )
    run, offered = await with_similar(cluster, observed, run, preflight.data_model)
    if offered is not None:
        await put(cluster, offered)
    attempt = attempt_of(observed, plan, preflight, run)
    kept_as = observed.kept_as(run.number)
    await put(cluster, manifests.build_run(resource, run, attempt, settings.ca_bundle, kept_as=kept_as))
    await empty_report(cluster, resource, run.number)
    await furnish(cluster, resource, run)
    if network:
        await restrict(cluster, resource, run, network)
    await create_job(cluster, resource, build_job(resource, run, attempt, settings, kept_as=kept_as))


def attempt_of(observed: Observed, plan: Plan, preflight: Preflight, run: Run) -> Attempt:
    """The record of the attempt that a plan starts, with what was checked for it."""
    record = observed.record
    again = record is not None and record.run.number == plan.run
    return Attempt(
        number=plan.attempt,
        data_digest=preflight.data_digest,
        settings_digest=preflight.settings_digest,
        retrain=observed.resource.retrain_requested,
        start_time=record.attempt.start_time if record is not None and again else rfc3339(observed.now),
        spent=run.spent,
    )


async def restrict(cluster: Cluster, resource: Resource, run: Run, network: Network) -> None:
    """Make a run's policy as it has to be now; where none is wanted, that of an earlier attempt goes."""
    policy = await network.policy(resource, run)
    if policy is not None:
        await put(cluster, policy)
        return
    await remove(cluster, resource.key, NETWORK_POLICY, run_name(resource.name, run.number))


async def renew_policy(cluster: Cluster, observed: Observed, network: Network) -> None:
    """Make the policy of a run that goes on anew where it is stale; what goes wrong is told in the log.

    The trainer goes on with the one that it has, and each look tries again.
    """
    job, record, resource = observed.job, observed.record, observed.resource
    if job is None or record is None or not job.active:
        return
    if not await network.is_stale(resource, record.run.number, suspended=job.suspended):
        return
    try:
        await restrict(cluster, resource, record.run, network)
    except (DomainTrainingError, ClusterError) as error:
        network.forget(resource.uid)
        log.warning("%s/%s: policy not renewed: %s", resource.namespace, job.name, error)


async def empty_report(cluster: Cluster, resource: Resource, run: int) -> None:
    """Make the report, or replace it where an earlier attempt wrote into it.

    One that is empty stays: each write wakes the controller, and a Job that is refused is tried for long.
    """
    name = report_name(resource.name, run)
    found = await cluster.get(CONFIG_MAP, resource.namespace, name)
    if found is not None and (found.get("data") or found.get("binaryData") or found.get("immutable")):
        await remove(cluster, resource.key, CONFIG_MAP, name)
    await put(cluster, manifests.build_report(resource, run))


async def restore_report(cluster: Cluster, observed: Observed) -> bool:
    """Give the report its owner and labels back; gives whether they were lost."""
    if observed.record is None or not observed.report.astray:
        return False
    await put(cluster, manifests.build_report(observed.resource, observed.record.run.number))
    return True


async def record_failure(cluster: Cluster, observed: Observed) -> None:
    """Write down why the attempt ended, so that it is known after its Job is gone."""
    record = observed.record
    assert record is not None, "a failure is that of a run"
    error = failure_of(observed)
    report = observed.report.report
    attempt = record.attempt.model_copy(
        update={
            "spent": (report.spent if report else None) or record.attempt.spent,
            "failure": Failure(reason=error.reason, message=error.message[:1024]),
            "failed_time": rfc3339(observed.now),
        }
    )
    body = manifests.build_run(observed.resource, record.run, attempt, kept_as=record.kept_as)
    await put(cluster, body)


def failure_of(observed: Observed) -> DomainTrainingError:
    """Why the attempt ended: what the trainer says, else what its pod shows."""
    report = observed.report
    if report.report is not None and report.report.failure is not None:
        failure = report.report.failure
        return DomainTrainingError(failure.reason, failure.message)
    if report.error:
        return DomainTrainingError(Reason.RESULT_INVALID, f"report of the trainer: {report.error}")
    if suspended(observed):
        return DomainTrainingError(Reason.SUSPENDED, "spec.suspend is true")
    if observed.job is not None:
        return failure_of_job(observed.job)
    return DomainTrainingError(Reason.TRAINER_FAILED, "the Job is gone")


async def take_over(cluster: Cluster, observed: Observed) -> None:
    """Make the trainer's result a revision, promoted or rejected."""
    record, report = observed.record, observed.report
    assert record is not None
    assert report.result is not None
    assert report.baseline is not None
    assert report.report is not None
    run = record.run
    facts = spending(run, report.report) | {
        "startTime": record.attempt.start_time,
        "completionTime": rfc3339(observed.now),
        "dataDigest": record.attempt.data_digest,
        "resolved": resolved(run),
        "retrain": record.attempt.retrain,
    }
    tasks = judge(report.result.metrics, run.tasks, observed.resource.spec.acceptance)
    accepted = tuple(task for task in TASKS if task in tasks and tasks[task].passed)
    data = revision_data(report.result, report.baseline, run, accepted, facts)
    baseline = baseline_files(report.baseline, run)
    await put(cluster, manifests.build_revision(observed.resource, run.number, run.hash, data, baseline))


async def publish_baseline(cluster: Cluster, observed: Observed) -> bool:
    """Keep the baseline of the current run as revision 0; gives whether it was written."""
    record, baseline = observed.record, observed.report.baseline
    if record is None or baseline is None:
        return False
    data = baseline_data(baseline)
    found = next((one for one in observed.revisions if one.number == 0), None)
    if found is not None and found.data == data:
        return False
    resource = observed.resource
    if found is not None:
        await cluster.delete(CONFIG_MAP, resource.namespace, prompt_name(resource.name, 0))
    await put(cluster, manifests.build_revision(resource, 0, record.run.hash, data))
    return True


async def serve(cluster: Cluster, resource: Resource, revision: Revision) -> None:
    """Let `<name>-prompt` hold a revision: one write changes all that readers see.

    An apply removes no file that another field manager set, such as kubectl that restored it: a merge does.
    """
    body = manifests.build_served(resource, revision)
    found = await cluster.get(CONFIG_MAP, resource.namespace, body["metadata"]["name"])
    gone = left_over((found or {}).get("data") or {}, revision.data)
    if found is not None and gone and is_ours(found, resource.name):
        metadata = {key: body["metadata"][key] for key in ("name", "namespace", "labels")}
        data = revision.data | dict.fromkeys(gone)
        await cluster.merge(body | {"metadata": metadata, "data": data})
    await put(cluster, body)


async def adopt(cluster: Cluster, resource: Resource, revisions: tuple[Revision, ...]) -> None:
    """Take over the revisions that an earlier resource of this name left."""
    for one in revisions:
        await put(cluster, manifests.build_revision(resource, one.number, one.hash, one.data, one.baseline))


def event_name(resource: Resource, kind: str, reason: str, now: datetime) -> str:
    """A name of its own for each event about a resource."""
    text = f"{resource.uid}/{kind}/{reason}/{now.isoformat()}"
    return f"{resource.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def with_preflight(observed: Observed, preflight: Preflight) -> Observed:
    """What was observed, with the checks beside it."""
    return replace(observed, preflight=preflight)
