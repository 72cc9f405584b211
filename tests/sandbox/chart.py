"""The chart with the real helm; `python -m tests.sandbox.chart FILE` writes the manifest made from it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.build import helm_binary
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import NAMESPACE
from tests.sandbox.errors import SandboxError

Json = dict[str, Any]
CHART = REPOSITORY / "charts" / "domaintraining"
RELEASE = "domaintraining"
HEADER = """\
# Written by `make generate` from charts/domaintraining at its default values; edit the chart instead.
# Pods in this namespace are held to what the operator's own keep.
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
# Lines that are true of what helm has installed, and of nothing else.
ONLY_HELM = ("# Source: ", "app.kubernetes.io/managed-by: Helm", "helm.sh/chart: ")


def helm(*arguments: str, kubeconfig: Path | None = None) -> str:
    """Runs helm and gives what it printed, its settings being none of the user's.

    Without a kubeconfig it reaches no cluster. Raises SandboxError with what it said when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        done = subprocess.run(
            [helm_binary(_say), *arguments],
            env={"PATH": os.defpath, "HOME": home, "KUBECONFIG": str(kubeconfig or os.devnull)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if done.returncode:
        raise SandboxError(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def rendered(*options: str, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """What `helm template` makes of the chart; `options` such as `--set=NAME=VALUE`."""
    return helm("template", release, str(CHART), f"--namespace={namespace}", *options)


def objects(manifest: str) -> list[Json]:
    """The objects of a manifest."""
    return [one for one in yaml.safe_load_all(manifest) if one]


def plain_manifest() -> str:
    """The chart at its default values for those who have no helm: without the CRD, with a namespace."""
    lines = rendered("--set=crds.enabled=false").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.lstrip().startswith(ONLY_HELM))
    return HEADER.format(namespace=NAMESPACE) + kept


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(plain_manifest(), encoding="utf-8")
