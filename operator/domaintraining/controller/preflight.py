"""What is checked before a Job starts: placement, the data reference, the model and its server."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from domaintraining.api.dataset import ClaimSource
from domaintraining.api.reasons import Reason
from domaintraining.api.status import ModelStatus
from domaintraining.controller.allowed import (
    EMBEDDING_FIELD,
    check_models,
    check_placement,
    check_pull,
    compare_field,
    compared_models_of,
    embedding_model_of,
    model_of,
    name_field,
    prompt_model_of,
    source_of_name,
)
from domaintraining.controller.claims import check_journal
from domaintraining.controller.cluster import CLAIM, CONFIG_MAP, SERVICE_ACCOUNT, Cluster
from domaintraining.controller.models import ModelInfo, ModelServers
from domaintraining.controller.observed import Preflight, Resource
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.remote import remote_digest
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError

PULL_HOLDS: Final = 60.0
"""Seconds for which a pull that ended counts for pullPolicy Always."""
PULL_PAUSE: Final = 60.0
"""Seconds before a pull that broke off is asked for again."""
LACKING_PAUSE: Final = 600.0
"""Seconds before a model that no registry has is asked for again; each end of a pull wakes its resource."""


async def check_data(cluster: Cluster, resource: Resource, settings: Settings) -> Preflight:
    """Placement, journal and data reference: what costs a look or two at the API server.

    A problem is part of the result; the data are read by the trainer alone.
    """
    preflight = Preflight(settings_digest=settings_digest(resource, settings))
    try:
        check_placement(resource, settings)
        await check_account(cluster, resource)
    except DomainTrainingError as error:
        preflight = replace(preflight, placement_problem=error)
    try:
        await check_journal(cluster, resource)
    except DomainTrainingError as error:
        preflight = replace(preflight, journal_problem=error)
    try:
        return replace(preflight, data_digest=await data_digest(cluster, resource, settings))
    except DomainTrainingError as error:
        return replace(preflight, data_problem=error)


def settings_digest(resource: Resource, settings: Settings) -> str:
    """Digest of everything but the data that an attempt depends on and that starts no new run."""
    part: dict[str, Any] = {
        "job": resource.spec.job.model_dump(mode="json", by_alias=True),
        "model": resource.spec.model.model_dump(mode="json", by_alias=True),
        "compareWith": [one.model_dump(mode="json", by_alias=True) for one in resource.spec.compare_with],
        "budget": resource.spec.budget.model_dump(mode="json", by_alias=True),
        "settings": settings.digest(),
    }
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]


async def check_account(cluster: Cluster, resource: Resource) -> None:
    """Whether the ServiceAccount that spec names exists: without it no pod is made.

    Raises:
        DomainTrainingError: ServiceAccountNotFound.
    """
    name = resource.spec.job.service_account_name
    if name and await cluster.get(SERVICE_ACCOUNT, resource.namespace, name) is None:
        raise DomainTrainingError(
            Reason.SERVICE_ACCOUNT_NOT_FOUND,
            f"spec.job.serviceAccountName: ServiceAccount {name} does not exist",
        )


async def data_digest(cluster: Cluster, resource: Resource, settings: Settings) -> str:
    """Digest of the data, as far as they can be seen here: of the content, never of a version of the object.

    Raises:
        DomainTrainingError: they are not there (DatasetNotFound).
    """
    dataset = resource.spec.dataset
    if dataset.given() is not None:
        return remote_digest(dataset, settings)
    if dataset.persistent_volume_claim is not None:
        return await _claim_digest(cluster, resource, dataset.persistent_volume_claim)
    if dataset.config_map is None:
        text = json.dumps(
            [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in dataset.inline or []],
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()
    name, key = dataset.config_map.name, dataset.config_map.key
    found = await cluster.get(CONFIG_MAP, resource.namespace, name)
    if found is None:
        raise DomainTrainingError(
            Reason.DATASET_NOT_FOUND, f"spec.dataset.configMap: ConfigMap {name} does not exist"
        )
    values = (found.get("data") or {}) | (found.get("binaryData") or {})
    if key not in values:
        keys = ", ".join(sorted(values)[:5]) or "none"
        raise DomainTrainingError(
            Reason.DATASET_NOT_FOUND,
            f"spec.dataset.configMap: ConfigMap {name} has no key {key}; it has: {keys}",
        )
    return hashlib.sha256(str(values[key]).encode()).hexdigest()


async def _claim_digest(cluster: Cluster, resource: Resource, source: ClaimSource) -> str:
    """Digest of which volume it is; what its files hold is seen by the trainer alone."""
    name = source.claim_name
    found = await cluster.get(CLAIM, resource.namespace, name)
    if found is None or found["metadata"].get("deletionTimestamp"):
        gone = "does not exist" if found is None else "is being deleted"
        raise DomainTrainingError(
            Reason.DATASET_NOT_FOUND,
            f"spec.dataset.persistentVolumeClaim: PersistentVolumeClaim {name} {gone}",
        )
    return hashlib.sha256(f"{found['metadata']['uid']}/{source.path}".encode()).hexdigest()


async def check_model(
    servers: ModelServers, pulls: Pulls, resource: Resource, settings: Settings, wake: Callable[[], None]
) -> ModelStatus:
    """The model with its digest, once its server has it; starts the pull where one is needed.

    Raises:
        DomainTrainingError: why it is not ready, with the percentage while it is pulled.
    """
    check_models(resource, settings)
    endpoint, name = model_of(resource, settings)
    wanted = _Wanted(name_field(resource), endpoint, name)
    info = await _show(servers, pulls, resource, settings, wanted=wanted, wake=wake)
    return ModelStatus(name=name, digest=info.digest, endpoint=endpoint, source=source_of_name(resource))


async def check_prompt_model(
    servers: ModelServers, pulls: Pulls, resource: Resource, settings: Settings, wake: Callable[[], None]
) -> ModelStatus | None:
    """The same for the model that proposes instructions; None where it is the model itself.

    Raises:
        DomainTrainingError: as for the model; its calls have the same options.
    """
    model = prompt_model_of(resource, settings)
    if model is None:
        return None
    check_models(resource, settings)
    wanted = _Wanted("spec.model.promptModel.name", *model)
    info = await _show(servers, pulls, resource, settings, wanted=wanted, wake=wake)
    return ModelStatus(name=wanted.name, digest=info.digest, endpoint=wanted.endpoint, source="spec")


async def check_embedding_model(
    servers: ModelServers, pulls: Pulls, resource: Resource, settings: Settings, wake: Callable[[], None]
) -> ModelStatus | None:
    """The same for the model that makes embeddings of names; None where none are made.

    Raises:
        DomainTrainingError: as for the model, or it makes no embeddings.
    """
    model = embedding_model_of(resource, settings)
    if model is None:
        return None
    check_models(resource, settings)
    wanted = _Wanted(EMBEDDING_FIELD, *model, embeds=True)
    info = await _show(servers, pulls, resource, settings, wanted=wanted, wake=wake)
    source = "spec" if resource.spec.metric.embedding_model else "default"
    return ModelStatus(name=wanted.name, digest=info.digest, endpoint=wanted.endpoint, source=source)


async def check_compared_models(
    servers: ModelServers, pulls: Pulls, resource: Resource, settings: Settings, wake: Callable[[], None]
) -> tuple[ModelStatus, ...]:
    """The same for each of the models to compare with; the first that is not ready is told.

    Raises:
        DomainTrainingError: as for the model; their calls have the same options.
    """
    check_models(resource, settings)
    found = []
    for endpoint, name in compared_models_of(resource, settings):
        wanted = _Wanted(f"{compare_field(name)}.name", endpoint, name)
        info = await _show(servers, pulls, resource, settings, wanted=wanted, wake=wake)
        found.append(ModelStatus(name=name, digest=info.digest, endpoint=endpoint, source="spec"))
    return tuple(found)


class _Wanted(NamedTuple):
    """A model that a field of the spec asks for."""

    field: str
    """Field that its name stands in."""
    endpoint: str
    name: str
    embeds: bool = False
    """Whether it makes embeddings instead of answers."""


async def _show(  # noqa: PLR0913 - what a look at a model server needs
    servers: ModelServers,
    pulls: Pulls,
    resource: Resource,
    settings: Settings,
    *,
    wanted: _Wanted,
    wake: Callable[[], None],
) -> ModelInfo:
    """What a server says of a model that it has and that can do what the spec asks."""
    endpoint, name = wanted.endpoint, wanted.name
    await servers.version(endpoint)
    pulled = pulls.state(endpoint, name)
    fresh = pulled is not None and pulled.done and pulls.age(endpoint, name) <= PULL_HOLDS
    info = await servers.show(endpoint, name)
    if info is None or (resource.spec.model.pull_policy == "Always" and not fresh):
        _pull(pulls, resource, settings, wanted, wake)
    assert info is not None, "_pull raises"
    if wanted.embeds:
        _check_embeds(info, name)
    else:
        _check_suits(info, name, resource)
    return info


def _check_embeds(info: ModelInfo, name: str) -> None:
    if info.capabilities and "embedding" not in info.capabilities:
        raise DomainTrainingError(
            Reason.MODEL_UNSUITABLE, f"{EMBEDDING_FIELD}: model {name} makes no embeddings"
        )


def _check_suits(info: ModelInfo, name: str, resource: Resource) -> None:
    if info.capabilities and "completion" not in info.capabilities:
        raise DomainTrainingError(Reason.MODEL_UNSUITABLE, f"model {name} cannot chat")
    if resource.spec.model.options.think != "Disabled" and "thinking" not in info.capabilities:
        raise DomainTrainingError(
            Reason.MODEL_UNSUITABLE, f"spec.model.options.think: model {name} cannot think"
        )


def _pull(
    pulls: Pulls, resource: Resource, settings: Settings, wanted: _Wanted, wake: Callable[[], None]
) -> None:
    """Start or follow a pull; always raises, with how far it is."""
    endpoint, name = wanted.endpoint, wanted.name
    if resource.spec.model.pull_policy == "Never":
        raise DomainTrainingError(
            Reason.MODEL_NOT_FOUND, f"{endpoint} does not have model {name} and pullPolicy is Never"
        )
    check_pull(settings, wanted.field, endpoint, name)
    state = pulls.state(endpoint, name)
    if state is not None and state.error:
        if pulls.age(endpoint, name) > (LACKING_PAUSE if state.not_found else PULL_PAUSE):
            pulls.forget(endpoint, name)
        reason = Reason.MODEL_NOT_FOUND if state.not_found else Reason.MODEL_PULL_FAILED
        raise DomainTrainingError(reason, f"pulling {name} on {endpoint}: {state.error}")
    pulls.start(endpoint, name, wake, watcher=resource.key)
    percent = state.percent if state is not None else 0
    raise DomainTrainingError(Reason.MODEL_PULLING, f"{endpoint} pulls {name}: {percent}%")
