"""Kubeconfig files: the way into the cluster for admin, node and service accounts."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Access:
    """Where the API server is, whom to trust, and the token to come with (or the file that holds it)."""

    server: str
    authority: str
    token: str = ""
    token_file: str = ""
    namespace: str = "default"


def render(access: Access) -> str:
    """The text of a kubeconfig with one context, named sandbox."""
    user = {"tokenFile": access.token_file} if access.token_file else {"token": access.token}
    authority = base64.b64encode(access.authority.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "sandbox",
                "cluster": {"server": access.server, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": "sandbox", "user": user}],
        "contexts": [
            {
                "name": "sandbox",
                "context": {"cluster": "sandbox", "user": "sandbox", "namespace": access.namespace},
            }
        ],
        "current-context": "sandbox",
    }
    return yaml.safe_dump(config, sort_keys=False)


def parse(text: str) -> Access:
    """Reads what `render` wrote. Raises KeyError or ValueError for another shape."""
    config: dict[str, Any] = yaml.safe_load(text)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    return Access(
        server=cluster["server"],
        authority=base64.b64decode(cluster["certificate-authority-data"]).decode(),
        token=user.get("token", ""),
        token_file=user.get("tokenFile", ""),
        namespace=config["contexts"][0]["context"].get("namespace", "default"),
    )


def write(file: Path, access: Access) -> Path:
    """Writes a kubeconfig that only this user can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(render(access))
    return file


def read(file: Path) -> Access:
    """Reads a kubeconfig of this sandbox."""
    return parse(file.read_text(encoding="utf-8"))
