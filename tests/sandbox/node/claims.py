"""Persistent volumes for the sandbox: a folder for each claim of the default storage class."""

from __future__ import annotations

import asyncio
import logging
import shutil
from http.client import NOT_FOUND
from pathlib import Path
from typing import Any

from tests.sandbox.api import ApiError
from tests.sandbox.components import PROVISIONER
from tests.sandbox.node.client import NodeApi
from tests.sandbox.node.containers import RETRY_SECONDS, SERVER_SIDE

Json = dict[str, Any]
LOG = logging.getLogger(__name__)
_ANNOTATIONS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
CLAIMS, VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"


def is_waiting(claim: Json) -> bool:
    """Whether a claim waits for a volume of this provisioner (the volume binder has said so in it)."""
    annotations = claim["metadata"].get("annotations") or {}
    asked = any(annotations.get(name) == PROVISIONER for name in _ANNOTATIONS)
    return asked and not claim["spec"].get("volumeName") and not claim["metadata"].get("deletionTimestamp")


def volume_for(claim: Json, folder: Path) -> Json:
    """The volume for a claim, a folder below `folder`; named by the claim's uid: only ever one."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    reference = {name: metadata[name] for name in ("name", "namespace", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.get("storageClassName", ""),
            "hostPath": {"path": str(folder / name), "type": "DirectoryOrCreate"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
        },
    }


def is_released(volume: Json) -> bool:
    """Whether a volume of this provisioner has lost its claim and is to be deleted."""
    annotations = volume["metadata"].get("annotations") or {}
    mine = annotations.get("pv.kubernetes.io/provisioned-by") == PROVISIONER
    return mine and (volume.get("status") or {}).get("phase") == "Released"


class Provisioner:
    """Makes and removes the volumes; `folder` holds them by name."""

    def __init__(self, api: NodeApi, folder: Path) -> None:
        self._api = api
        self._folder = folder

    async def run(self) -> None:
        """Provides volumes until cancelled."""
        await asyncio.gather(self._follow(CLAIMS, self._provide), self._follow(VOLUMES, self._reclaim))

    async def _follow(self, path: str, look: Any) -> None:
        while True:
            try:
                found = await self._api.get(path)
                for item in found["items"]:
                    await look(item)
                version = found["metadata"]["resourceVersion"]
                async for change in self._api.watch(path, resourceVersion=version):
                    if change["type"] in ("ADDED", "MODIFIED"):
                        await look(change["object"])
                    elif change["type"] == "ERROR":
                        break
            except SERVER_SIDE as error:
                LOG.warning("%s: %s", path, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _provide(self, claim: Json) -> None:
        if not is_waiting(claim):
            return
        volume = volume_for(claim, self._folder)
        folder = self._folder / volume["metadata"]["name"]
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        if not await self._api.find(f"{VOLUMES}/{volume['metadata']['name']}"):
            await self._api.create(VOLUMES, volume)

    async def _reclaim(self, volume: Json) -> None:
        if not is_released(volume):
            return
        folder = self._folder / volume["metadata"]["name"]
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        try:
            await self._api.delete(f"{VOLUMES}/{volume['metadata']['name']}")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
