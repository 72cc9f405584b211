"""Between a reconcile and the graph: what is offered, what is told of it, the model that a domain names."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from domaintraining.api.names import domain_of
from domaintraining.api.reasons import REASONS, Reason
from domaintraining.api.scalars import rfc3339
from domaintraining.api.status import Condition, ConditionStatus, DomainTrainingStatus
from domaintraining.controller.cluster import (
    DOMAIN_TRAINING,
    ENDPOINT_SLICE,
    Cluster,
    ClusterError,
    JsonObject,
)
from domaintraining.controller.conditions import MODEL_REASONS
from domaintraining.controller.decide import Plan
from domaintraining.controller.graph.model import Graph, GraphDownError
from domaintraining.controller.graph.sweep import Known, to_leave
from domaintraining.controller.graph.sync import GraphSync, Said
from domaintraining.controller.graph.wanted import MODEL, wanted
from domaintraining.controller.observed import Observed, Resource
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

CONDITION: Final = "GraphSynced"
NOT_YET: Final = Said(status=None, reason=Reason.GRAPH_PENDING, message="it is being written")


def is_synced(resource: Resource, sync: GraphSync | None) -> bool:
    """Whether a resource's domain is written into the graph."""
    return sync is not None and resource.spec.graph.enabled is not False


def with_graph(
    sync: GraphSync | None, observed: Observed, plan: Plan, status: DomainTrainingStatus
) -> DomainTrainingStatus:
    """Offer what the graph should hold, and add the condition that tells of it to a status.

    Args:
        sync: writes into the graph; None: the operator has none.
        observed: what the reconcile saw last.
        plan: what it decided.
        status: what it projected.
    """
    said = _said(sync, observed, plan, status)
    if said is None:
        return status
    condition = _condition(said, observed.resource, observed.now)
    return status.model_copy(update={"conditions": [*status.conditions, condition]})


def _said(
    sync: GraphSync | None, observed: Observed, plan: Plan, status: DomainTrainingStatus
) -> Said | Condition | None:
    enabled, key = observed.resource.spec.graph.enabled, observed.resource.key
    if sync is None:
        words = "spec.graph.enabled is true, and the operator has no Neo4j"
        return Said(status=False, reason=Reason.GRAPH_NOT_CONFIGURED, message=words) if enabled else None
    if enabled is False:
        sync.forget(key)
        return Said(status=False, reason=Reason.GRAPH_DISABLED, message="spec.graph.enabled is false")
    said = sync.offer(wanted(observed, plan, status))
    # a controller that has just started does not take back what the last one knew
    return said or _before(observed.resource) or NOT_YET


def _before(resource: Resource) -> Condition | None:
    return next((one for one in resource.status.conditions if one.type == CONDITION), None)


def _condition(said: Said | Condition, resource: Resource, now: datetime) -> Condition:
    if isinstance(said, Condition):
        return said
    words: Mapping[bool | None, ConditionStatus] = {True: "True", False: "False", None: "Unknown"}
    status, before = words[said.status], _before(resource)
    since = before.last_transition_time if before and before.status == status else rfc3339(now)
    remedy = f". {REASONS[said.reason].remedy}" if said.status is False else ""
    return Condition(
        type=CONDITION,
        status=status,
        reason=said.reason.value,
        message=f"{said.message}{remedy}"[:1024],
        observed_generation=resource.generation,
        last_transition_time=since,
    )


async def named(sync: GraphSync | None, observed: Observed, run: int) -> Resource:
    """A resource with the model that its domain in the graph names, where spec names none.

    A further attempt at a run keeps the model that the run began with, unless that was what failed.

    Args:
        sync: reads the graph; None: the operator has none.
        observed: what the reconcile saw.
        run: number of the run that is to start.

    Raises:
        DomainTrainingError: the graph can't be asked now (it is tried again), or names no model.
    """
    resource, record = observed.resource, observed.record
    if sync is None or not is_synced(resource, sync) or resource.spec.model.name:
        return resource
    if record is not None and record.run.number == run and record.run.model.source == "graph":
        failure = record.attempt.failure
        if failure is None or failure.reason not in MODEL_REASONS:
            return replace(resource, graph_model=record.run.model.name)
    name = domain_of(resource.name, resource.spec.domain)
    domain = await sync.domain(resource.key, name)
    if domain is None or not domain.llm_model:
        return resource
    try:
        return replace(resource, graph_model=MODEL.validate_python(domain.llm_model))
    except ValidationError:
        words = f"(:Domain {{name: '{name}'}}).llm_model is no model as `ollama pull` takes it"
        raise DomainTrainingError(Reason.GRAPH_INVALID, words) from None


def sweep(sync: GraphSync, cluster: Cluster, namespace: str | None, found: list[JsonObject]) -> None:
    """Have domains removed or ended whose resource is gone or trains another domain now.

    Args:
        sync: does it once nothing else is to do.
        cluster: is asked again for each resource whose domain seems to be left.
        namespace: that the list is of; None: of all.
        found: all DomainTrainings there, a complete list.
    """
    known = {(one["metadata"]["namespace"], one["metadata"]["name"]): _known(one) for one in found}

    async def leave(graph: Graph, own: str) -> None:
        if not own:
            return  # clusters that don't know who they are remove nothing from a graph that they may share
        for one in to_leave(await graph.owned(own), known, namespace):
            now = await _now(cluster, one.owner)  # the list may be as old as the graph was away
            for left in to_leave([one.domain], now, None) if now is not None else ():
                await graph.leave(left.domain, remove=left.remove)
                sync.lost(left.owner)

    sync.later(f"sweep {namespace or ''}", leave)


def _known(body: JsonObject) -> Known:
    spec = body.get("spec") or {}
    domain = domain_of(body["metadata"]["name"], spec.get("domain"))
    return Known(body["metadata"]["uid"], domain, (spec.get("graph") or {}).get("enabled") is not False)


async def _now(cluster: Cluster, key: Key) -> dict[Key, Known] | None:
    """A resource as it is there now, under its key; None where that can't be read."""
    try:
        body = await cluster.get(DOMAIN_TRAINING, *key)
    except ClusterError:
        return None  # nothing is removed on a guess
    return {} if body is None else {key: _known(body)}


async def cluster_id(cluster: Cluster) -> str:
    """What tells this cluster from others; empty where it has no EndpointSlice default/kubernetes.

    Raises:
        GraphDownError: it can't be read.
    """
    try:
        found = await cluster.get(ENDPOINT_SLICE, "default", "kubernetes")
    except ClusterError as error:
        words = f"which cluster this is can't be read: {error}; GRAPH_CLUSTER may say it"
        raise GraphDownError(Reason.GRAPH_UNAVAILABLE, words) from error
    return str(found["metadata"]["uid"]) if found else ""
