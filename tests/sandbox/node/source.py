"""What pods are made of, read from the API server with the node's rights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.sandbox.node.client import NodeApi
from tests.sandbox.node.environment import MissingReference
from tests.sandbox.node.volumes import entries

Json = dict[str, Any]
_PLURAL = {"configMap": "configmaps", "secret": "secrets"}


class ApiSource:
    """The Source of a running node. Its methods raise what NodeApi raises, too."""

    def __init__(self, api: NodeApi) -> None:
        self._api = api

    async def data(self, kind: str, namespace: str, name: str) -> Mapping[str, bytes] | None:
        found = await self._api.find(f"/api/v1/namespaces/{namespace}/{_PLURAL[kind]}/{name}")
        return None if found is None else entries(kind, found)

    async def token(self, pod: Json, audience: str, seconds: int) -> str:
        metadata = pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
            },
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        answer = await self._api.create(path, request)
        return str(answer["status"]["token"])

    async def claim(self, namespace: str, name: str) -> Path:
        claim = await self._api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise MissingReference(f'persistentvolumeclaim "{name}" is not bound')
        volume = await self._api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        if "hostPath" not in volume["spec"]:
            raise MissingReference(f'persistentvolumeclaim "{name}": only hostPath volumes are simulated')
        return Path(volume["spec"]["hostPath"]["path"])
