"""The hash of what starts a run."""

import hashlib
import json
from typing import Any, Final

from domaintraining.api.sources import SOURCE_NAMES
from domaintraining.api.spec import DomainTrainingSpec

HASH_LENGTH: Final = 32
"""Hex digits kept of SHA-256: a label value holds at most 63 characters."""

STARTS_A_RUN: Final = (
    "auto",
    "compareWith",
    "dataset",
    "instructions",
    "metric",
    "model",
    "optimizer",
    "tasks",
    "types",
)
CHANGES_NO_ANSWER: Final = ("endpoint", "pullPolicy", "maxConcurrentRequests")


def what_starts_a_run(spec: DomainTrainingSpec) -> dict[str, Any]:
    """The part of a spec that a new run depends on, without fields at their default, as JSON values."""
    written = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    part = {field: written[field] for field in STARTS_A_RUN if field in written}
    if "tasks" in part:
        part["tasks"] = sorted(part["tasks"])
        if len(part["tasks"]) == 2:
            del part["tasks"]
    if compared := part.pop("compareWith", []):
        part["compareWith"] = [one["name"] for one in compared]
    _forget_secrets(part.get("dataset", {}))
    model = {key: value for key, value in part.pop("model", {}).items() if key not in CHANGES_NO_ANSWER}
    model.get("options", {}).pop("keepAlive", None)
    model.get("promptModel", {}).pop("endpoint", None)
    model = {key: value for key, value in model.items() if value != {}}
    return part | ({"model": model} if model else {})


def _forget_secrets(dataset: dict[str, Any]) -> None:
    """Which Secret opens the data does not say which data they are."""
    for name in SOURCE_NAMES:
        for key in [key for key in dataset.get(name, {}) if key.endswith("SecretRef")]:
            del dataset[name][key]


def run_hash(spec: DomainTrainingSpec) -> str:
    """The hash of what starts a run: 32 hex digits of SHA-256 over canonical JSON.

    Two specs have the same hash exactly when a finished run of one is a result for the other.
    """
    text = json.dumps(what_starts_a_run(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
