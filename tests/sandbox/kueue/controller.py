"""Starting Kueue's controller: its objects from its module, its webhooks on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from tests.sandbox.build import GoProgram, built, cache_folder, module_version
from tests.sandbox.cluster import Cluster
from tests.sandbox.components import free_ports
from tests.sandbox.daemons import Daemon
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Say
from tests.sandbox.toolchain import go_program, needed_version

Json = dict[str, Any]
FOLDER: Final = Path(__file__).parent
MODULE: Final = "sigs.k8s.io/kueue"
NAMESPACE: Final = "kueue-system"
SERVICE: Final = "kueue-webhook-service"
SECRET: Final = "kueue-webhook-server-cert"
GROUPS: Final = frozenset({"batch", "kueue.x-k8s.io"})
"""Of what its webhooks are asked here; those of other kinds of jobs are left out, as these kinds are."""
CONVERTED: Final = frozenset({"localqueues", "clusterqueues", "workloads", "cohorts", "multikueueclusters"})
"""CRDs whose versions Kueue converts, as config/components/crd/kustomization.yaml has them."""
READY_SECONDS: Final = 60.0


def program() -> GoProgram:
    """Kueue's controller of the release that go.mod beside this file names."""
    return GoProgram(
        name="kueue",
        folder=FOLDER,
        title=f"Kueue {version()}",
        cold_build="about 5 minutes on 2 cores, once",
        package=f"{MODULE}/cmd/kueue",
        linker=("-s", "-w"),
    )


def version() -> str:
    """The release, such as v0.16.2."""
    return module_version((FOLDER / "go.mod").read_text(encoding="utf-8"), MODULE)


def binary(say: Say) -> Path:
    """Kueue's binary, built when it is not there; see `built`."""
    return built(program(), say)


def start(cluster: Cluster, say: Say) -> None:
    """Builds Kueue where it is not built, and starts it; returns when it is ready. It ends with the cluster.

    Raises SandboxError with the end of its log when it does not start.
    """
    executable, config = binary(say), _module_folder(say) / "config" / "components"
    webhook, probes = free_ports().api, free_ports().api
    for obj in _objects(config, webhook):
        cluster.kubectl("apply", "--server-side", "--filename=-", input=json.dumps(obj))
    state = cluster.state / "kueue"
    certificates = state / "certificates"
    certificates.mkdir(parents=True)
    settings = state / "config.yaml"
    settings.write_text(json.dumps(_settings(certificates, webhook, probes)), encoding="utf-8")
    environment = {
        "PATH": os.defpath,
        "HOME": str(state),
        "KUBECONFIG": str(cluster.admin_kubeconfig),
        "GOGC": "50",
    }
    daemon = Daemon("kueue", cluster.state)
    daemon.start([executable, f"--config={settings}"], environment, state)
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(probes):
        daemon.expect_running()
        _mount(cluster, certificates)
        if time.monotonic() > deadline:
            raise SandboxError(f"Kueue is not ready; the end of its log:\n{daemon.tail()}")
        time.sleep(0.1)


def _settings(certificates: Path, webhook: int, probes: int) -> Json:
    """Its configuration: Jobs only, and certificates of its own making."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probes}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": webhook, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {
            "enable": True,
            "webhookServiceName": SERVICE,
            "webhookSecretName": SECRET,
        },
        "integrations": {"frameworks": ["batch/job"]},
        "featureGates": {"VisibilityOnDemand": False, "MultiKueue": False},
    }


def _objects(config: Path, port: int) -> Iterator[Json]:
    """What its manifests hold, without the Deployment and its rights: it runs as admin here."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield _object("v1", "Secret", SECRET)
    # The API server follows the name to this machine, and expects the certificate of the Service.
    yield _object("v1", "Service", SERVICE) | {"spec": {"type": "ExternalName", "externalName": "localhost"}}
    service = {"namespace": NAMESPACE, "name": SERVICE, "port": port}
    for file in sorted((config / "crd" / "bases").glob("*.yaml")):
        crd = yaml.safe_load(file.read_text(encoding="utf-8"))
        if crd["spec"]["names"]["plural"] in CONVERTED:
            client = {"service": service | {"path": "/convert"}}
            webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
            crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
        yield crd
    text = (config / "webhook" / "manifests.yaml").read_text(encoding="utf-8")
    for hooks in filter(None, yaml.safe_load_all(text)):
        hooks["metadata"]["name"] = f"kueue-{hooks['metadata']['name']}"
        hooks["webhooks"] = [hook for hook in hooks["webhooks"] if _is_asked(hook)]
        for hook in hooks["webhooks"]:
            hook["clientConfig"]["service"] |= service
        yield hooks


def _object(api_version: str, kind: str, name: str) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}}


def _is_asked(hook: Json) -> bool:
    return all(GROUPS.issuperset(rule["apiGroups"]) for rule in hook["rules"])


def _mount(cluster: Cluster, certificates: Path) -> None:
    """What a kubelet does for its pod: the Secret's keys as files, as soon as it has any."""
    secret = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")
    for name, content in (secret.get("data") or {}).items():
        file, new = certificates / name, base64.b64decode(content)
        if not file.exists() or file.read_bytes() != new:
            file.write_bytes(new)


def _module_folder(say: Say) -> Path:
    """Where Go keeps the module's files."""
    go_mod = (FOLDER / "go.mod").read_text(encoding="utf-8")
    go, environment = go_program(needed_version(go_mod), cache_folder(os.environ), say)
    answer = subprocess.run(
        [go, "mod", "download", "-json", f"{MODULE}@{version()}"],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(answer.stdout or "{}")
    if "Dir" not in found:
        raise SandboxError(f"{MODULE} {version()} can't be had: {found.get('Error') or answer.stderr}")
    return Path(found["Dir"])


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except (URLError, OSError):
        return False
