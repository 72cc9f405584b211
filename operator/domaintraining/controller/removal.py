"""Removing what runs left: each object only where it is of the resource that it is named after."""

from collections.abc import Mapping

from domaintraining.api.names import (
    GROUP,
    KIND,
    LABEL_NAME,
    LABEL_ROLE,
    LABEL_RUN,
    check_name,
    data_name,
    prompt_name,
    record_name,
    report_name,
    run_name,
    similar_name,
)
from domaintraining.controller.cluster import (
    CONFIG_MAP,
    NETWORK_POLICY,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Cluster,
    Kind,
)
from domaintraining.controller.decide import Plan
from domaintraining.controller.observed import Object, Observed
from domaintraining.controller.parts import ROLE_CHECKER, parts_of_check
from domaintraining.controller.workqueue import Key


def is_ours(found: Object, name: str) -> bool:
    """Whether an object bears the label of the resource of this name."""
    return (found["metadata"].get("labels") or {}).get(LABEL_NAME) == name


def refers_to_ours(owner: Object) -> bool:
    """Whether an owner reference is to a DomainTraining, of whatever version."""
    return owner.get("kind") == KIND and str(owner.get("apiVersion")).partition("/")[0] == GROUP


async def remove(cluster: Cluster, key: Key, kind: Kind, name: str) -> None:
    """Delete an object where it is there and of this resource."""
    found = await cluster.get(kind, key[0], name)
    if found is not None and is_ours(found, key[1]):
        await cluster.delete(kind, key[0], name, uid=found["metadata"]["uid"])


async def take_back(cluster: Cluster, key: Key, run: int) -> None:
    """Remove a trainer's rights, samples and network policy. The Role, made first, goes last."""
    for name in (data_name(key[1], run), similar_name(key[1], run)):
        await remove(cluster, key, CONFIG_MAP, name)
    for kind in (ROLE_BINDING, SERVICE_ACCOUNT, NETWORK_POLICY, ROLE):
        await remove(cluster, key, kind, run_name(key[1], run))


async def forget(cluster: Cluster, key: Key, run: int) -> None:
    """Remove all of a run but its revision and its Jobs. The run's own ConfigMap, made first, goes last.

    Under the name of an earlier version as well.
    """
    await take_back(cluster, key, run)
    for name in dict.fromkeys(made(key[1], run) for made in (report_name, run_name, record_name)):
        await remove(cluster, key, CONFIG_MAP, name)


async def _has_pods(cluster: Cluster, key: Key, labels: Mapping[str, str]) -> bool:
    """Whether a pod is left that did not end: it outlives its Job, free without its policy."""
    pods = await cluster.find(POD, key[0], {LABEL_NAME: key[1], **labels})
    return any((pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") for pod in pods)


async def take_back_check(cluster: Cluster, key: Key) -> bool:
    """Remove all of a check but its record and its Jobs, once no pod of it is left; gives whether none is.

    The report, made first, goes last: while it is there, something may be left.
    """
    if await _has_pods(cluster, key, {LABEL_ROLE: ROLE_CHECKER}):
        return False
    parts = parts_of_check(key[1])
    for kind in (ROLE_BINDING, SERVICE_ACCOUNT, NETWORK_POLICY, ROLE):
        await remove(cluster, key, kind, parts.name)
    for name in (parts.data, parts.report):
        await remove(cluster, key, CONFIG_MAP, name)
    return True


async def forget_checks(cluster: Cluster, key: Key) -> None:
    """Remove all of the checks of a resource but their Jobs, the record last."""
    if await take_back_check(cluster, key):
        await remove(cluster, key, CONFIG_MAP, check_name(key[1]))


async def clean_up(cluster: Cluster, observed: Observed) -> None:
    """Remove what only a running trainer of the last run needs: its rights and the copy of inline samples."""
    resource, record = observed.resource, observed.record
    if record is None:
        return
    name = run_name(resource.name, record.run.number)
    key, run = resource.key, record.run.number
    if await cluster.get(ROLE, resource.namespace, name) is not None and not await _has_pods(
        cluster, key, {LABEL_RUN: str(run)}
    ):
        await take_back(cluster, key, run)


async def prune(cluster: Cluster, observed: Observed, plan: Plan) -> None:
    """Remove revisions beyond the limit, and what runs left that a later one followed."""
    key = observed.resource.key
    for one in plan.prune:
        await remove(cluster, key, CONFIG_MAP, prompt_name(key[1], one.number))
    for run in plan.forget:
        if not await _has_pods(cluster, key, {LABEL_RUN: str(run)}):
            await forget(cluster, key, run)
