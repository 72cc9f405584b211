"""The programs of the node that are built from Go modules: kubelet and kube-proxy, CoreDNS, and pause."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sandbox.build import (
    SANDBOX,
    GoProgram,
    built,
    control_plane_modules,
    controlplane_binary,
    kubernetes_version,
    module_version,
    release_flags,
    set_variables,
)
from tests.sandbox.progress import Say

COREDNS: Final = Path(__file__).with_name("coredns")


@dataclass(frozen=True)
class Programs:
    """Where the built programs lie."""

    controlplane: Path
    node: Path
    """kubelet and kube-proxy, named by the first argument."""
    coredns: Path
    pause: Path
    """Statically linked: the only file of the image that holds a pod's namespaces."""


def built_programs(say: Say) -> Programs:
    """All of them, those built that are not in the user's cache. Raises SandboxError as `built` does."""
    return Programs(
        controlplane=controlplane_binary(say),
        node=built(node(), say),
        coredns=built(coredns(), say),
        pause=built(pause(), say),
    )


def node() -> GoProgram:
    """Kubelet and kube-proxy, from the module of the control plane: one release, one set of sources."""
    version = kubernetes_version(control_plane_modules())
    return GoProgram(
        name="node",
        folder=SANDBOX / "controlplane",
        title=f"kubelet and kube-proxy of Kubernetes {version}",
        cold_build="about 3 minutes on 2 cores behind the control plane, once",
        package="./node",
        linker=release_flags(version),
    )


def pause() -> GoProgram:
    """The program of a pod's first container."""
    return GoProgram(
        name="pause",
        folder=SANDBOX / "controlplane",
        title="pause",
        cold_build="seconds",
        package="./pause",
        linker=set_variables({}),
    )


def coredns() -> GoProgram:
    """CoreDNS with the plugins that a cluster's own names need."""
    version = module_version((COREDNS / "go.mod").read_text(encoding="utf-8"), "github.com/coredns/coredns")
    return GoProgram(
        name="coredns",
        folder=COREDNS,
        title=f"CoreDNS {version}",
        cold_build="about 2 minutes on 2 cores, once",
        linker=set_variables({}),
    )
