"""Releases of the chart in a sandbox, as `helm` installs, changes and removes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.sandbox.chart import CHART, RELEASE, helm
from tests.sandbox.components import free_ports
from tests.sandbox.environment import CONTROLLER, IMAGE, MODEL, NAMESPACE, SLOTS, Sandbox
from tests.sandbox.progress import Say

Json = dict[str, Any]
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/domaintrainings.training.aegisrag.io"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


class EmptySandbox(Sandbox):
    """Control plane, simulated node and simulated model server; the operator is up to helm."""

    def _install(self, model_server: str, say: Say) -> None:
        """Nothing."""


class Release:
    """The one release of a sandbox. Every command returns when what it installed is available."""

    def __init__(self, sandbox: EmptySandbox) -> None:
        self.sandbox = sandbox
        repository, _, tag = IMAGE.partition(":")
        image = {"repository": repository, "tag": tag}
        self._values: Json = {
            "images": {"controller": image, "trainer": image},
            "model": {"name": MODEL, "endpoint": sandbox.model_server, "requests": SLOTS},
            # pods share the machine's network, and there may be another sandbox
            "healthPort": free_ports().api,
        }

    def install(self, *options: str, chart: Path = CHART, **values: Any) -> str:
        """`helm install`; gives what it says, notes included."""
        return self._run("install", "--create-namespace", *options, *self._given(chart, values))

    def upgrade(self, *, chart: Path = CHART, **values: Any) -> str:
        """`helm upgrade`, without the values of before."""
        return self._run("upgrade", *self._given(chart, values))

    def rollback(self, revision: int) -> str:
        """`helm rollback`."""
        return self._run("rollback", RELEASE, str(revision), "--wait", "--timeout=90s")

    def uninstall(self) -> str:
        """`helm uninstall`; no effect without a release."""
        return self._run("uninstall", RELEASE, "--ignore-not-found", "--wait", "--timeout=90s")

    def clean(self) -> None:
        """Removes the release, the CRD, and by it all resources."""
        self.uninstall()
        self.sandbox.cluster.kubectl("delete", "--ignore-not-found", "crd", DEFINITION.rpartition("/")[2])

    def definition(self) -> Json | None:
        """The CRD as it is served."""
        return self.sandbox.cluster.api.find(DEFINITION)

    def deployment(self) -> Json | None:
        """The controller's Deployment."""
        return self.sandbox.cluster.api.find(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{CONTROLLER}")

    def cluster_roles(self) -> set[str]:
        """Names of the ClusterRoles that are the chart's."""
        found = self.sandbox.cluster.api.items(
            CLUSTER_ROLES, labelSelector=f"app.kubernetes.io/instance={RELEASE}"
        )
        return {one["metadata"]["name"] for one in found}

    def _given(self, chart: Path, values: Json) -> list[str]:
        file = self.sandbox.cluster.state / "values.json"
        file.write_text(json.dumps(self._values | values), encoding="utf-8")
        return [RELEASE, str(chart), f"--values={file}", "--wait", "--timeout=90s"]

    def _run(self, command: str, *arguments: str) -> str:
        kubeconfig = self.sandbox.cluster.admin_kubeconfig
        return helm(command, f"--namespace={NAMESPACE}", *arguments, kubeconfig=kubeconfig)
