"""The Job of an attempt and its pod, built from values alone."""

from typing import Any, Final

from domaintraining.api.names import (
    ANNOTATION_DATA_DIGEST,
    ANNOTATION_SERVERS,
    LABEL_ATTEMPT,
    LABEL_HASH,
    LABEL_QUEUE,
    prompt_name,
    similar_name,
)
from domaintraining.api.report import MANIFEST_KEY
from domaintraining.api.run import RUN_KEY, Origin, Run
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.manifests import AUTHORITIES_KEY, labels, owner
from domaintraining.controller.observed import Object, Resource
from domaintraining.controller.parts import job_of, parts_of
from domaintraining.controller.revisions import BASELINE
from domaintraining.controller.settings import Settings
from domaintraining.controller.uses import calls_models, servers_annotation

CONTAINER: Final = "trainer"
CREDENTIALS: Final = "/var/run/secrets/domaintraining"
FOLDER: Final = "/etc/domaintraining"
DATA_CREDENTIALS: Final = f"{FOLDER}/data-credentials"
JOURNAL: Final = "/var/lib/domaintraining/journal"
SHORTEST_LIFE: Final = 60
"""Seconds that a finished Job stays at least: one that is gone before it was seen would be made again."""
FINAL_EXIT_CODES: Final = (3, 75)
"""A failure that needs a change, and one that may pass, which the controller tries again."""
USER: Final = 65532
"""The image's user and group, which have no name there."""
RESTRICTED_POD: Final[Object] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER: Final[Object] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""With RESTRICTED_POD more than the level `restricted` of the Pod Security Standards asks for.

See https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""


def build_job(
    resource: Resource, run: Run, attempt: Attempt, settings: Settings, *, kept_as: str = ""
) -> Object:
    """The Job of one attempt or check; one with a queue of Kueue's is made suspended, and Kueue lets it go.

    A run's ConfigMap is mounted as it is kept, which an earlier version may have made under another name.
    See https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
    """
    job, parts = resource.spec.job, parts_of(run)
    own = (
        labels(resource, parts.role)
        | parts.labels
        | {LABEL_ATTEMPT: str(attempt.number), LABEL_HASH: run.hash}
    )
    queue = resource.labels.get(LABEL_QUEUE)
    template = {
        "metadata": {"labels": dict(job.pod_labels) | own, "annotations": dict(job.pod_annotations)},
        "spec": _pod(resource, run, attempt, settings, kept_as or parts.record),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_of(run, attempt.number),
            "namespace": resource.namespace,
            "labels": own | ({LABEL_QUEUE: queue} if queue else {}),
            "annotations": {ANNOTATION_DATA_DIGEST: attempt.data_digest}
            | ({ANNOTATION_SERVERS: servers_annotation(run)} if calls_models(run) else {}),
            "ownerReferences": [owner(resource)],
        },
        "spec": {
            "backoffLimit": job.backoff_limit,
            "ttlSecondsAfterFinished": max(job.ttl_seconds_after_finished, SHORTEST_LIFE),
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": template,
        }
        | ({"suspend": True} if queue else {}),
    }


def _failure_rules() -> list[Object]:
    codes = {"containerName": CONTAINER, "operator": "In", "values": list(FINAL_EXIT_CODES)}
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": codes},
    ]


def _pod(resource: Resource, run: Run, attempt: Attempt, settings: Settings, record: str) -> Object:
    job = resource.spec.job
    secrets = dict.fromkeys([*(one.name for one in job.image_pull_secrets), *settings.image_pull_secrets])
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": job.service_account_name or parts_of(run).name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD | {"fsGroup": USER},
        "containers": [_container(resource, run, attempt, settings)],
        "volumes": _volumes(resource, run, record),
        "nodeSelector": dict(job.node_selector),
        "tolerations": [
            one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in job.tolerations
        ],
    }
    if secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in secrets]
    if job.priority_class_name:
        pod["priorityClassName"] = job.priority_class_name
    return pod


