"""The README's part on one's own cluster as a user types it, in a shell beside a cluster of the tests."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.readme import block
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.environment import CONTROLLER, NAMESPACE

CLUSTER = "On your own cluster"
EXPORTS, INSTALL, LOG, REMOVE, PLAIN, PLAIN_REMOVE = range(6)
WATCH = "kubectl get dt -w"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}"


class Shell:
    """A user's shell beside a cluster; its variables are those that were exported in it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.environment = {"PATH": os.defpath, "HOME": str(cluster.state), "PYTHONDONTWRITEBYTECODE": "1"}

    def export(self, lines: str) -> None:
        """Takes the `export NAME=value` lines over."""
        for name, value in re.findall(r"^ *export (\w+)=(.*)$", lines, re.MULTILINE):
            self.environment[name] = value.replace(f"${name}", self.environment.get(name, ""))

    @property
    def docker_calls(self) -> Path:
        """What the simulated docker was called with, a line each."""
        return self.cluster.state / "simulated-docker-calls"

    def simulate_docker(self) -> None:
        """Puts a docker in front of PATH that only writes down what it is called with."""
        folder = self.cluster.state / "simulated-docker"
        folder.mkdir()
        program = folder / "simulated-docker"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{self.docker_calls}"\n', encoding="utf-8")
        program.chmod(0o755)
        (folder / "docker").symlink_to(program)
        self.export(f"export PATH={folder}:$PATH")

    def run(self, line: str, folder: Path = REPOSITORY) -> str:
        """One command, which must succeed; gives what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def watch(self, line: str) -> list[str]:
        """One command that does not end: its lines up to the one that says True."""
        lines = []
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout
            for row in running.stdout:
                lines.append(row.rstrip())
                if row.split()[1] == "True":
                    break
            running.terminate()
        return lines


def commands(number: int) -> list[str]:
    """The commands of a block, those of several lines whole."""
    return block(CLUSTER, "sh", number).replace("\\\n", "").splitlines()


def installed(shell: Shell) -> dict[str, str]:
    """The variables of the operator that is installed, and its image as `image`."""
    (container,) = shell.cluster.api.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]} | {"image": container["image"]}


def left_behind(shell: Shell) -> str:
    """Names of what belongs to the operator or to a DomainTraining, in all namespaces."""
    kinds = "configmaps,persistentvolumeclaims,jobs,pods,serviceaccounts,roles,rolebindings"
    parts = shell.run(f"kubectl get {kinds} -A -l app.kubernetes.io/managed-by=domaintraining -o name")
    own = shell.run("kubectl get crd,ns,clusterroles,clusterrolebindings -o name | sed -n /domaintraining/p")
    return parts + own
