"""Removing what belongs to resources that no longer exist, where the garbage collector left it.

It leaves what was orphaned (`kubectl delete --cascade=orphan`), and all where it is off. Jobs, rights,
reports and run records go: a trainer without its resource works for nobody. Prompts and journals never go:
they may have been orphaned to be restored.
See https://kubernetes.io/docs/concepts/architecture/garbage-collection/#orphaned-dependents
"""

import logging
from collections.abc import Collection
from datetime import datetime

from domaintraining.api.names import (
    LABEL_ATTEMPT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_ROLE,
    LABEL_RUN,
    check_job_name,
    check_name,
    job_name,
    record_name,
    run_name,
)
from domaintraining.controller.cluster import CONFIG_MAP, DOMAIN_TRAINING, JOB, Cluster
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import Object
from domaintraining.controller.parts import ROLE_CHECK, ROLE_RUN
from domaintraining.controller.removal import forget, forget_checks, refers_to_ours
from domaintraining.controller.uses import is_check
from domaintraining.controller.workqueue import Key

log = logging.getLogger(__name__)


async def remove_orphans(
    cluster: Cluster, namespace: str | None, known: Collection[Key], before: datetime
) -> None:
    """Remove Jobs, rights, reports and run records of resources that are not there.

    Args:
        cluster: the API server.
        namespace: where to look; None: everywhere.
        known: all resources there, from a complete list; only what is not among them is asked for again.
        before: what was made later is left alone: a backup's resource may be restored last.

    Raises:
        ClusterError: a list is not complete, or a write failed; the rest goes the next time.
    """
    ours = {LABEL_MANAGED_BY: "domaintraining"}
    jobs = _left(await cluster.find(JOB, namespace, ours), known, before)
    runs = _left(await cluster.find(CONFIG_MAP, namespace, ours | {LABEL_ROLE: ROLE_RUN}), known, before)
    checks = _left(await cluster.find(CONFIG_MAP, namespace, ours | {LABEL_ROLE: ROLE_CHECK}), known, before)
    for key in sorted(jobs.keys() | runs.keys() | checks.keys()):
        if await cluster.get(DOMAIN_TRAINING, *key) is not None:
            continue
        names = [job["metadata"]["name"] for job in jobs.get(key, [])]
        numbers = [number_of(run, LABEL_RUN) or 0 for run in runs.get(key, [])]
        log.info("%s/%s no longer exists: Jobs %s and runs %s are removed", *key, names, numbers)
        for job in jobs.get(key, []):
            await cluster.delete(JOB, key[0], job["metadata"]["name"], uid=job["metadata"]["uid"])
        for number in numbers:
            await forget(cluster, key, number)
        if key in checks:
            await forget_checks(cluster, key)


def _left(found: list[Object], known: Collection[Key], before: datetime) -> dict[Key, list[Object]]:
    """Objects by the resource that they belong to, of those that are not known."""
    left: dict[Key, list[Object]] = {}
    for one in found:
        metadata = one["metadata"]
        key = (metadata["namespace"], str((metadata.get("labels") or {}).get(LABEL_NAME, "")))
        if key not in known and _made_for(one, key[1]) and _older(one, before):
            left.setdefault(key, []).append(one)
    return left


def _made_for(one: Object, name: str) -> bool:
    """Whether it has the name that it was made with, and no owner but a resource of this name."""
    return one["metadata"]["name"] in _names_of(one, name) and all(
        refers_to_ours(owner) and owner.get("name") == name
        for owner in one["metadata"].get("ownerReferences") or []
    )


def _names_of(one: Object, name: str) -> tuple[str, ...]:
    """The name that a Job or a record was made with, by this version or an earlier; none: it is not ours."""
    run, attempt = number_of(one, LABEL_RUN), number_of(one, LABEL_ATTEMPT)
    if is_check(one):
        return (check_job_name(name, attempt or 0),)
    if (one["metadata"].get("labels") or {}).get(LABEL_ROLE) == ROLE_CHECK:
        return (check_name(name),)
    if run is None:
        return ()
    if attempt is not None:
        return (job_name(name, run, attempt),)
    return run_name(name, run), record_name(name, run)


def _older(one: Object, before: datetime) -> bool:
    made = one["metadata"].get("creationTimestamp")
    return made is not None and datetime.fromisoformat(made) < before
