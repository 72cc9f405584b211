"""containerd of the node: its configuration, its images, and the end of whatever runs in it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.e2e.node import pause_image
from tests.e2e.node.requirements import PATH, program
from tests.sandbox.errors import SandboxError

IMPORT_SECONDS: Final = 180
END_SECONDS: Final = 10.0
# Snapshotters that would look for disks of their own, and a folder in /opt.
UNUSED: Final = (
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)


class Runtime:
    """containerd with its socket in the state folder; images and layers outlive it in `root`."""

    def __init__(self, state: Path, root: Path) -> None:
        self.root = root
        self._folder = state / "containerd"
        self.socket = self._folder / "socket"
        self.running = self._folder / "run"
        """What containerd has noted about running containers."""
        self.plugins = state / "network"
        self._imported = root / "imported.json"

    def prepare(self) -> None:
        """Writes the configuration."""
        for folder in (self._folder, self.plugins, self.root):
            folder.mkdir(parents=True, exist_ok=True)
        self.configuration.write_text(self._rendered(), encoding="utf-8")

    @property
    def configuration(self) -> Path:
        """What `containerd --config` is given."""
        return self._folder / "config.toml"

    def serves(self) -> bool:
        """Whether containerd answers."""
        return self.socket.exists() and self._ctr("version").returncode == 0

    def import_images(self, images: Mapping[str, Path]) -> None:
        """Loads the tars of images, by name, that are not loaded in this state already.

        Raises SandboxError with what `ctr` said about one that it refuses.
        """
        known = json.loads(self._imported.read_text(encoding="utf-8")) if self._imported.exists() else {}
        present = set(self._ctr("images", "list", "--quiet").stdout.split())
        for name, tar in images.items():
            state = [str(tar), tar.stat().st_size, tar.stat().st_mtime_ns]
            if known.get(name) == state and name in present:
                continue
            done = self._ctr("images", "import", str(tar), seconds=IMPORT_SECONDS)
            if done.returncode:
                raise SandboxError(f"image {name} from {tar}: {done.stderr.strip()}")
            known[name] = state
            self._imported.write_text(json.dumps(known), encoding="utf-8")

    def remove_image(self, name: str) -> None:
        """Forgets an image."""
        self._ctr("images", "remove", "--sync", name)

    def add_name(self, name: str, further: str) -> None:
        """Gives an image another name. Raises SandboxError where there is no such image."""
        done = self._ctr("images", "tag", "--force", name, further)
        if done.returncode:
            raise SandboxError(done.stderr.strip())

    def pid_of(self, container: str) -> int:
        """The first process of a running container. Raises SandboxError where it does not run."""
        for line in self._ctr("tasks", "list").stdout.splitlines():
            name, pid, *_ = line.split()
            if name == container:
                return int(pid)
        raise SandboxError(f"container {container} does not run")

    def end_containers(self) -> None:
        """Kills all containers and forgets them, so that the next node starts with none."""
        deadline = time.monotonic() + END_SECONDS
        while tasks := self._listed("tasks"):
            for task in tasks:
                self._ctr("tasks", "delete", "--force", task)
            if time.monotonic() > deadline:
                break
        for container in self._listed("containers"):
            self._ctr("containers", "delete", container)

    def _listed(self, kind: str) -> list[str]:
        return self._ctr(kind, "list", "--quiet").stdout.split()

    def _ctr(self, *arguments: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        command = [str(program("ctr")), f"--address={self.socket}", "--namespace=k8s.io", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env={"PATH": PATH}
        )

    def _rendered(self) -> str:
        return f"""
version = 2
root = "{self.root / "data"}"
state = "{self.running}"
disabled_plugins = {json.dumps(UNUSED)}
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image.NAME}"
  # Lower scores than our own need CAP_SYS_RESOURCE, which root in a virtual machine may lack.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{program("bridge").parent}"
    conf_dir = "{self.plugins}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{self._folder / "runc"}"
"""
