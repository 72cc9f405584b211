"""Similar domains: what a run without a history of its own is given of the namespace's promoted prompts.

Which ones is fixed when the run starts: they are copied into a ConfigMap of the run's, and the run names each
with its revision and digest. The trainer, which knows the types and the data, chooses the nearest among them.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError

from domaintraining.api.names import (
    LABEL_HASH,
    LABEL_NAME,
    LABEL_REVISION,
    LABEL_ROLE,
    prompt_name,
    similar_name,
)
from domaintraining.api.published import read_object
from domaintraining.api.run import Run
from domaintraining.api.similar import MOST_OFFERS, Offer, Offered, Similar, offer_digest
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import ModelStatus
from domaintraining.controller.allowed import data_model_of
from domaintraining.controller.cluster import CONFIG_MAP, Cluster
from domaintraining.controller.composing import SEEN_ELSEWHERE
from domaintraining.controller.manifests import ROLE_SERVED, metadata_of
from domaintraining.controller.models import ModelServers
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import Object, Observed, Resource, Revision
from domaintraining.controller.removal import is_ours
from domaintraining.controller.revisions import completion_time, read_revision, task_facts
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError

ROLE_SIMILAR: Final = "similar"
MOST_OF_ONE: Final = 256_000
MOST_BYTES: Final = 900_000
"""Of all offers together: a ConfigMap holds 1 MiB."""
LONGEST_WORDS: Final = 1024


async def with_similar(
    cluster: Cluster, observed: Observed, run: Run, data_model: ModelStatus | None
) -> tuple[Run, Object | None]:
    """A run that starts with the domains that it is given, and the ConfigMap with what they offer.

    A later attempt has those of the first one; where the ConfigMap is there already, it is what counts.

    Args:
        cluster: the API server.
        observed: what the reconcile saw.
        run: as it is resolved.
        data_model: makes the embeddings that tell how alike two domains are; None: there is none.
    """
    resource, record = observed.resource, observed.record
    if resource.spec.optimizer.similar_domains == 0:
        return run, None
    begun = record.run if record is not None and record.run.number == run.number else None
    if begun is not None and begun.data_model != data_model:
        data_model = None
    run = run.model_copy(update={"data_model": data_model})
    if observed.served is not None or any(one.promoted for one in observed.trained):
        return run, None
    found = await cluster.get(CONFIG_MAP, resource.namespace, similar_name(resource.name, run.number))
    if found is not None and is_ours(found, resource.name) and _label(found, LABEL_HASH) == run.hash:
        offers = list(_read(found.get("data") or {}))
    elif begun is not None:
        return run, None
    else:
        served = {LABEL_ROLE: ROLE_SERVED}
        found_here = await cluster.find(CONFIG_MAP, resource.namespace, served)
        # half a millisecond for each, and there may be hundreds: others are reconciled meanwhile
        offers = await asyncio.to_thread(offers_of, found_here, resource)
    if not offers:
        return run, None
    offered = [
        Offered(name=one.name, revision=one.revision, digest=offer_digest(one.text())) for one in offers
    ]
    return run.model_copy(update={"similar": offered}), _config_map(resource, run, offers)


async def find_data_model(
    servers: ModelServers, resource: Resource, settings: Settings
) -> ModelStatus | None:
    """The model that makes embeddings of samples, where the model's server has it; none is pulled for it.

    None as well where the server says that it makes none, or says nothing: a run can do without.
    """
    model = data_model_of(resource, settings)
    if model is None:
        return None
    try:
        info = await servers.show(*model)
    except DomainTrainingError:
        return None
    if info is None or not info.digest or (info.capabilities and "embedding" not in info.capabilities):
        return None
    metric = resource.spec.metric
    source = "spec" if metric.matching == "semantic" and metric.embedding_model else "default"
    return ModelStatus(name=model[1], digest=info.digest, endpoint=model[0], source=source)


def offers_of(found: Iterable[Object], resource: Resource) -> list[Offer]:
    """What the other domains of a namespace offer, at most 32 of them and 900,000 bytes. Pure.

    Before others go those with the most types in common, where the spec names its types, then those that were
    trained last.

    Args:
        found: ConfigMaps with the role `served`: hostile input.
        resource: who asks.
    """
    known: list[tuple[tuple[float, str], Offer]] = []
    for body in found:
        name, number = _label(body, LABEL_NAME), number_of(body, LABEL_REVISION)
        if not number or name == resource.name or body["metadata"]["name"] != prompt_name(name):
            continue
        revision = read_revision(body, "", number, _label(body, LABEL_HASH), keep=False)
        offer = offer_of(name, revision)
        if offer is not None:
            known.append(((_overlap(offer, resource), completion_time(revision) or ""), offer))
    known.sort(key=lambda one: one[1].name)
    known.sort(key=lambda one: one[0], reverse=True)
    return _fitting(offer for _, offer in known)


def offer_of(name: str, revision: Revision) -> Offer | None:
    """What a served revision offers; None: no promoted prompt, nothing that can be read, or it does not say
    all that it had seen.
    """
    manifest = revision.manifest
    if not revision.promoted or manifest.get(SEEN_ELSEWHERE):
        return None
    values: dict[str, Any] = {
        task: offered for task in TASKS if (offered := _task_offer(task, revision)) is not None
    }
    if not values:
        return None
    values |= {"name": name, "revision": revision.number, "seen": manifest.get("seen", [])}
    try:
        return Offer.model_validate(values | {"vector": manifest.get("dataVector")})
    except (ValidationError, RecursionError):
        return None


def _task_offer(task: Task, revision: Revision) -> dict[str, Any] | None:
    """One task's prompt, from its DSPy state; None: there is none, or it is a baseline's."""
    facts = task_facts(revision.manifest, task)
    run = facts.get("run")
    if not isinstance(run, int) or run < 1:
        return None
    try:
        state = read_object(revision.data.get(f"{task}.dspy.json", ""), "dspy.json")
        types = [kind["name"] for kind in state.pop("metadata")["form"]["types"]]
        (program,) = state.values()
        return {
            "instruction": program["signature"]["instructions"],
            "types": types,
            "demos": [{**demo} for demo in program["demos"]],
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _overlap(offer: Offer, resource: Resource) -> float:
    """Part of the spec's types that another domain has, 0 to 1; 0 where the spec names none."""
    wanted = {
        (task, kind.name) for task in resource.spec.tasks for kind in getattr(resource.spec.types, task) or ()
    }
    has = {(task, name) for task in TASKS if (one := offer.task(task)) for name in one.types}
    return len(wanted & has) / len(wanted) if wanted else 0.0


