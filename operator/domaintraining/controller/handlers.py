"""kopf's handlers: each puts the key of the DomainTraining on the queue, and nothing else.

They are coroutines: kopf would run plain functions in threads, and the queue belongs to the event loop.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any

import kopf

from domaintraining.api.names import GROUP, LABEL_MANAGED_BY, LABEL_NAME, PLURAL, VERSION
from domaintraining.controller.objects import CONFIG_MAP, DOMAIN_TRAINING, JOB, POD
from domaintraining.controller.workqueue import Key

WATCHED = (JOB, POD, CONFIG_MAP)
"""What is watched by label, beside the resources themselves."""


class Backoffs:
    """Seconds before each further try of a request of kopf's, without end.

    After the last one kopf, and with it the process, would end: for a single namespace without rights, too.
    None is long: what happens meanwhile is not heard.
    """

    def __iter__(self) -> Iterator[float]:
        """The pauses from the first on."""
        return chain((1.0, 1.0, 2.0, 3.0, 5.0), repeat(8.0))


def register(registry: kopf.OperatorRegistry, add: Callable[[Key], None]) -> None:
    """Watch DomainTrainings, and by label the Jobs, pods and ConfigMaps that belong to them."""

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def resource_changed(namespace: str | None, name: str | None, **_: Any) -> None:
        add((namespace or "", name or ""))

    async def part_changed(namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        if name := labels.get(LABEL_NAME):
            add((namespace or "", name))

    kopf.on.event("batch", "v1", "jobs", registry=registry, id="job_changed")(part_changed)
    kopf.on.event("v1", "pods", registry=registry, id="pod_changed")(part_changed)
    kopf.on.event("v1", "configmaps", registry=registry, id="config_map_changed")(part_changed)


def watched_paths(namespaces: Iterable[str]) -> list[str]:
    """The paths of all watches: in the namespaces given, or in all where none is."""
    where: list[str | None] = list(namespaces)
    return [kind.path(one) for kind in (DOMAIN_TRAINING, *WATCHED) for one in where or [None]]


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
    settings.networking.error_backoffs = Backoffs()
    for kind in WATCHED:
        settings.watching.label_selectors[kind.plural] = f"{LABEL_NAME},{LABEL_MANAGED_BY}=domaintraining"
