"""Probes by HTTP, as a kubelet does them: any answer from 200 to 399 passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.sandbox.node.status import POD_ADDRESS

Json = dict[str, Any]
Told = Callable[[str, bool, str], None]


def port_of(container: Json, port: int | str) -> int:
    """A probe's port as a number; a name is that of one of the container's ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for each in container.get("ports") or ():
        if each.get("name") == port:
            return int(each["containerPort"])
    return int(port)


def url_of(container: Json, probe: Json) -> str:
    """Where an httpGet probe asks."""
    get = probe["httpGet"]
    scheme = get.get("scheme", "HTTP").lower()
    path = get.get("path") or "/"
    return f"{scheme}://{get.get('host') or POD_ADDRESS}:{port_of(container, get['port'])}/{path.lstrip('/')}"


class Probes:
    """The probes of one container; `told` gets kind, whether it passes now, and what went wrong."""

    def __init__(self, container: Json, told: Told) -> None:
        self._container = container
        self._told = told

    async def watch(self) -> None:
        """Probes one run until cancelled: the startup probe first, then readiness and liveness."""
        async with aiohttp.ClientSession() as session:
            if "startupProbe" in self._container:
                await self._watch("startupProbe", session)
            kinds = [kind for kind in ("readinessProbe", "livenessProbe") if kind in self._container]
            await asyncio.gather(*(self._watch(kind, session) for kind in kinds))

    async def _watch(self, kind: str, session: aiohttp.ClientSession) -> None:
        probe = self._container[kind]
        needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
        passes: bool | None = None
        streak, last = 0, None
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while True:
            problem = await self._ask(probe, session)
            good = not problem
            streak, last = (streak + 1 if good == last else 1), good
            if good != passes and streak >= needed[good]:
                passes = good
                self._told(kind, good, f"{kind.removesuffix('Probe').title()} probe failed: {problem}")
                if kind == "startupProbe":
                    return
            await asyncio.sleep(probe.get("periodSeconds", 10))

    async def _ask(self, probe: Json, session: aiohttp.ClientSession) -> str:
        """What is wrong, empty when the probe passes."""
        headers = {each["name"]: each["value"] for each in probe["httpGet"].get("httpHeaders") or ()}
        timeout = aiohttp.ClientTimeout(total=probe.get("timeoutSeconds", 1))
        try:
            url = url_of(self._container, probe)
            async with session.get(url, headers=headers, timeout=timeout, ssl=False) as response:
                return (
                    "" if response.status < 400 else f"HTTP probe failed with statuscode: {response.status}"
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return str(error) or type(error).__name__
