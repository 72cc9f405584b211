"""Every object that the controller makes, built from values alone."""

import json
from typing import Any, Final

from domaintraining.api.names import (
    ANNOTATION_DATA_DIGEST,
    GROUP,
    KIND,
    LABEL_ATTEMPT,
    LABEL_DOMAIN,
    LABEL_HASH,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_QUEUE,
    LABEL_REVISION,
    LABEL_ROLE,
    LABEL_RUN,
    MANAGER,
    VERSION,
    data_name,
    domain_of,
    job_name,
    prompt_name,
    report_name,
    run_name,
)
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.api.status import wire
from domaintraining.controller.attempt import ATTEMPT_KEY, Attempt
from domaintraining.controller.observed import Object, Resource, Revision

CONTAINER: Final = "trainer"
CREDENTIALS: Final = "/var/run/secrets/domaintraining"
FOLDER: Final = "/etc/domaintraining"
SAMPLES: Final = "samples"
FINAL_EXIT_CODES: Final = (3, 75)
"""A failure that needs a change, and one that may pass, which the controller tries again."""

ROLE_RUN: Final = "run"
ROLE_DATA: Final = "data"
ROLE_REPORT: Final = "report"
ROLE_PROMPT: Final = "prompt"
ROLE_SERVED: Final = "served"
ROLE_TRAINER: Final = "trainer"


