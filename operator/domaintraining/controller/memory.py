"""The fake of the API server for tests: objects in a dict."""

import asyncio
from collections.abc import Mapping
from typing import Any

from domaintraining.controller.cluster import ClusterError, JsonObject
from domaintraining.controller.objects import DOMAIN_TRAINING, EVENT, Kind, address_of, carries

Address = tuple[Kind, str, str]


class MemoryCluster:
    """Cluster in memory, with a few of the API server's rules.

    These are uid and resourceVersion, names that are taken, immutable ConfigMaps, the status subresource and
    the generation of DomainTrainings, owner references (by uid, one controller), and that a write without
    effect changes nothing. Apply sets the fields given and removes none; deleting removes no owned objects.
    """

    def __init__(self, *objects: JsonObject) -> None:
        """Begin with objects, which don't count as writes."""
        self.objects: dict[Address, JsonObject] = {}
        self.writes: list[str] = []
        """Each write as `VERB KIND NAMESPACE/NAME`, VERB being create, apply, merge, delete or status."""
        self.events: list[JsonObject] = []
        self.refusals: dict[str, ClusterError] = {}
        """What to raise instead of a write, by its entry in `writes`."""
        self._version = 0
        for obj in objects:
            self._store(address_of(obj), _copied(obj))

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """One object; None where there is none."""
        await asyncio.sleep(0)
        found: JsonObject | None = _copied(self.objects.get((kind, namespace, name)))
        return found

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        """All objects with the labels, by namespace and name."""
        await asyncio.sleep(0)
        return [
            _copied(obj)
            for (own_kind, own_namespace, _), obj in sorted(self.objects.items(), key=lambda item: item[0])
            if own_kind == kind and namespace in {None, own_namespace} and carries(obj, labels)
        ]

    async def warnings(self, namespace: str, uid: str) -> list[JsonObject]:
        """Events of type Warning about an object."""
        found = await self.find(EVENT, namespace, {})
        return [one for one in found if one.get("type") == "Warning" and one["regarding"]["uid"] == uid]

    async def apply(self, obj: JsonObject) -> JsonObject:
        """Create an object or set the fields given."""
        address = await self._write("apply", obj)
        given = {key: value for key, value in obj.items() if key != "status"}
        return self._merge(address, given, self.objects.get(address, {}))

    async def merge(self, obj: JsonObject) -> JsonObject:
        """Set the fields given and remove those that are null."""
        address = await self._write("merge", obj)
        if address not in self.objects:
            raise ClusterError(404, "NotFound", f"{address[0].plural} {address[2]} not found")
        return self._merge(address, {}, _without_nulls(_overwritten(self.objects[address], obj)))

    async def create(self, obj: JsonObject) -> JsonObject:
        """Make an object; one of this name is a conflict."""
        address = await self._write("create", obj)
        if address in self.objects:
            raise ClusterError(409, "AlreadyExists", f"{address[0].plural} {address[2]} already exists")
        return self._merge(address, obj, {})

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Remove an object; none is fine, another uid a conflict."""
        obj = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"namespace": namespace, "name": name},
        }
        address = await self._write("delete", obj)
        found = self.objects.get(address)
        if found is not None and uid not in {None, found["metadata"]["uid"]}:
            raise ClusterError(409, "Conflict", f"{kind.plural} {name} has another uid")
        self.objects.pop(address, None)

    async def apply_status(self, obj: JsonObject) -> JsonObject:
        """Set a DomainTraining's status: the whole of it, since the controller owns all its fields."""
        address = await self._write("status", obj)
        found = self.objects.get(address)
        if found is None:
            raise ClusterError(404, "NotFound", f"{address[0].plural} {address[2]} not found")
        return self._merge(address, {}, found | {"status": obj["status"]})

    async def post_event(self, obj: JsonObject) -> None:
        """Keep an event."""
        await asyncio.sleep(0)
        self.events.append(_copied(obj))

    async def _write(self, verb: str, obj: JsonObject) -> Address:
        address = kind, namespace, name = address_of(obj)
        await asyncio.sleep(0)
        entry = f"{verb} {kind.kind} {namespace}/{name}"
        self.writes.append(entry)
        if entry in self.refusals:
            raise self.refusals[entry]
        return address

    def _merge(self, address: Address, given: JsonObject, base: JsonObject) -> JsonObject:
        found = self.objects.get(address)
        merged = _overwritten(base, given)
        if owners := _owners(base, given):
            merged["metadata"]["ownerReferences"] = owners
        if len([one for one in owners if one.get("controller")]) > 1:
            message = f"{address[0].plural} {address[2]}: only one reference can have controller set to true"
            raise ClusterError(422, "Invalid", message)
        kept = ("data", "binaryData")
        if found and found.get("immutable") and any(merged.get(key) != found.get(key) for key in kept):
            raise ClusterError(422, "Invalid", f"{address[0].plural} {address[2]}: data is immutable")
        if merged != found:
            self._store(address, merged)
        stored: JsonObject = _copied(self.objects[address])
        return stored

    def _store(self, address: Address, obj: JsonObject) -> None:
        found = self.objects.get(address)
        self._version += 1
        metadata = obj["metadata"]
        metadata.setdefault("uid", f"uid-{self._version}")
        metadata["resourceVersion"] = str(self._version)
        if address[0] == DOMAIN_TRAINING:
            metadata.setdefault("generation", 1)
            if found is not None and found.get("spec") != obj.get("spec"):
                metadata["generation"] = found["metadata"]["generation"] + 1
        self.objects[address] = obj


def _copied(value: Any) -> Any:
    """JSON values of their own; several times as fast as copy.deepcopy."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _owners(base: JsonObject, given: JsonObject) -> list[JsonObject]:
    """Owner references of both: a list that is merged by uid."""
    parts = (part.get("metadata", {}).get("ownerReferences") or [] for part in (base, given))
    old, new = ({one.get("uid"): one for one in part} for part in parts)
    return [_overwritten(old.get(uid, {}), new.get(uid, {})) for uid in old | new]


def _overwritten(base: Any, given: Any) -> Any:
    """The fields given over those of base; lists are replaced as a whole."""
    if isinstance(base, dict) and isinstance(given, dict):
        merged = _copied(base)
        return merged | {key: _overwritten(base.get(key), value) for key, value in given.items()}
    return _copied(given)


def _without_nulls(value: Any) -> Any:
    """JSON values without the fields that are null."""
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(part) for key, part in value.items() if part is not None}
