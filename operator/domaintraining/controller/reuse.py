"""An identical run of another resource of the namespace: taken over, not made again.

Identical is a run of the same hash, whose samples were read from a file of the same bytes, with everything
that the hash leaves to operator and model server resolved alike, the models' digests among it. Then the same
answers follow, if the server's are repeatable; what was chosen and measured is a result for both. Whether it
is served is up to this resource's own acceptance.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from domaintraining.api.names import LABEL_HASH, LABEL_NAME, LABEL_REVISION, LABEL_ROLE, prompt_name
from domaintraining.api.report import MANIFEST_KEY, MAX_PROMPTS_BYTES, TaskFiles
from domaintraining.api.run import Origin, Run
from domaintraining.api.scalars import rfc3339
from domaintraining.api.spec import TASKS
from domaintraining.api.status import Metrics, TaskMetrics, wire
from domaintraining.controller.acceptance import judge
from domaintraining.controller.apply import attempt_of
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.cluster import CONFIG_MAP, Cluster
from domaintraining.controller.composing import of_baseline
from domaintraining.controller.decide import Plan
from domaintraining.controller.manifests import ROLE_PROMPT, build_data, build_revision, build_run
from domaintraining.controller.objects import number_of
from domaintraining.controller.observed import Object, Observed, Preflight, Resource, Revision
from domaintraining.controller.resolve import resolve
from domaintraining.controller.revisions import dump, metrics_of, read_revision, resolved, task_facts
from domaintraining.controller.settings import Settings
from domaintraining.controller.writes import put

FILES: Final = {
    "messages": "messages.json",
    "schema": "schema.json",
    "request": "request.json",
    "dspy": "dspy.json",
    "prompt": "prompt.txt",
}

OF_THE_RESULT: Final = (
    *("accepted", "advice", "baseline", "baselineModel", "before", "doctor", "models", "similar"),
    *("startTime", "completionTime", "retrain"),
)
"""Keys of a manifest that revision 0 does not have."""


@dataclass(frozen=True)
class Source:
    """A revision that can be taken over."""

    name: str
    """Resource that made it."""
    revision: Revision


async def reuse(
    cluster: Cluster, observed: Observed, plan: Plan, preflight: Preflight, settings: Settings
) -> bool:
    """Take an identical run over as the first one of this resource; gives whether there was one.

    Three writes, the revision last: killed before it, the controller looks for such a run again.

    Raises:
        DomainTrainingError: an object is refused or belongs to somebody else.
    """
    resource = observed.resource
    if preflight.model is None or not _first(observed, plan):
        return False
    models = preflight.model, settings, preflight.prompt_model
    run = resolve(
        observed,
        plan.run,
        *models,
        embedding_model=preflight.embedding_model,
        compare_with=preflight.compare_with,
    )
    file = file_digest(resource, run, preflight)
    if file is None:
        return False
    wanted = {LABEL_ROLE: ROLE_PROMPT, LABEL_HASH: run.hash}
    source = identical(await cluster.find(CONFIG_MAP, resource.namespace, wanted), run, file)
    if source is None:
        return False
    attempt = attempt_of(observed, plan, preflight, run)
    kept_as = observed.kept_as(run.number)
    await put(cluster, build_run(resource, run, attempt, settings.ca_bundle, kept_as=kept_as))
    await put(cluster, build_revision(resource, 0, run.hash, _baseline(source, run)))
    data = _taken_over(source, run, attempt, observed)
    await put(cluster, build_revision(resource, run.number, run.hash, data, source.revision.baseline))
    return True


def _first(observed: Observed, plan: Plan) -> bool:
    """Whether nothing of this resource was served, kept or asked of a model yet, and no run was asked for."""
    untouched = not observed.trained and observed.served is None and observed.report.report is None
    started = any(job.run == plan.run for job in observed.jobs)
    return untouched and plan.attempt == 1 and not started and not observed.resource.retrain_requested


def file_digest(resource: Resource, run: Run, preflight: Preflight) -> str | None:
    """SHA-256 of the file of samples as a trainer would read it; None where only a trainer can see it."""
    dataset = resource.spec.dataset
    if dataset.config_map is not None:
        return preflight.data_digest or None
    if dataset.inline is None:
        return None
    (text,) = build_data(resource, run)["data"].values()
    return hashlib.sha256(text.encode()).hexdigest()


def identical(found: list[Object], run: Run, file: str) -> Source | None:
    """The revision that a run would end with: the first by name and number of the others' that fit. Pure.

    Args:
        found: prompt ConfigMaps of the namespace with the run's hash; hostile input.
        run: what would run.
        file: digest of its file of samples.
    """
    digests = [model["digest"] for model in resolved(run)["models"].values()]
    if not all(digests) or run.options.temperature > 0:
        return None
    sources = [source for body in found if (source := _source(body, run.name)) is not None]
    sources.sort(key=lambda one: (one.name, one.revision.number))
    return next((one for one in sources if _fits(one.revision, run, file)), None)


def _source(body: Object, own: str) -> Source | None:
    """A revision of another resource, under the name that it was made with."""
    labels = body["metadata"].get("labels") or {}
    name, number = str(labels.get(LABEL_NAME, "")), number_of(body, LABEL_REVISION)
    if not number or name in {"", own} or body["metadata"]["name"] != prompt_name(name, number):
        return None
    return Source(name, read_revision(body, "", number, str(labels.get(LABEL_HASH, "")), keep=False))


def _fits(revision: Revision, run: Run, file: str) -> bool:
    """Whether a revision is what a run would end with; compared with the baseline, as a first run is."""
    manifest, dataset = revision.manifest, revision.manifest.get("dataset")
    return (
        manifest.get("hash") == run.hash == revision.hash
        and manifest.get("resolved") == resolved(run)
        and isinstance(dataset, dict)
        and dataset.get("file") == file
        and manifest.get("repeatable") is True
        and manifest.get("budgetExhausted") is False
        and manifest.get("served", "") is None
        and metrics_of(revision) != Metrics()
        and _is_whole(revision.data, run, MANIFEST_KEY)
        and _is_whole(revision.baseline, run)
    )


def _is_whole(data: Mapping[str, str], run: Run, *further: str) -> bool:
    """Whether files hold a prompt for each task of a run, each as it is published, and nothing else."""
    if sum(len(text.encode()) for text in data.values()) > MAX_PROMPTS_BYTES:
        return False
    if data.keys() != {f"{task}.{name}" for task in run.tasks for name in FILES.values()}.union(further):
        return False
    try:
        for task in run.tasks:
            TaskFiles.model_validate({key: data[f"{task}.{name}"] for key, name in FILES.items()})
    except (ValidationError, RecursionError):
        return False
    return True


def _taken_over(source: Source, run: Run, attempt: Attempt, observed: Observed) -> dict[str, str]:
    """The files of the revision, with a manifest of this resource's own."""
    manifest, acceptance = source.revision.manifest, observed.resource.spec.acceptance
    judged = judge(metrics_of(source.revision), run.tasks, acceptance)
    accepted = [task for task in TASKS if task in judged and judged[task].passed]
    own = Origin(revision=run.number, baseline=True)
    tasks = {task: task_facts(manifest, task) | {"run": run.number} for task in run.tasks}
    said = manifest | {
        "domain": run.domain,
        "run": run.number,
        "tasks": tasks,
        "accepted": accepted,
        "promoted": bool(accepted),
        "before": {task: wire(own) for task in run.tasks},
        "reusedFrom": {"name": source.name, "revision": source.revision.number},
        "startTime": attempt.start_time,
        "completionTime": rfc3339(observed.now),
        "dataDigest": attempt.data_digest,
        "retrain": "",
    }
    return {**source.revision.data, MANIFEST_KEY: dump(said)}


def _baseline(source: Source, run: Run) -> dict[str, str]:
    """The files of revision 0: the baseline that the run was compared with."""
    manifest, measured = source.revision.manifest, metrics_of(source.revision)
    numbers: dict[str, TaskMetrics] = {
        name: of_baseline(one) for name in Metrics.model_fields if (one := getattr(measured, name))
    }
    said = manifest | {
        "domain": run.domain,
        "run": run.number,
        "tasks": {task: task_facts({"tasks": manifest.get("baseline")}, task) for task in run.tasks},
        "metrics": wire(Metrics(**numbers)),
        "seen": [],
        "promoted": False,
        "reusedFrom": {"name": source.name, "revision": source.revision.number},
    }
    if "baselineModel" in said:
        said["model"] = said["baselineModel"]
    for key in OF_THE_RESULT:
        said.pop(key, None)
    return {**source.revision.baseline, MANIFEST_KEY: dump(said)}
