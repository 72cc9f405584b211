"""What is in the tar of an image: its settings, its history and the files of each layer."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One layer: how it came about, the bytes it takes unpacked, and its paths without the leading slash."""

    made_by: str
    size: int
    paths: frozenset[str]


@dataclass(frozen=True)
class Archive:
    """An image as `docker save` writes it; the first layer is the base image's."""

    settings: dict[str, Any]
    history: tuple[str, ...]
    layers: tuple[Layer, ...]
    contents: dict[str, str]
    """The text of the files that were asked for."""

    @property
    def size(self) -> int:
        """Bytes of all layers unpacked, which is what a node has to hold."""
        return sum(layer.size for layer in self.layers)

    @property
    def paths(self) -> frozenset[str]:
        """Every path of every layer."""
        return frozenset().union(*(layer.paths for layer in self.layers))


def read_archive(tar: Path, *wanted: str) -> Archive:
    """Reads a tar with one image; `wanted` are the ends of the paths of files whose text is kept."""
    with tarfile.open(tar) as outer:
        manifest = json.loads(_member(outer, "manifest.json"))[0]
        config = json.loads(_member(outer, manifest["Config"]))
        made_by = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
        contents: dict[str, str] = {}
        layers = [
            _read_layer(outer, name, by, wanted, contents)
            for name, by in zip(manifest["Layers"], made_by, strict=True)
        ]
    history = tuple(str(step.get("created_by", "")) for step in config["history"])
    return Archive(config["config"], history, tuple(layers), contents)


def _read_layer(
    outer: tarfile.TarFile, name: str, made_by: str, wanted: tuple[str, ...], contents: dict[str, str]
) -> Layer:
    paths, size = set(), 0
    with tarfile.open(fileobj=outer.extractfile(name), mode="r:") as layer:
        for member in layer:
            path = member.name.removeprefix("./").rstrip("/")
            paths.add(path)
            size += member.size
            if member.isfile() and path.endswith(wanted):
                contents[path] = _member(layer, member).decode()
    return Layer(made_by, size, frozenset(paths))


def _member(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
