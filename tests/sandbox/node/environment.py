"""What a container's process is started with: its words and its environment. Pure functions."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.sandbox.node import quantity
from tests.sandbox.node.status import POD_ADDRESS

Json = dict[str, Any]
_VARIABLE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
# A path begins where none of these stands before it, and ends where none stands behind it.
_IN_A_PATH = r"[\w./~-]"


class MissingReference(LookupError):  # noqa: N818 - named as the kubelet's users know it: a reference is missing
    """A ConfigMap, Secret, key or field that is not there and not optional; the text is the kubelet's."""


@dataclass(frozen=True)
class Image:
    """What stands for an image here: an interpreter, and the words of its entry point."""

    prefix: str
    python: str
    entry_point: tuple[str, ...] = ()


def parse_image(text: str) -> Image:
    """Reads PREFIX=PYTHON [WORD...], the node's option --image. Raises ValueError for another shape."""
    prefix, _, words = text.partition("=")
    python, *entry_point = shlex.split(words) or [""]
    if not prefix or not python.startswith("/"):
        raise ValueError(f"{text!r}: write IMAGE_PREFIX=/path/to/python [WORD...]")
    return Image(prefix, python, tuple(entry_point))


def find_image(name: str, images: Iterable[Image]) -> Image | None:
    """The image with the longest prefix of this name, None if there is no such image."""
    fitting = [image for image in images if name.startswith(image.prefix)]
    return max(fitting, key=lambda image: len(image.prefix), default=None)


def command_line(container: Json, image: Image, environment: Mapping[str, str]) -> list[str]:
    """The words to start; `python` and `python3` are the image's interpreter. Empty: nothing to start.

    As in Kubernetes, `command` replaces the image's entry point and `args` follow either.
    """
    own = [expand(word, environment) for word in container.get("command") or ()]
    words = own or ([image.python, *image.entry_point] if image.entry_point else [])
    if words and words[0] in ("python", "python3"):
        words = [image.python, *words[1:]]
    if not words:
        return []
    return words + [expand(word, environment) for word in container.get("args") or ()]


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replaces $(NAME) where the name is known; $$ is a dollar sign, an unknown name stays."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else environment.get(found[1], found[0])

    return _VARIABLE.sub(value, text)


def rewrite(text: str, folders: Mapping[str, str]) -> str:
    """Puts local folders in the place of mount paths, wherever one begins in the text.

    A path begins at the start or behind a character that can't belong to a path (=, :, blank, quote), and
    ends with a slash, such a character or the text. The longest mount path wins; nothing is replaced twice.
    """
    if not folders:
        return text
    longest_first = sorted(folders, key=len, reverse=True)
    choices = "|".join(re.escape(path.rstrip("/")) for path in longest_first)
    local = {path.rstrip("/"): folder for path, folder in folders.items()}
    return re.sub(rf"(?<!{_IN_A_PATH})({choices})(?=/|(?!{_IN_A_PATH}))", lambda found: local[found[1]], text)


def references(container: Json) -> set[tuple[str, str]]:
    """The ConfigMaps and Secrets that the environment is made from: pairs of kind and name."""
    values = [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
    origins = [*(container.get("envFrom") or ()), *values]
    return {(_NAMED[key], origin[key]["name"]) for origin in origins for key in origin if key in _NAMED}


_NAMED = {
    "configMapRef": "configMap",
    "configMapKeyRef": "configMap",
    "secretRef": "secret",
    "secretKeyRef": "secret",
}
_KINDS = {"configMap": "configmap", "secret": "secret"}
Objects = Mapping[tuple[str, str], Mapping[str, str] | None]


def variables(container: Json, pod: Json, objects: Objects, given: Mapping[str, str]) -> dict[str, str]:
    """The environment that the container asks for, on top of what every container is given.

    `objects` holds the data of each of `references`, None where there is no such object. Raises
    MissingReference for what is not there and not optional.
    """
    found = dict(given)
    for source in container.get("envFrom") or ():
        found |= _all_of(source, objects)
    for variable in container.get("env") or ():
        if origin := variable.get("valueFrom"):
            value = _value_from(origin, container, pod, objects)
        else:
            value = expand(variable.get("value") or "", found)
        if value is not None:
            found[variable["name"]] = value
    return found


def _all_of(source: Json, objects: Objects) -> dict[str, str]:
    kind = "configMap" if "configMapRef" in source else "secret"
    reference = source[f"{kind}Ref"]
    data = objects.get((kind, reference["name"]))
    if data is None:
        if reference.get("optional"):
            return {}
        raise MissingReference(f'{_KINDS[kind]} "{reference["name"]}" not found')
    prefix = source.get("prefix", "")
    return {f"{prefix}{key}": value for key, value in data.items()}


def _value_from(origin: Json, container: Json, pod: Json, objects: Objects) -> str | None:
    if "fieldRef" in origin:
        return field(pod, origin["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in origin:
        return resource(container, origin["resourceFieldRef"])
    kind = "configMap" if "configMapKeyRef" in origin else "secret"
    reference = origin[f"{kind}KeyRef"]
    data = objects.get((kind, reference["name"]))
    if data is not None and reference["key"] in data:
        return data[reference["key"]]
    if reference.get("optional"):
        return None
    if data is None:
        raise MissingReference(f'{_KINDS[kind]} "{reference["name"]}" not found')
    title = "ConfigMap" if kind == "configMap" else "Secret"
    where = f"{pod['metadata']['namespace']}/{reference['name']}"
    raise MissingReference(f"couldn't find key {reference['key']} in {title} {where}")


def field(pod: Json, path: str) -> str:
    """A field of the pod for the downward API. Raises MissingReference for a path that is not served."""
    metadata, spec = pod["metadata"], pod["spec"]
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((metadata.get(found[1]) or {}).get(found[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = (metadata.get(path.removeprefix("metadata.")) or {}).items()
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries))
    addresses = ("status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs")
    values = {
        **{f"metadata.{name}": metadata[name] for name in ("name", "namespace", "uid")},
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        **dict.fromkeys(addresses, POD_ADDRESS),
    }
    if path not in values:
        raise MissingReference(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource(container: Json, reference: Json) -> str:
    """A limit or request of the container in units of the divisor, rounded up; 0 where there is none."""
    kind, _, name = reference["resource"].partition(".")
    amount = (container.get("resources") or {}).get(kind, {}).get(name, "0")
    divisor = quantity.parse(reference.get("divisor") or "1") or 1
    return str(math.ceil(quantity.parse(amount) / divisor))


def containers_of(pod: Json) -> Sequence[Json]:
    """The pod's containers."""
    found: Sequence[Json] = pod["spec"]["containers"]
    return found
