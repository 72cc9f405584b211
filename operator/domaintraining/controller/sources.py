"""Which DomainTrainings have their samples in which ConfigMap, and who is told when one of those changes.

A user's ConfigMap bears no label of ours. One watch of metadata for each scope that is watched anyway (the
cluster, or each of WATCH_NAMESPACES) tells that one changed; the resource's own look compares its content:

- a watch for each referenced name would be one connection for each resource, to be ended with it;
- a watch of whole ConfigMaps would bring the content of all of them here, which nobody asked for;
- of metadata alone, events are small whatever the ConfigMap holds, nothing of them is kept, no list is made,
  and there are as many connections as scopes. The right is the one that is there: to watch ConfigMaps.

What the controller makes itself is left out by its label on the server's side: reports change all the time.

See https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
"""

import asyncio
import json
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

import aiohttp

from domaintraining.api.names import LABEL_MANAGED_BY
from domaintraining.controller.objects import CONFIG_MAP
from domaintraining.controller.observed import Resource
from domaintraining.controller.workqueue import Key

log = logging.getLogger(__name__)

METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
SELECTOR: Final = f"{LABEL_MANAGED_BY}!=domaintraining"
SERVER_SECONDS: Final = 300
"""The API server ends a watch after so long; the next goes on where it ended."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=90)
"""A bookmark comes each minute: silence for longer is a connection that is dead."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
AT_ONCE: Final = 5.0
"""Seconds within which a watch without any event ended too soon to open the next without a pause."""
MOST_BYTES: Final = 4 * 2**20
"""Longest line of a watch; metadata have at most 256 KiB of annotations."""

Source = tuple[str, str]
"""Namespace and name of a ConfigMap with samples."""
OpenSession = Callable[[aiohttp.TraceConfig], Awaitable[tuple[str, aiohttp.ClientSession]]]
"""Makes a session with fresh credentials, and gives the API server's URL before it."""


def source_of(resource: Resource) -> str | None:
    """The ConfigMap that a resource has its samples in; None: in none."""
    config_map = resource.spec.dataset.config_map
    return config_map.name if config_map is not None else None


class Sources:
    """Which ConfigMap each DomainTraining has its samples in: a view of the resources, from their looks."""

    def __init__(self) -> None:
        self._of: dict[Key, str] = {}
        self._keys: dict[Source, set[Key]] = {}

    def refer(self, key: Key, config_map: str | None) -> None:
        """Learn where a resource has its samples; None: in no ConfigMap, or it is gone."""
        before = self._of.get(key)
        if before == config_map:
            return
        if before is not None:
            keys = self._keys[key[0], before]
            keys.discard(key)
            if not keys:
                del self._keys[key[0], before]
            del self._of[key]
        if config_map is not None:
            self._of[key] = config_map
            self._keys.setdefault((key[0], config_map), set()).add(key)

    def of(self, source: Source) -> list[Key]:
        """The resources that have their samples in a ConfigMap."""
        return sorted(self._keys.get(source, ()))

    def within(self, namespace: str | None) -> list[Key]:
        """Those with samples in any ConfigMap of a namespace; None: of all."""
        return sorted(key for key in self._of if namespace in {None, key[0]})


class SourceWatch:
    """Puts the resources of a ConfigMap that changed on the queue.

    Args:
        sources: which resources those are.
        open_session: makes sessions for watches.
        add: puts a key on the queue.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        sources: Sources,
        open_session: OpenSession,
        add: Callable[[Key], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sources, self._open_session, self._add, self._sleep = sources, open_session, add, sleep

    async def run(self, namespaces: Iterable[str]) -> None:
        """Watch until cancelled: in the namespaces given, or in all where none is."""
        where: list[str | None] = [*namespaces]
        async with asyncio.TaskGroup() as group:
            for namespace in where or [None]:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str | None) -> None:
        """Watch one scope for ever; what happened while nobody listened is found by a look at all of it."""
        version, pause = "", FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                server, session = await self._open_session(aiohttp.TraceConfig())
                async with session:
                    if not version:
                        version = await _version(server, session, namespace)
                        for key in self._sources.within(namespace):
                            self._add(key)
                    async for kind, metadata in _events(server, session, namespace, version):
                        began, pause = -math.inf, FIRST_PAUSE
                        version = str(metadata.get("resourceVersion") or version)
                        if kind != "BOOKMARK":
                            self._changed(metadata)
                if time.monotonic() - began > AT_ONCE:
                    pause = FIRST_PAUSE
                    continue
            except _Gone:
                version = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the resync looks at everything meanwhile
                log.warning("ConfigMaps with samples are not watched: %s", _words(error))
            await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE)

    def _changed(self, metadata: dict[str, Any]) -> None:
        for key in self._sources.of((str(metadata.get("namespace")), str(metadata.get("name")))):
            self._add(key)


class _Gone(Exception):  # noqa: N818 - the history that was to be followed
    """The API server has forgotten what happened since."""


class _Failed(Exception):  # noqa: N818 - what the API server said in the stream
    """The API server ends a watch for a reason of its own: what is known of its history stays good."""


async def _version(server: str, session: aiohttp.ClientSession, namespace: str | None) -> str:
    """The version to begin from: that of a list of which nothing but the first entry is asked for."""
    query = {"limit": "1", "labelSelector": SELECTOR}
    headers = {"Accept": METADATA.replace("PartialObjectMetadata;", "PartialObjectMetadataList;")}
    url = server + CONFIG_MAP.path(namespace)
    async with session.get(url, params=query, headers=headers, timeout=TIMEOUT) as response:
        response.raise_for_status()
        return str((await response.json())["metadata"]["resourceVersion"])


async def _events(
    server: str, session: aiohttp.ClientSession, namespace: str | None, version: str
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Kind and metadata of each event, until the API server ends the watch.

    Raises:
        _Gone: the version is too old.
        _Failed: something else is wrong.
        aiohttp.ClientError: no answer, or a refusal.
    """
    query = {
        "watch": "1",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(SERVER_SECONDS),
        "labelSelector": SELECTOR,
    }
    url = server + CONFIG_MAP.path(namespace)
    headers = {"Accept": METADATA}
    async with session.get(url, params=query, headers=headers, timeout=TIMEOUT) as response:
        if response.status == 410:
            raise _Gone
        response.raise_for_status()
        async for line in _lines(response):
            event = json.loads(line)
            found = event.get("object") or {}
            if event.get("type") == "ERROR":
                raise (
                    _Gone
                    if found.get("code") == 410
                    else _Failed(f"{found.get('code')}: {found.get('message')}")
                )
            yield str(event.get("type")), found.get("metadata") or {}


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MOST_BYTES:
            raise ValueError(f"an event has more than {MOST_BYTES} bytes")
        for line in lines:
            if line.strip():
                yield line


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
