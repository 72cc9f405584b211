"""The manifest that installs the operator: `python -m domaintraining install RULES`.

It is valid as it stands; whoever applies it puts an image and a model server into it.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import yaml

from domaintraining import __version__
from domaintraining.api.names import MANAGER
from domaintraining.controller.jobs import RESTRICTED_CONTAINER, RESTRICTED_POD
from domaintraining.controller.observed import Object
from domaintraining.controller.settings import Settings

GENERATED: Final = (
    "# Written by `make generate` from operator/domaintraining/controller/install.py and\n"
    "# charts/domaintraining/files/rules.yaml; edit these instead.\n"
)
NAMESPACE: Final = "domaintraining-system"
IMAGE: Final = f"domaintraining:{__version__}"
RBAC: Final = "rbac.authorization.k8s.io"
LABELS: Final = {"app.kubernetes.io/name": MANAGER}
RESOURCES: Final[Object] = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"memory": "256Mi"},
}
"""It rests at 70 MiB; lists of many resources take more for a moment."""
PROBES: Final[Object] = {
    "readinessProbe": {
        "httpGet": {"path": "/readyz", "port": "probes"},
        "periodSeconds": 3,
        "timeoutSeconds": 3,
    },
    "livenessProbe": {
        "httpGet": {"path": "/healthz", "port": "probes"},
        "periodSeconds": 20,
        "timeoutSeconds": 5,
    },
}
"""Ready: all watches are on and the queue moves. Not alive: only a restart helps."""


def manifest(rules: str) -> str:
    """All objects of the operator but the CRD, as YAML in the order in which they are applied.

    Args:
        rules: the controller's rules of RBAC, a YAML list at the margin; kept with its comments.
    """
    documents = [_text(one) for one in (_namespace(), _account())]
    documents += [_text(_role()) + f"rules:\n{rules}"]
    documents += [_text(one) for one in (_binding(), _deployment())]
    return GENERATED + "---\n".join(documents)


def main(argv: list[str]) -> int:
    """Prints the manifest, or writes it to a file."""
    parser = argparse.ArgumentParser(prog="domaintraining install", description="Write the manifest.")
    parser.add_argument("rules", type=Path, metavar="RULES", help="YAML with the rules of its ClusterRole")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (standard output)")
    given = parser.parse_args(argv)
    text = manifest(given.rules.read_text(encoding="utf-8"))
    if given.output is None:
        sys.stdout.write(text)
    else:
        given.output.write_text(text, encoding="utf-8")
    return 0


def _text(document: Object) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _namespace() -> Object:
    """Pods there are held to what the controller's own pod keeps."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _inside()}


def _role() -> Object:
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": MANAGER}}


def _binding() -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": MANAGER},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": MANAGER},
        "subjects": [{"kind": "ServiceAccount", "name": MANAGER, "namespace": NAMESPACE}],
    }


def _deployment() -> Object:
    pod = {
        "serviceAccountName": MANAGER,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "containers": [_container()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _inside(),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # two at once would be two writers
            "selector": {"matchLabels": dict(LABELS)},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": pod},
        },
    }


def _container() -> Object:
    """One image for both roles. No writable folder: the controller writes no file."""
    variables = {"TRAINER_IMAGE": IMAGE, "OLLAMA_BASE_URL": Settings.ollama_base_url}
    return {
        "name": "controller",
        "image": IMAGE,
        "args": ["controller"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "probes", "containerPort": Settings.health_port}],
        **PROBES,
        "resources": RESOURCES,
        "securityContext": RESTRICTED_CONTAINER,
    }


def _inside() -> Object:
    return {"name": MANAGER, "namespace": NAMESPACE}
