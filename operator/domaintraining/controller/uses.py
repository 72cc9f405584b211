"""Which model servers a training uses: one that waits by its spec, one that runs by its Job. Pure."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from domaintraining.api.comparison import MOST
from domaintraining.api.names import (
    ANNOTATION_SERVERS,
    LABEL_ATTEMPT,
    LABEL_NAME,
    LABEL_QUEUE,
    LABEL_ROLE,
    LABEL_RUN,
    check_job_name,
    job_name,
)
from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run, models_of
from domaintraining.controller.admission import RECENT, Running, Uses, Waiting
from domaintraining.controller.allowed import compared_models_of, model_of, prompt_model_of
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import Object, Resource
from domaintraining.controller.parts import ROLE_CHECKER
from domaintraining.controller.settings import Settings, plain_url

MOST_USES: Final = 2 + MOST
"""Servers: the model's, that of the model that proposes, and those of the models to compare with."""
LONGEST: Final = 512
OUTAGES: Final = frozenset({Reason.MODEL_SERVER_UNAVAILABLE, Reason.GRAPH_UNAVAILABLE, Reason.GRAPH_REFUSED})
"""What is asked before a start is away: no news to those that wait for their turn."""
TURN_KEPT: Final = OUTAGES | {Reason.MODEL_PULLING}
"""What passes by itself: whose turn it is keeps it meanwhile, for as long as places.py says."""


def uses_of_spec(resource: Resource, settings: Settings) -> Uses:
    """The servers that the next attempt will use, from the spec and the operator's defaults."""
    models = [model_of(resource, settings), prompt_model_of(resource, settings)]
    models += compared_models_of(resource, settings)
    return _uses(model for model in models if model is not None)


def uses_of_run(run: Run) -> Uses:
    """The same of a run that was resolved."""
    return _uses((model.endpoint, model.name) for model in models_of(run))


def _uses(models: Iterable[tuple[str, str]]) -> Uses:
    """Endpoint and model of each, the trained one first; of two on one server, that one counts."""
    uses: dict[str, str] = {}
    for endpoint, name in models:
        uses.setdefault(plain_url(endpoint), name)
    return uses


def uses_of_job(job: Object, settings: Settings) -> Uses:
    """The same of a Job, from its annotation; one without a readable one counts on the default server."""
    text = str((job["metadata"].get("annotations") or {}).get(ANNOTATION_SERVERS, ""))
    try:
        found: Any = json.loads(text[: 4 * LONGEST * MOST])
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and 1 <= len(found) <= MOST_USES:
        texts = [*found, *found.values()]
        if all(isinstance(one, str) and 0 < len(one) <= LONGEST for one in texts):
            return {plain_url(server): model for server, model in found.items()}
    return {plain_url(settings.ollama_base_url): settings.model}


def calls_models(run: Run) -> bool:
    """Whether a trainer may ask models, and needs a place for it: a check that only reads data does not."""
    return run.check is None or run.check.measure


def servers_annotation(run: Run) -> str:
    """What a Job's annotation says."""
    return json.dumps(uses_of_run(run))


def waits_for_kueue(resource: Resource) -> bool:
    """Whether Kueue decides when the Job starts."""
    return bool(resource.labels.get(LABEL_QUEUE))


def waiting_of(resource: Resource, settings: Settings, now: datetime) -> Waiting:
    """A resource whose next attempt could start.

    It waits since it is being reconciled: a run that is tried again goes before newer ones.
    """
    found = [one for one in resource.status.conditions if one.type == "Reconciling" and one.status == "True"]
    since = datetime.fromisoformat(found[0].last_transition_time) if found else now
    key = resource.key
    return Waiting(key, uses_of_spec(resource, settings), min(since, now))


def is_queued(resource: Resource) -> bool:
    """Whether status says of today's spec that it waits: for a place, or for a pod of its Job."""
    return resource.status.observed_generation == resource.generation and any(
        one.type == "Reconciling" and one.status == "True" and one.reason == Reason.QUEUED
        for one in resource.status.conditions
    )


def is_held_up(resource: Resource) -> bool:
    """Whether status says that it waits for its model server or the graph to answer, or for its model."""
    return any(
        one.type == "Reconciling" and one.status == "True" and one.reason in TURN_KEPT
        for one in resource.status.conditions
    )


def running_jobs(jobs: Iterable[Object], settings: Settings) -> list[Running]:
    """The Jobs that have a place: they neither ended nor are suspended; a deleted one until it is gone."""
    return [
        Running(_key(job), uses_of_job(job, settings))
        for job in jobs
        if _is_ours(job) and not _ended(job) and not (job.get("spec") or {}).get("suspend")
    ]


def ended_jobs(jobs: Iterable[Object], settings: Settings, now: datetime) -> list[Running]:
    """The Jobs that ended within RECENT, the last one last."""
    ended = [(time, job) for job in jobs if _is_ours(job) and (time := _ended(job)) is not None]
    recent = [(time, job) for time, job in ended if abs(now - time) <= RECENT]
    return [
        Running(_key(job), uses_of_job(job, settings)) for _, job in sorted(recent, key=lambda one: one[0])
    ]


def _key(job: Object) -> tuple[str, str]:
    return job["metadata"]["namespace"], str((job["metadata"].get("labels") or {}).get(LABEL_NAME, ""))


def _is_ours(job: Object) -> bool:
    """Whether it has the name that it was made with, and a place; a copy has not, nor what asks no model."""
    run, attempt = number_of(job, LABEL_RUN), number_of(job, LABEL_ATTEMPT)
    if attempt is None:
        return False
    name = _key(job)[1]
    if is_check(job):
        measures = ANNOTATION_SERVERS in (job["metadata"].get("annotations") or {})
        return measures and bool(job["metadata"]["name"] == check_job_name(name, attempt))
    return run is not None and bool(job["metadata"]["name"] == job_name(name, run, attempt))


def is_check(job: Object) -> bool:
    """Whether a Job looks at the world under a served prompt, and trains nothing."""
    return (job["metadata"].get("labels") or {}).get(LABEL_ROLE) == ROLE_CHECKER


def _ended(job: Object) -> datetime | None:
    """When it ended; None: it did not."""
    for one in (job.get("status") or {}).get("conditions") or []:
        if one.get("type") in ("Complete", "Failed") and one.get("status") == "True":
            return _moment(one.get("lastTransitionTime"))
    return None


def _moment(text: object) -> datetime:
    """A time of the API server; what is none is long ago."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00Z")
