"""Volumes of a pod as folders of this machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tests.sandbox.node import environment
from tests.sandbox.node.environment import MissingReference

Json = dict[str, Any]
FILE_MODE = 0o644
TOKEN_SECONDS = 3600
# As a kubelet: a token is asked for anew when a fifth of its life is left.
RENEW_AT = 0.8


class Source(Protocol):
    """Where the content of volumes comes from: one interface for the API server, one fake in the tests."""

    async def data(self, kind: str, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The entries of a configMap or secret, None when there is no such object."""

    async def token(self, pod: Json, audience: str, seconds: int) -> str:
        """A token of the pod's service account, bound to the pod."""

    async def claim(self, namespace: str, name: str) -> Path:
        """The folder of a persistent volume claim. Raises MissingReference while it is not bound."""


@dataclass(frozen=True)
class File:
    """One file of a volume, its path relative to the volume's folder."""

    path: str
    content: bytes
    mode: int = FILE_MODE


@dataclass
class Token:
    """A token file, to be written again before it expires."""

    file: Path
    audience: str
    seconds: int
    renew_at: float = field(default=0.0)


def mounted_folders(container: Json, folder: Path) -> dict[str, str]:
    """The local folder of each mount path of a container; `folder` holds the pod's volumes by name."""
    mounts = container.get("volumeMounts") or ()
    return {mount["mountPath"]: str(folder / mount["name"]) for mount in mounts}


def keyed_files(data: Mapping[str, bytes], source: Json, mode: int, name: str) -> list[File]:
    """The files of a ConfigMap or Secret: all keys, or those of `items` under their paths.

    Raises MissingReference for a key that is not there, unless the source is optional.
    """
    items = source.get("items")
    if items is None:
        return [File(key, content, mode) for key, content in sorted(data.items())]
    files = []
    for item in items:
        if item["key"] in data:
            files.append(File(item["path"], data[item["key"]], item.get("mode", mode)))
        elif not source.get("optional"):
            raise MissingReference(f"{name} references non-existent config key: {item['key']}")
    return files


def downward_files(pod: Json, items: Iterable[Json], mode: int) -> list[File]:
    """The files of the downward API; resource fields are those of the container that the item names."""
    files = []
    for item in items:
        if "fieldRef" in item:
            text = environment.field(pod, item["fieldRef"]["fieldPath"])
        else:
            reference = item["resourceFieldRef"]
            named = (each for each in pod["spec"]["containers"] if each["name"] == reference["containerName"])
            text = environment.resource(next(named), reference)
        files.append(File(item["path"], text.encode(), item.get("mode", mode)))
    return files


async def materialise(pod: Json, folder: Path, source: Source) -> list[Token]:
    """Writes all volumes of the pod below `folder`, one folder by name each; gives the tokens to renew.

    Raises MissingReference with the kubelet's words for what is not there (yet).
    """
    tokens: list[Token] = []
    for volume in pod["spec"].get("volumes") or ():
        place = folder / volume["name"]
        if "persistentVolumeClaim" in volume:
            claim = await source.claim(
                pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"]
            )
            await asyncio.to_thread(_link, place, claim)
        else:
            files, found = await _content(volume, pod, place, source)
            await asyncio.to_thread(write, place, files)
            tokens += found
    return tokens


async def renew(tokens: Sequence[Token], pod: Json, source: Source, now: float) -> None:
    """Writes the tokens again whose time has come; a program that has one open keeps the old text."""
    for token in tokens:
        if now >= token.renew_at:
            text = await source.token(pod, token.audience, token.seconds)
            token.renew_at = now + RENEW_AT * token.seconds
            file = File(token.file.name, text.encode(), 0o600)
            await asyncio.to_thread(write, token.file.parent, [file])


def write(folder: Path, files: Iterable[File]) -> None:
    """Writes files below a folder, each at once, so that a reader never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise MissingReference(f"{file.path}: a path of a volume stays inside of it")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content)
            os.fchmod(descriptor, file.mode)
        new.replace(target)


def _link(place: Path, claim: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(claim)


async def _content(volume: Json, pod: Json, place: Path, source: Source) -> tuple[list[File], list[Token]]:
    if "emptyDir" in volume:
        return [], []
    projected = volume.get("projected") or {"sources": [volume], **_defaults(volume)}
    mode = projected.get("defaultMode", FILE_MODE)
    files: list[File] = []
    tokens: list[Token] = []
    for part in projected["sources"]:
        if "serviceAccountToken" in part:
            tokens.append(_token(part["serviceAccountToken"], place))
        else:
            files += await _part(part, pod, mode, source)
    await renew(tokens, pod, source, time.time())
    return files, tokens


def _defaults(volume: Json) -> Json:
    [kind] = [key for key in volume if key != "name"]
    return {"defaultMode": volume[kind].get("defaultMode", FILE_MODE)}


def _token(part: Json, place: Path) -> Token:
    seconds = part.get("expirationSeconds") or TOKEN_SECONDS
    return Token(place / part["path"], part.get("audience", ""), seconds)


async def _part(part: Json, pod: Json, mode: int, source: Source) -> list[File]:
    if "downwardAPI" in part:
        return downward_files(pod, part["downwardAPI"].get("items") or (), mode)
    kind = "configMap" if "configMap" in part else "secret"
    wanted = part[kind]
    name = wanted.get("secretName") or wanted["name"]
    data = await source.data(kind, pod["metadata"]["namespace"], name)
    if data is None:
        if wanted.get("optional"):
            return []
        raise MissingReference(f'{kind.lower()} "{name}" not found')
    return keyed_files(data, wanted, mode, f'{kind.lower()} "{name}"')


def entries(kind: str, found: Json) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret object as bytes."""
    if kind == "secret":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return text | binary
