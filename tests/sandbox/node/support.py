"""What the simulated node has no counterpart for: such pods are refused, with the field in the message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
VOLUMES = ("configMap", "secret", "emptyDir", "projected", "downwardAPI", "persistentVolumeClaim")
PROJECTIONS = ("configMap", "secret", "downwardAPI", "serviceAccountToken")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def not_simulated(pod: Json) -> str:
    """The first thing the pod asks for that there is not, as a sentence; empty where there is nothing."""
    return next(_missing(pod["spec"]), "")


def _missing(spec: Json) -> Iterator[str]:
    if spec.get("initContainers"):
        yield "spec.initContainers: a simulated node runs no init containers"
    for volume in spec.get("volumes") or ():
        kinds = [kind for kind in volume if kind != "name"]
        yield from (
            f"volume {volume['name']}: {kind} is not simulated" for kind in kinds if kind not in VOLUMES
        )
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from (
                f"volume {volume['name']}: a projected {kind} is not simulated"
                for kind in source
                if kind not in PROJECTIONS
            )
    for container in spec["containers"]:
        yield from _missing_of(container)


def _missing_of(container: Json) -> Iterator[str]:
    name = container["name"]
    for mount in container.get("volumeMounts") or ():
        if mount.get("subPath") or mount.get("subPathExpr"):
            yield f"container {name}, mount {mount['mountPath']}: subPath is not simulated"
    for probe in PROBES:
        if probe in container and "httpGet" not in container[probe]:
            yield f"container {name}: {probe} is simulated with httpGet only"
    if container.get("lifecycle"):
        yield f"container {name}: lifecycle hooks are not simulated"
