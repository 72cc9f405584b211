"""The run as the trainer gets it: spec, then the operator's settings, then what earlier attempts left."""

from collections.abc import Sequence
from typing import Any

from domaintraining.api.budget import Spent, limits_of
from domaintraining.api.names import domain_of
from domaintraining.api.run import Rival, Run, RunData, RunJournal
from domaintraining.api.sources import RemoteSources
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import ModelStatus
from domaintraining.controller.journal import journal_of
from domaintraining.controller.observed import Observed
from domaintraining.controller.promotion import compared_with, served_from
from domaintraining.controller.settings import Settings
from domaintraining.controller.spending import goes_further, spent_by
from domaintraining.guard import origin_of


def resolve(  # noqa: PLR0913, PLR0917 - all that a run comes from
    observed: Observed,
    number: int,
    model: ModelStatus,
    settings: Settings,
    prompt_model: ModelStatus | None = None,
    api_server: Sequence[str] = (),
    embedding_model: ModelStatus | None = None,
    compare_with: Sequence[ModelStatus] = (),
) -> Run:
    """The run as the trainer gets it.

    Args:
        observed: what the reconcile saw.
        number: of the run.
        model: the model, checked.
        settings: of the operator.
        prompt_model: the model that proposes instructions, checked; None: the same.
        api_server: addresses of the API server.
        embedding_model: the model that makes embeddings of names, checked; None: none are made.
        compare_with: the models to compare with, checked.
    """
    resource, spec = observed.resource, observed.resource.spec
    served, journal = compared_with(observed), journal_of(resource)
    return Run(
        name=resource.name,
        namespace=resource.namespace,
        uid=resource.uid,
        domain=domain_of(resource.name, spec.domain),
        number=number,
        hash=resource.hash,
        image=_image(observed, number, settings),
        tasks=spec.tasks,
        types=spec.types,
        instructions=spec.instructions,
        data=_data(spec, settings),
        model=model,
        prompt_model=prompt_model,
        embedding_model=embedding_model,
        options=spec.model.options,
        max_concurrent_requests=settings.permits(model.endpoint, spec.model.max_concurrent_requests),
        prompt_requests=settings.permits(prompt_model.endpoint, None) if prompt_model else None,
        compare_with=[_rival(one, spec, settings) for one in compare_with],
        auto=spec.auto or settings.auto,
        optimizer=spec.optimizer,
        metric=spec.metric,
        budget=limits_of(spec.budget),
        spent=_spent(observed, number, journal),
        journal=journal,
        served=served.number if served else None,
        served_rejected=served is not None and not served.promoted,
        served_from=served_from(observed, served) if served else {},
        named_servers=[
            one
            for one in _servers(model, prompt_model, *compare_with)
            if origin_of(one) in settings.named_origins
        ],
        api_server=list(api_server),
        outage_seconds=settings.outage_seconds,
        verbose=settings.verbose,
    )


def _servers(*models: ModelStatus | None) -> list[str]:
    return list(dict.fromkeys(one.endpoint for one in models if one))


def _rival(model: ModelStatus, spec: DomainTrainingSpec, settings: Settings) -> Rival:
    requests = settings.permits(model.endpoint, spec.model.max_concurrent_requests)
    return Rival(model=model, max_concurrent_requests=requests)


def _data(spec: DomainTrainingSpec, settings: Settings) -> RunData:
    dataset = spec.dataset
    how: dict[str, Any] = {"split": dataset.split, "augment": dataset.augment}
    if (given := dataset.given()) is not None:
        field, server = given
        return RunData(
            file="",
            source=server.title,
            format=dataset.format,
            remote=RemoteSources.model_validate({field: server}),
            leads=settings.data_host_leads(server.server),
            **how,
        )
    if dataset.config_map is not None:
        name, key = dataset.config_map.name, dataset.config_map.key
        source = f"configmap {name}, key {key}"
        return RunData(file=key, source=source, format=dataset.format, **how)
    if dataset.persistent_volume_claim is not None:
        claim, path = dataset.persistent_volume_claim.claim_name, dataset.persistent_volume_claim.path
        source = f"claim {claim}, path {path}"
        return RunData(file=path, source=source, claim=claim, format=dataset.format, **how)
    return RunData(file="inline.jsonl", source="spec.dataset.inline", format="jsonl", **how)


def _spent(observed: Observed, number: int, journal: RunJournal) -> Spent:
    """What counts against the budget: earlier attempts, and the run that this one goes on from."""
    record = observed.record
    if record is None:
        return Spent()
    if record.run.number == number:
        return record.attempt.spent
    same_journal = journal.kept and journal.claim == record.run.journal.claim
    ended = next((one for one in observed.trained if one.number == record.run.number), None)
    if ended is None or ended.hash != observed.resource.hash or not same_journal:
        return Spent()
    goes_on = goes_further(ended.manifest, limits_of(observed.resource.spec.budget))
    return (spent_by(ended.manifest) if goes_on else None) or Spent()


def _image(observed: Observed, number: int, settings: Settings) -> str:
    """A run keeps its trainer image through an upgrade, unless it failed: then the new one may mend it."""
    record = observed.record
    if record is None or record.run.number != number or record.attempt.failure is not None:
        return settings.trainer_image
    return record.run.image
