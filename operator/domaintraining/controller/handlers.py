"""kopf's handlers: each puts the key of the DomainTraining on the queue, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from domaintraining.api.names import GROUP, LABEL_MANAGED_BY, LABEL_NAME, PLURAL, VERSION

Key = tuple[str, str]
WATCHED = ("jobs", "pods", "configmaps")


def register(registry: kopf.OperatorRegistry, add: Callable[[Key], None]) -> None:
    """Watch DomainTrainings, and by label the Jobs, pods and ConfigMaps that belong to them."""

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    def resource_changed(namespace: str | None, name: str | None, **_: Any) -> None:
        add((namespace or "", name or ""))

    def part_changed(namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        if name := labels.get(LABEL_NAME):
            add((namespace or "", name))

    kopf.on.event("batch", "v1", "jobs", registry=registry, id="job_changed")(part_changed)
    kopf.on.event("v1", "pods", registry=registry, id="pod_changed")(part_changed)
    kopf.on.event("v1", "configmaps", registry=registry, id="config_map_changed")(part_changed)


def configure(settings: kopf.OperatorSettings) -> None:
    """Settings of kopf for a level-based operator; facts behind each are in kopf's docs on configuration."""
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 2
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    for plural in WATCHED:
        settings.watching.label_selectors[plural] = f"{LABEL_NAME},{LABEL_MANAGED_BY}=domaintraining"
