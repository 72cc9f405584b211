"""Names that users and their tools rely on: group, kinds, labels, annotations and object names.

Object names are pure functions of the resource's name and a run's number, so that two
controllers, or one that was killed, make the same object and never a second one.
"""

import hashlib
from typing import Final

GROUP: Final = "training.aegisrag.io"
VERSION: Final = "v1alpha1"
KIND: Final = "DomainTraining"
PLURAL: Final = "domaintrainings"
SINGULAR: Final = "domaintraining"
SHORT_NAME: Final = "dt"
CATEGORY: Final = "aegisrag"

MAX_NAME: Final = 40
"""Longest metadata.name: leaves room for the longest suffix within 63 characters."""

LABEL_NAME: Final = f"{GROUP}/name"
LABEL_DOMAIN: Final = f"{GROUP}/domain"
LABEL_REVISION: Final = f"{GROUP}/revision"
LABEL_HASH: Final = f"{GROUP}/hash"
LABEL_RUN: Final = f"{GROUP}/run"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_ROLE: Final = f"{GROUP}/role"
LABEL_KEEP: Final = f"{GROUP}/keep"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_QUEUE: Final = "kueue.x-k8s.io/queue-name"

ANNOTATION_RETRAIN: Final = f"{GROUP}/retrain-requested-at"
ANNOTATION_DATA_DIGEST: Final = f"{GROUP}/data-digest"
ANNOTATION_SETTINGS_DIGEST: Final = f"{GROUP}/settings-digest"
ANNOTATION_SERVERS: Final = f"{GROUP}/model-servers"
"""On a Job: the model servers that it has a place on, with the model on each, as JSON."""

MANAGER: Final = "domaintraining-controller"
"""Field manager of everything the controller writes."""

TRAINER_MANAGER: Final = "domaintraining-trainer"


def job_name(name: str, run: int, attempt: int) -> str:
    """The Job of one attempt (from 1) at one run (from 1)."""
    return f"{name}-r{run}-a{attempt}"


def run_name(name: str, run: int) -> str:
    """ServiceAccount, Role, RoleBinding and NetworkPolicy of one run."""
    return f"{name}-r{run}"


def record_name(name: str, run: int) -> str:
    """ConfigMap of one run, which its trainer starts from: of `x-prompt` not called as a prompt of `x`."""
    return f"{name}-r{run}-run" if name.endswith("-prompt") else run_name(name, run)


def report_name(name: str, run: int) -> str:
    """ConfigMap that the trainer of one run reports to."""
    return f"{name}-r{run}-report"


def data_name(name: str, run: int) -> str:
    """ConfigMap that holds the inline samples of one run."""
    return f"{name}-r{run}-data"


def similar_name(name: str, run: int) -> str:
    """ConfigMap with what similar domains offer to one run."""
    return f"{name}-r{run}-similar"


def journal_name(name: str) -> str:
    """Claim of the volume with the model's answers, which all runs share."""
    return f"{name}-journal"


def check_name(name: str) -> str:
    """ServiceAccount, Role, RoleBinding, NetworkPolicy and ConfigMap of the checks of a resource."""
    return f"{name}-check"


def check_report_name(name: str) -> str:
    """ConfigMap that the trainer of a check reports to."""
    return f"{name}-check-report"


def check_data_name(name: str) -> str:
    """ConfigMap that holds the inline samples of a check."""
    return f"{name}-check-data"


def check_job_name(name: str, check: int) -> str:
    """The Job of one check (from 1)."""
    return f"{name}-check-{check}"


def prompt_name(name: str, revision: int | None = None) -> str:
    """ConfigMap of a revision (0 is the baseline); without one, of the served prompt."""
    return f"{name}-prompt" if revision is None else f"{name}-prompt-r{revision}"


def domain_of(name: str, domain: str | None) -> str:
    """The domain a resource trains for: spec.domain, else its name with `-` as `_`."""
    return domain or name.replace("-", "_")


def label_value(text: str) -> str:
    """Text as a label value: unchanged up to 63 characters, else cut and marked by its digest."""
    if len(text) <= 63:
        return text
    return f"{text[:54]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
