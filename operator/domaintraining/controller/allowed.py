"""What the operator's lists allow a spec; looked at before anything is asked of a server. Pure.

Each refusal names the field, its value and the setting that its owner may extend. What runs goes on when a
list grows shorter: the lists are looked at when an attempt starts.
"""

from dataclasses import replace
from typing import Final, Literal

from domaintraining.api.job import Toleration
from domaintraining.api.model import full_name
from domaintraining.api.reasons import Reason
from domaintraining.api.spec import EMBEDDING_MODEL
from domaintraining.controller.observed import Observed, Resource
from domaintraining.controller.settings import Settings, registry_of
from domaintraining.errors import DomainTrainingError

EMBEDDING_FIELD: Final = "spec.metric.embeddingModel"


def check_placement(resource: Resource, settings: Settings) -> None:
    """Refuse priority classes and node pools (labels and taints) that the lists don't allow.

    Raises:
        DomainTrainingError: PlacementNotAllowed.
    """
    job = resource.spec.job
    name = job.priority_class_name
    if name and not settings.priority_class_allowed(name):
        raise _misplaced("priorityClassName", name, "ALLOWED_PRIORITY_CLASSES")
    for key, value in job.node_selector.items():
        if not settings.node_label_allowed(key, value):
            raise _misplaced("nodeSelector", f"{key}={value}", "ALLOWED_NODE_LABELS")
    for place, toleration in enumerate(job.tolerations):
        if not settings.toleration_allowed(toleration):
            raise _misplaced(f"tolerations[{place}]", _taint(toleration), "ALLOWED_TOLERATIONS")


def model_of(resource: Resource, settings: Settings) -> tuple[str, str]:
    """Endpoint and name of the model: of spec, else the name of the graph, else of the operator."""
    spec = resource.spec.model
    name = spec.name or resource.graph_model or settings.model
    return (spec.endpoint or settings.ollama_base_url).rstrip("/"), name


def as_trained(observed: Observed) -> Resource:
    """A resource with the model that its last run took from the graph, which may name another by now."""
    resource, record = observed.resource, observed.record
    model = record.run.model if record is not None else resource.status.model
    if resource.spec.model.name or model is None or model.source != "graph":
        return resource
    return replace(resource, graph_model=model.name)


def source_of_name(resource: Resource) -> Literal["spec", "graph", "default"]:
    """Where the model's name comes from, for status."""
    if resource.spec.model.name:
        return "spec"
    return "graph" if resource.graph_model else "default"


def name_field(resource: Resource) -> str:
    """Where the model's name comes from, for messages."""
    of_graph = source_of_name(resource) == "graph"
    return "llm_model of the domain in the graph" if of_graph else "spec.model.name"


def prompt_model_of(resource: Resource, settings: Settings) -> tuple[str, str] | None:
    """Endpoint and name of the model that proposes instructions; None where it is the model itself."""
    spec = resource.spec.model
    if spec.prompt_model is None:
        return None
    endpoint = spec.prompt_model.endpoint or spec.endpoint or settings.ollama_base_url
    return endpoint.rstrip("/"), spec.prompt_model.name


def compared_models_of(resource: Resource, settings: Settings) -> list[tuple[str, str]]:
    """Endpoint, else that of the model, and name of each model to compare with, in the order of spec.

    One that is the model itself, or an earlier one, in another spelling is left out: it is compared anyway.
    """
    there, name = model_of(resource, settings)
    known, found = {full_name(name)}, []
    for one in resource.spec.compare_with:
        if full_name(one.name) not in known:
            known.add(full_name(one.name))
            found.append(((one.endpoint or there).rstrip("/"), one.name))
    return found


def endpoint_of(resource: Resource, settings: Settings, name: str) -> str:
    """The server of one of the models that a spec names or compares; of any other name, that of the model."""
    there, _ = model_of(resource, settings)
    return named_endpoint(resource, settings, name) or there


def named_endpoint(resource: Resource, settings: Settings, name: str) -> str | None:
    """The same; None: the spec neither names nor compares such a model."""
    models = [*compared_models_of(resource, settings), model_of(resource, settings)]
    return {full_name(model): endpoint for endpoint, model in models}.get(full_name(name))


def compare_field(name: str) -> str:
    """What to call the entry of a model to compare with."""
    return f"spec.compareWith[{name}]"


def embedding_model_of(resource: Resource, settings: Settings) -> tuple[str, str] | None:
    """Endpoint, which is the model's, and name of the model that makes embeddings; None: none are made."""
    metric = resource.spec.metric
    if metric.matching != "semantic":
        return None
    endpoint, _ = model_of(resource, settings)
    return endpoint, metric.embedding_model or EMBEDDING_MODEL


def data_model_of(resource: Resource, settings: Settings) -> tuple[str, str] | None:
    """Endpoint, which is the model's, and name of the model that makes embeddings of samples, where it is
    there; None: none are made, or the lists don't allow it.
    """
    named = embedding_model_of(resource, settings)
    endpoint, name = named or (model_of(resource, settings)[0], EMBEDDING_MODEL)
    wanted = resource.spec.optimizer.similar_domains > 0 and settings.registry_allowed(name)
    return (endpoint, name) if wanted else None


def check_models(resource: Resource, settings: Settings) -> None:
    """Refuse servers and registries that the lists don't allow, for all models of a spec.

    Raises:
        DomainTrainingError: ModelNotAllowed.
    """
    _check_model(settings, "spec.model", model_of(resource, settings), name_field(resource))
    proposing = prompt_model_of(resource, settings)
    if proposing is not None:
        _check_model(settings, "spec.model.promptModel", proposing)
    for model in compared_models_of(resource, settings):
        _check_model(settings, compare_field(model[1]), model)
    embedding = embedding_model_of(resource, settings)
    if embedding is not None:
        _check_registry(settings, EMBEDDING_FIELD, embedding[1])


def check_pull(settings: Settings, field: str, endpoint: str, name: str) -> None:
    """Refuse to pull a model that the list doesn't allow.

    Raises:
        DomainTrainingError: ModelNotAllowed.
    """
    if not settings.pull_allowed(name):
        raise DomainTrainingError(
            Reason.MODEL_NOT_ALLOWED,
            f"{field}: {name} is not on {endpoint}, and to pull it is not allowed by ALLOWED_PULLS",
        )


def _check_model(settings: Settings, field: str, model: tuple[str, str], name_field: str = "") -> None:
    endpoint, name = model
    if not settings.endpoint_allowed(endpoint):
        raise DomainTrainingError(
            Reason.MODEL_NOT_ALLOWED,
            f"{field}.endpoint: {endpoint} is not allowed by ALLOWED_ENDPOINTS or MODEL_SERVERS",
        )
    _check_registry(settings, name_field or f"{field}.name", name)


def _check_registry(settings: Settings, field: str, name: str) -> None:
    if not settings.registry_allowed(name):
        host, _ = registry_of(name)
        raise DomainTrainingError(
            Reason.MODEL_NOT_ALLOWED,
            f"{field}: {name} names the registry {host or name}, not allowed by ALLOWED_REGISTRIES",
        )


def _misplaced(field: str, value: str, setting: str) -> DomainTrainingError:
    message = f"spec.job.{field}: {value} is not allowed by {setting}"
    return DomainTrainingError(Reason.PLACEMENT_NOT_ALLOWED, message)


def _taint(toleration: Toleration) -> str:
    if toleration.key is None:
        return "every taint"
    if toleration.operator == "Exists":
        return f"{toleration.key} with every value"
    return f"{toleration.key}={toleration.value or ''}"