def _fitting(offers: Iterable[Offer]) -> list[Offer]:
    fitting: list[Offer] = []
    left = MOST_BYTES
    for offer in offers:
        size = len(offer.text().encode())
        if size <= min(left, MOST_OF_ONE) and len(fitting) < MOST_OFFERS:
            fitting.append(offer)
            left -= size
    return fitting


def _read(data: dict[str, str]) -> Iterable[Offer]:
    for key, text in sorted(data.items())[:MOST_OFFERS]:
        try:
            offer = Offer.model_validate_json(text)
        except (ValidationError, RecursionError):
            continue
        if key == f"{offer.name}.json":
            yield offer


def _config_map(resource: Resource, run: Run, offers: list[Offer]) -> Object:
    metadata = metadata_of(
        resource, similar_name(resource.name, run.number), ROLE_SIMILAR, **{LABEL_HASH: run.hash}
    )
    data = {f"{one.name}.json": one.text() for one in offers}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _label(body: Object, label: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(label, ""))


def similar_words(revision: Revision | None) -> str:
    """One line of what a run's manifest says of similar domains; empty: none were considered."""
    said = revision.manifest.get("similar") if revision is not None else None
    try:
        similar = Similar.model_validate(said) if said is not None else Similar()
    except (ValidationError, RecursionError):
        return ""
    if not similar.considered:
        return ""
    revisions = {one.name: one.revision for one in similar.considered}
    tried = sum(bool(one.validation_f1) for one in similar.considered)
    words = [f"{len(similar.considered)} similar domains considered, {tried} tried"]
    for task, name in sorted(similar.won.items()):
        won = f"the prompt of {name}, revision {revisions.get(name)}, won" if name else "MIPROv2's own won"
        words.append(f"{task}: {won}")
    return "; ".join(words)[:LONGEST_WORDS]
