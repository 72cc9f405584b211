"""The image of a pod's first container: one file, packed by hand as `docker save` would."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any, Final

NAME: Final = "localhost/pause:e2e"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(program: Path, target: Path) -> Path:
    """Writes a tar of the image that holds only `program`, as /pause; the same bytes each time."""
    layer = _tar({"pause": program.read_bytes()}, mode=0o755)
    config = _json(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    )
    manifest = _json([{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}])
    files = {"manifest.json": manifest, "config.json": config, "layer.tar": layer}
    target.write_bytes(_tar(files, mode=0o644))
    return target


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