def owner(resource: Resource) -> Object:
    """The owner reference that lets the garbage collector remove what a deleted resource leaves."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": resource.name,
        "uid": resource.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def labels(resource: Resource, role: str) -> dict[str, str]:
    """Labels that all objects of a resource bear."""
    return {
        LABEL_MANAGED_BY: "domaintraining",
        LABEL_NAME: resource.name,
        LABEL_DOMAIN: domain_of(resource.name, resource.spec.domain),
        LABEL_ROLE: role,
    }


def _meta(resource: Resource, name: str, role: str, **more: str) -> Object:
    return {
        "name": name,
        "namespace": resource.namespace,
        "labels": labels(resource, role) | {key: value for key, value in more.items() if value},
        "ownerReferences": [owner(resource)],
    }


def _config_map(metadata: Object, data: dict[str, str] | None = None, *, immutable: bool = False) -> Object:
    body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    if data is not None:
        body["data"] = data
    return body | ({"immutable": True} if immutable else {})


def build_run(resource: Resource, run: Run, attempt: Attempt) -> Object:
    """The run ConfigMap: what the trainer reads, and the record of the attempt."""
    data = {
        RUN_KEY: json.dumps(wire(run), ensure_ascii=False, sort_keys=True),
        ATTEMPT_KEY: json.dumps(wire(attempt), ensure_ascii=False, sort_keys=True),
    }
    more = {LABEL_RUN: str(run.number), LABEL_HASH: run.hash}
    return _config_map(_meta(resource, run_name(resource.name, run.number), ROLE_RUN, **more), data)


def build_data(resource: Resource, run: Run) -> Object:
    """The ConfigMap with inline samples, one a line."""
    lines = [
        json.dumps(sample.model_dump(mode="json", by_alias=True, exclude_none=True), ensure_ascii=False)
        for sample in resource.spec.dataset.inline or []
    ]
    metadata = _meta(
        resource, data_name(resource.name, run.number), ROLE_DATA, **{LABEL_RUN: str(run.number)}
    )
    return _config_map(metadata, {run.data.file: "\n".join(lines) + "\n"})


def build_report(resource: Resource, run: int) -> Object:
    """The empty report ConfigMap, which the trainer of this run alone may patch."""
    metadata = _meta(resource, report_name(resource.name, run), ROLE_REPORT, **{LABEL_RUN: str(run)})
    return _config_map(metadata)


def build_revision(resource: Resource, number: int, run_hash: str, data: dict[str, str]) -> Object:
    """The immutable ConfigMap of a revision; 0 is the baseline."""
    more = {LABEL_REVISION: str(number), LABEL_HASH: run_hash}
    metadata = _meta(resource, prompt_name(resource.name, number), ROLE_PROMPT, **more)
    return _config_map(metadata, data, immutable=True)


def build_served(resource: Resource, revision: Revision) -> Object:
    """The ConfigMap that applications mount: the data of one revision."""
    more = {LABEL_REVISION: str(revision.number), LABEL_HASH: revision.hash}
    return _config_map(_meta(resource, prompt_name(resource.name), ROLE_SERVED, **more), revision.data)


def build_rights(resource: Resource, run: int) -> list[Object]:
    """ServiceAccount, Role and RoleBinding of one run: get and patch of its own report, nothing else."""
    name = run_name(resource.name, run)
    metadata = _meta(resource, name, ROLE_TRAINER, **{LABEL_RUN: str(run)})
    rbac = "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [report_name(resource.name, run)],
        "verbs": ["get", "patch"],
    }
    subject = {"kind": "ServiceAccount", "name": name, "namespace": resource.namespace}
    reference = {"apiGroup": rbac, "kind": "Role", "name": name}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata,
            "automountServiceAccountToken": False,
        },
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


def build_job(resource: Resource, run: Run, attempt: Attempt) -> Object:
    """The Job of one attempt.

    See https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
    """
    job = resource.spec.job
    own = labels(resource, ROLE_TRAINER) | {
        LABEL_RUN: str(run.number),
        LABEL_ATTEMPT: str(attempt.number),
        LABEL_HASH: run.hash,
    }
    queue = resource.labels.get(LABEL_QUEUE)
    template = {
        "metadata": {"labels": dict(job.pod_labels) | own, "annotations": dict(job.pod_annotations)},
        "spec": _pod(resource, run, attempt),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(resource.name, run.number, attempt.number),
            "namespace": resource.namespace,
            "labels": own | ({LABEL_QUEUE: queue} if queue else {}),
            "annotations": {ANNOTATION_DATA_DIGEST: attempt.data_digest},
            "ownerReferences": [owner(resource)],
        },
        "spec": {
            "backoffLimit": job.backoff_limit,
            "ttlSecondsAfterFinished": job.ttl_seconds_after_finished,
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": template,
        },
    }


def _failure_rules() -> list[Object]:
    codes = {"containerName": CONTAINER, "operator": "In", "values": list(FINAL_EXIT_CODES)}
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": codes},
    ]


def _pod(resource: Resource, run: Run, attempt: Attempt) -> Object:
    job = resource.spec.job
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": run_name(resource.name, run.number),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(resource, run, attempt)],
        "volumes": _volumes(resource, run),
        "nodeSelector": dict(job.node_selector),
        "tolerations": [
            one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in job.tolerations
        ],
    }
    if job.priority_class_name:
        pod["priorityClassName"] = job.priority_class_name
    return pod


def _container(resource: Resource, run: Run, attempt: Attempt) -> Object:
    environment = {
        "REPORT_NAME": report_name(resource.name, run.number),
        "REPORT_NAMESPACE": resource.namespace,
        "ATTEMPT": str(attempt.number),
        "KUBE_CREDENTIALS_DIR": CREDENTIALS,
        "TERMINATION_LOG": "/dev/termination-log",
        "HOME": "/tmp",  # noqa: S108 - an emptyDir of the pod's own
        "DSPY_CACHEDIR": "/tmp/dspy",  # noqa: S108 - as above; nothing is cached there
        "PYTHONUNBUFFERED": "1",
    }
    mounts = [("run", f"{FOLDER}/run"), ("data", f"{FOLDER}/data"), ("credentials", CREDENTIALS)]
    mounts += [("served", f"{FOLDER}/served")] if run.served is not None else []
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
        "resources": resource.spec.job.resources.model_dump(mode="json", by_alias=True, exclude_none=True),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            *({"name": name, "mountPath": path, "readOnly": True} for name, path in mounts),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        ],
    }


def _volumes(resource: Resource, run: Run) -> list[Object]:
    source = resource.spec.dataset.config_map
    data = (
        {"name": source.name, "items": [{"key": source.key, "path": run.data.file}]}
        if source
        else {"name": data_name(resource.name, run.number)}
    )
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    volumes: list[dict[str, Any]] = [
        {"name": "run", "configMap": {"name": run_name(resource.name, run.number)}},
        {"name": "data", "configMap": data},
        {"name": "credentials", "projected": {"sources": [token, authority]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
    ]
    if run.served is not None:
        volumes.append({"name": "served", "configMap": {"name": prompt_name(resource.name, run.served)}})
    return volumes


def build_event(  # noqa: PLR0913 - the parts of an event
    resource: Resource, *, kind: str, reason: str, note: str, now: str, name: str
) -> Object:
    """An event about a changed condition.

    See https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    """
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": resource.namespace},
        "type": kind,
        "reason": reason,
        "action": "Reconcile",
        "note": note[:1024],
        "eventTime": now,
        "reportingController": MANAGER,
        "reportingInstance": MANAGER,
        "regarding": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": resource.name,
            "namespace": resource.namespace,
            "uid": resource.uid,
        },
    }
