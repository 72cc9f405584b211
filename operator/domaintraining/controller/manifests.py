"""ConfigMaps, rights and events that the controller makes, built from values alone; the Job is in jobs.py."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domaintraining.api.names import (
    GROUP,
    KIND,
    LABEL_DOMAIN,
    LABEL_HASH,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_REVISION,
    LABEL_ROLE,
    LABEL_RUN,
    MANAGER,
    VERSION,
    check_name,
    domain_of,
    prompt_name,
    record_name,
)
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.api.status import wire
from domaintraining.controller.attempt import ATTEMPT_KEY, Attempt
from domaintraining.controller.checks import RECORD_KEY, Checks
from domaintraining.controller.observed import Object, Resource, Revision
from domaintraining.controller.parts import ROLE_CHECK, ROLE_DATA, ROLE_RUN, Parts, parts_of, parts_of_run
from domaintraining.controller.revisions import encoded

LONGEST_NOTE: Final = 1024
"""Bytes of an event's note that the API server takes."""
AUTHORITIES_KEY: Final = "ca.crt"
"""Key of the run ConfigMap with further authorities to trust."""
ROLE_PROMPT: Final = "prompt"
ROLE_SERVED: Final = "served"
ROLE_JOURNAL: Final = "journal"


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


def metadata_of(resource: Resource, name: str, role: str, **more: str) -> Object:
    """Name, namespace, labels and owner of an object of a resource; empty labels are left out."""
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


def build_run(
    resource: Resource, run: Run, attempt: Attempt, authorities: str = "", *, kept_as: str = ""
) -> Object:
    """The run ConfigMap: what the trainer reads, and the record of the attempt.

    Args:
        resource: whose run it is.
        run: the run.
        attempt: its attempt.
        authorities: certificates in PEM that the trainer trusts beside the system's.
        kept_as: its name, where an earlier version made it under another.
    """
    data = {
        RUN_KEY: json.dumps(wire(run), ensure_ascii=False, sort_keys=True),
        ATTEMPT_KEY: json.dumps(wire(attempt), ensure_ascii=False, sort_keys=True),
    } | ({AUTHORITIES_KEY: authorities} if authorities else {})
    more = {LABEL_RUN: str(run.number), LABEL_HASH: run.hash}
    name = kept_as or record_name(resource.name, run.number)
    return _config_map(metadata_of(resource, name, ROLE_RUN, **more), data)


def build_checks(resource: Resource, checks: Checks, run: Run | None = None, authorities: str = "") -> Object:
    """The record of the checks, and what the trainer of the open one reads.

    Args:
        resource: whose checks they are.
        checks: the record.
        run: what the trainer starts from; None: none does now.
        authorities: certificates in PEM that it trusts beside the system's.
    """
    data = {RECORD_KEY: json.dumps(wire(checks), ensure_ascii=False, sort_keys=True)}
    if run is not None:
        data[RUN_KEY] = json.dumps(wire(run), ensure_ascii=False, sort_keys=True)
        data |= {AUTHORITIES_KEY: authorities} if authorities else {}
    return _config_map(metadata_of(resource, check_name(resource.name), ROLE_CHECK), data)


def build_data(resource: Resource, run: Run) -> Object:
    """The ConfigMap with inline samples, one a line."""
    lines = [
        json.dumps(sample.model_dump(mode="json", by_alias=True, exclude_none=True), ensure_ascii=False)
        for sample in resource.spec.dataset.inline or []
    ]
    parts = parts_of(run)
    metadata = metadata_of(resource, parts.data, ROLE_DATA, **parts.labels)
    return _config_map(metadata, {run.data.file: "\n".join(lines) + "\n"})


def build_report(resource: Resource, run: int) -> Object:
    """The empty report ConfigMap, which the trainer of this run alone may patch."""
    return empty_report_of(resource, parts_of_run(resource.name, run))


def empty_report_of(resource: Resource, parts: Parts) -> Object:
    """The same of a run or a check."""
    return _config_map(metadata_of(resource, parts.report, parts.report_role, **parts.labels))


def build_revision(
    resource: Resource,
    number: int,
    run_hash: str,
    data: dict[str, str],
    baseline: Mapping[str, str] = MappingProxyType({}),
) -> Object:
    """The immutable ConfigMap of a revision; 0 is the baseline.

    Args:
        resource: whose revision it is.
        number: of the run.
        run_hash: of what started the run.
        data: its files.
        baseline: files of the run's baseline, for tasks that had no prompt before.
    """
    more = {LABEL_REVISION: str(number), LABEL_HASH: run_hash}
    metadata = metadata_of(resource, prompt_name(resource.name, number), ROLE_PROMPT, **more)
    body = _config_map(metadata, data, immutable=True)
    return body | ({"binaryData": encoded(baseline)} if baseline else {})


def build_served(resource: Resource, revision: Revision) -> Object:
    """The ConfigMap that applications mount: the data of one revision."""
    more = {LABEL_REVISION: str(revision.number), LABEL_HASH: revision.hash}
    return _config_map(metadata_of(resource, prompt_name(resource.name), ROLE_SERVED, **more), revision.data)


def build_claim(resource: Resource, name: str) -> Object:
    """The claim of the journal's volume, which all runs of a resource share; gone with the resource."""
    wanted = resource.spec.job.journal
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata_of(resource, name, ROLE_JOURNAL),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": wanted.storage}},
            "storageClassName": wanted.storage_class_name,
        },
    }


def rights_of(resource: Resource, parts: Parts) -> list[Object]:
    """Role, ServiceAccount and RoleBinding of a run or a check: get and patch of its own report, no more.

    Where spec names a ServiceAccount, the Role is bound to that one and none is made.
    """
    name = parts.name
    metadata = metadata_of(resource, name, parts.role, **parts.labels)
    rbac = "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [parts.report],
        "verbs": ["get", "patch"],
    }
    named = resource.spec.job.service_account_name
    subject = {"kind": "ServiceAccount", "name": named or name, "namespace": resource.namespace}
    reference = {"apiGroup": rbac, "kind": "Role", "name": name}
    own = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": False,
    }
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        *([] if named else [own]),
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


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
        "note": note.encode()[:LONGEST_NOTE].decode(errors="ignore"),
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
