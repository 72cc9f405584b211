"""The shipped health checks, and what the tools' own libraries make of recorded states with them."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.sandbox.build import GoProgram, built
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.progress import Say

SHIPPED: Final = REPOSITORY / "charts" / "gitops"
ARGO: Final = SHIPPED / "argocd" / "training.aegisrag.io" / "DomainTraining"
STATES: Final = ARGO / "testdata"
LUA: Final = ARGO / "health.lua"
FLUX: Final = SHIPPED / "flux" / "kustomization.yaml"
SNIPPET: Final = SHIPPED / "argocd" / "argocd-cm.yaml"
PROGRAM: Final = GoProgram(
    name="verdicts",
    folder=Path(__file__).with_name("verdicts"),
    title="the health checks of Argo CD, Flux and kstatus",
    cold_build="about 1 minute on 2 cores, once",
)


SNIPPET_HEAD: Final = """\
# For Argo CD: put this key into the data of your argocd-cm, or apply it as a server-side apply of its own.
# Made from training.aegisrag.io/DomainTraining/health.lua by `python -m tests.gitops`.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels:
    app.kubernetes.io/name: argocd-cm
    app.kubernetes.io/part-of: argocd
data:
  resource.customizations.health.training.aegisrag.io_DomainTraining: |
"""


class Verdict(NamedTuple):
    """What each tool says about one state."""

    argo: str
    message: str
    flux: str
    kstatus: str


def snippet(script: str) -> str:
    """The piece of argocd-cm that holds the script of the health check."""
    return SNIPPET_HEAD + textwrap.indent(script, "    ")


def verdicts(states: Sequence[Path], say: Say) -> dict[str, Verdict]:
    """The verdict on each state by the file's name, from the real libraries.

    Raises:
        SandboxError: the program can't be built.
        CalledProcessError: a health check failed; its output names the file.
    """
    command = list(map(str, (built(PROGRAM, say), LUA, FLUX, *states)))
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return {
        Path(one["file"]).stem: Verdict(
            one["argo"]["status"], one["argo"]["message"], one["flux"], one["kstatus"]
        )
        for one in json.loads(text)
    }
