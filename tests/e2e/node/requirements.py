"""What a machine needs for a real node: Linux, root, a few Debian packages, and no other node."""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.e2e.node.network import BRIDGES, NODE_ADDRESS, PODS, SERVICES
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say, run_telling

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "bridge": "containernetworking-plugins",
}
"""The Debian package of each program; `bridge` is the network plugin."""
PLUGIN_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def obstacle() -> str:
    """Why there can be no real node here, in words; empty where there can."""
    if platform.system() != "Linux":
        return f"it needs Linux, this is {platform.system()}"
    if os.geteuid() != 0:
        return "it needs root: containers, bridges and packet filter rules"
    lacking = missing_packages()
    if lacking and not shutil.which("apt-get", path=PATH):
        return f"it needs {', '.join(lacking)}, and there is no apt-get to install them"
    return _kernel_obstacle() or _taken()


def missing_packages() -> list[str]:
    """The packages whose programs are not on this machine."""
    return sorted({package for program, package in PACKAGES.items() if not find_program(program)})


def find_program(name: str) -> Path | None:
    """Where a program lies, the network plugins included."""
    if name == "bridge":
        folders = [folder for folder in PLUGIN_FOLDERS if (folder / name).exists()]
        return folders[0] / name if folders else None
    found = shutil.which(name, path=PATH)
    return Path(found) if found else None


def program(name: str) -> Path:
    """Where a program lies. Raises SandboxError where it is missing."""
    found = find_program(name)
    if not found:
        raise SandboxError(f"{name} is missing: install the package {PACKAGES[name]}")
    return found


def install(say: Say) -> None:
    """Installs the packages that are missing, and says so. Raises SandboxError with apt's last words."""
    lacking = missing_packages()
    if not lacking:
        return
    say(f"installing from the machine's package sources: {' '.join(lacking)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    run_telling([*apt, "update"], Path("/"), environment, "remarks of apt", say)
    command = [*apt, "install", "--yes", "--no-install-recommends", *lacking]
    run_telling(command, Path("/"), environment, "remarks of apt", say)


def overlapping(routes: Iterable[Mapping[str, str]]) -> str:
    """The first of the machine's routes, as `ip -json route` has them, that the node's would hide."""
    wanted = [ipaddress.ip_network(each) for each in (f"{NODE_ADDRESS}/32", PODS, SERVICES)]
    for route in routes:
        if route["dst"] == "default" or route.get("dev") in BRIDGES:
            continue
        taken = ipaddress.ip_network(route["dst"], strict=False)
        if any(taken.overlaps(each) for each in wanted):
            return f"{route['dst']} on {route.get('dev', '?')}"
    return ""


def _kernel_obstacle() -> str:
    filesystems = Path("/proc/filesystems").read_text(encoding="ascii")
    if "\toverlay\n" not in filesystems and not Path("/sys/module/overlay").exists():
        loaded = subprocess.run(["modprobe", "overlay"], check=False, capture_output=True, env={"PATH": PATH})
        if loaded.returncode:
            return "the kernel has no overlay file system"
    return "" if Path("/sys/fs/cgroup").is_dir() else "there are no cgroups below /sys/fs/cgroup"


def _taken() -> str:
    ip = find_program("ip")
    if not ip:
        return ""
    listed = subprocess.run([ip, "-json", "route"], capture_output=True, text=True, timeout=10, check=True)
    clash = overlapping(json.loads(listed.stdout or "[]"))
    return f"this machine has a route to {clash}, which the node's networks need" if clash else ""