def _container(resource: Resource, run: Run, attempt: Attempt, settings: Settings) -> Object:
    own = resource.spec.job.resources
    resources = own if own.requests or own.limits else settings.trainer_resources
    environment = settings.proxy.environment | {
        "REPORT_NAME": parts_of(run).report,
        "REPORT_NAMESPACE": resource.namespace,
        "ATTEMPT": str(attempt.number),
        "KUBE_CREDENTIALS_DIR": CREDENTIALS,
        "TERMINATION_LOG": "/dev/termination-log",
        "JOURNAL_DIR": JOURNAL,
        "SIMILAR_DIR": f"{FOLDER}/similar",
        "HOME": "/tmp",  # noqa: S108 - an emptyDir of the pod's own
        "DSPY_CACHEDIR": "/tmp/dspy",  # noqa: S108 - as above; nothing is cached there
        "PYTHONUNBUFFERED": "1",
    }
    if settings.ca_bundle:
        environment["CA_BUNDLE"] = f"{FOLDER}/run/{AUTHORITIES_KEY}"
    mounts = [("run", f"{FOLDER}/run"), ("credentials", CREDENTIALS)]
    if resource.spec.dataset.given() is None:
        mounts.append(("data", f"{FOLDER}/data"))
    if data_secret(resource):
        environment["DATA_CREDENTIALS_DIR"] = DATA_CREDENTIALS
        mounts.append(("data-credentials", DATA_CREDENTIALS))
    mounts += [("served", f"{FOLDER}/served")] if run.served is not None else []
    mounts += [("similar", f"{FOLDER}/similar")] if run.similar else []
    return {
        "name": CONTAINER,
        "image": run.image,
        "command": ["python", "-m", "domaintraining", "trainer"],
        "args": [
            *("--run-file", f"{FOLDER}/run/{RUN_KEY}"),
            *("--data-dir", f"{FOLDER}/data"),
            *("--served-dir", f"{FOLDER}/served"),
        ],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": resources.model_dump(mode="json", by_alias=True, exclude_none=True),
        "securityContext": RESTRICTED_CONTAINER,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in mounts),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            {"name": "journal", "mountPath": JOURNAL},
        ],
    }


def _volumes(resource: Resource, run: Run, record: str) -> list[Object]:
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    volumes: list[dict[str, Any]] = [
        {"name": "run", "configMap": {"name": record}},
        {"name": "journal"} | _journal_volume(resource, run),
        {"name": "credentials", "projected": {"sources": [token, authority]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
    ]
    if run.similar:
        name = similar_name(resource.name, run.number)
        volumes.append({"name": "similar", "configMap": {"name": name, "optional": True}})
    if resource.spec.dataset.given() is None:
        volumes.append({"name": "data"} | _data_volume(resource, run))
    if secret := data_secret(resource):
        # a pod whose Secret is missing would wait for it without a word; the trainer names it instead
        volumes.append({"name": "data-credentials", "secret": {"secretName": secret, "optional": True}})
    if run.served is not None:
        volumes.append({"name": "served"} | _served_volume(resource, run, run.served))
    return volumes


def data_secret(resource: Resource) -> str:
    """Name of the Secret for the server of the data; empty: none."""
    given = resource.spec.dataset.given()
    return given[1].secret if given is not None else ""


def _served_volume(resource: Resource, run: Run, served: int) -> Object:
    """The served revision; where it serves prompts of others, the parts of each, with all their manifests."""
    if all(origin == Origin(revision=served) for origin in run.served_from.values()):
        return {"configMap": {"name": prompt_name(resource.name, served)}}
    items: dict[int, dict[str, str]] = {served: {MANIFEST_KEY: MANIFEST_KEY}}
    for task, origin in run.served_from.items():
        of_source, path = items.setdefault(origin.revision, {}), f"{task}.request.json"
        of_source[f"{BASELINE if origin.baseline else ''}{path}"] = path
        if not origin.baseline:  # a baseline has seen nothing
            of_source.setdefault(MANIFEST_KEY, f"manifest-r{origin.revision}.json")
    return {
        "projected": {
            "sources": [
                {
                    "configMap": {
                        "name": prompt_name(resource.name, number),
                        "items": [{"key": key, "path": path} for key, path in listed.items()],
                    }
                }
                for number, listed in items.items()
            ]
        }
    }


def _data_volume(resource: Resource, run: Run) -> Object:
    """The whole volume of a claim: a path below it that is missing is an error, not an empty folder."""
    dataset = resource.spec.dataset
    if dataset.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": dataset.persistent_volume_claim.claim_name}}
    if dataset.config_map is not None:
        items = [{"key": dataset.config_map.key, "path": run.data.file}]
        return {"configMap": {"name": dataset.config_map.name, "items": items}}
    return {"configMap": {"name": parts_of(run).data}}


def _journal_volume(resource: Resource, run: Run) -> Object:
    if run.journal.claim:
        return {"persistentVolumeClaim": {"claimName": run.journal.claim}}
    return {"emptyDir": {"sizeLimit": resource.spec.job.journal.storage}}
