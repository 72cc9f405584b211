"""What a container's process is given: words, environment and working folder. Pure functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sandbox.kubeconfig import Access, render
from tests.sandbox.node import environment
from tests.sandbox.node.environment import Image, Objects
from tests.sandbox.node.volumes import mounted_folders

Json = dict[str, Any]
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
MESSAGE_PATH = "/dev/termination-log"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Place:
    """Where pods run: the API server's host and port, the modules they may import, the node's folder."""

    host: str
    port: str
    pythonpath: Sequence[str]
    state: Path


@dataclass(frozen=True)
class Launch:
    """All that a process is started with."""

    words: list[str]
    environment: dict[str, str]
    folder: str


def launch(
    pod: Json, container: Json, *, image: Image, objects: Objects, place: Place, pod_folder: Path
) -> Launch:
    """Everything of a container as its process gets it, local folders in the place of mount paths.

    Raises MissingReference where the environment refers to what is not there.
    """
    own = pod_folder / "containers" / container["name"]
    folders = mounted_folders(container, pod_folder / "volumes")
    paths = {container.get("terminationMessagePath") or MESSAGE_PATH: str(own / "termination-log"), **folders}
    given = {"KUBERNETES_SERVICE_HOST": place.host, "KUBERNETES_SERVICE_PORT": place.port}
    given = environment.variables(container, pod, objects, given)
    words = environment.command_line(container, image, given)
    given = {name: environment.rewrite(value, paths) for name, value in given.items()}
    base = base_environment(pod, image, place, own, folders)
    workdir = environment.rewrite(container.get("workingDir") or "", paths)
    inside = workdir.startswith(str(pod_folder))
    return Launch(
        [word if word == image.python else environment.rewrite(word, paths) for word in words],
        base | given,
        workdir if inside else str(own / "home"),
    )


def base_environment(
    pod: Json, image: Image, place: Place, own: Path, folders: Mapping[str, str]
) -> dict[str, str]:
    """What an image would set, and nothing of the node's own environment."""
    found = {
        "PATH": f"{os.path.dirname(image.python)}:{SYSTEM_PATH}",  # noqa: PTH120 - as text: a symlink stays one
        "HOME": str(own / "home"),
        "TMPDIR": folders.get("/tmp", str(own / "tmp")),
        "HOSTNAME": pod["metadata"]["name"],
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # the modules are the checkout's
        "SIMULATED_NODE_STATE": str(place.state),
    }
    if place.pythonpath:
        found["PYTHONPATH"] = ":".join(place.pythonpath)
    if SERVICE_ACCOUNT in folders:
        found["KUBECONFIG"] = str(own / "kubeconfig")
    return found


def service_account_kubeconfig(pod: Json, place: Place, authority: str, token_file: str) -> str:
    """A kubeconfig that says what the mounted service account folder says."""
    namespace = pod["metadata"]["namespace"]
    server = f"https://{place.host}:{place.port}"
    return render(Access(server, authority, token_file=token_file, namespace=namespace))
