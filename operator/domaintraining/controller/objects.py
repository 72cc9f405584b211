"""The kinds of objects that the controller reads and writes, and where the API server keeps them."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from domaintraining.api.names import GROUP, KIND, PLURAL, VERSION


class Kind(NamedTuple):
    """A kind of object. See https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of an object, or without a name of all in a namespace (None: in all namespaces)."""
        root = "api" if "/" not in self.api_version else "apis"
        parts = [root, *self.api_version.split("/")]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [self.plural, *(part for part in (name, subresource) if part is not None)]
        return "/" + "/".join(quote(part, safe="") for part in parts)


DOMAIN_TRAINING: Final = Kind(f"{GROUP}/{VERSION}", KIND, PLURAL)
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
JOB: Final = Kind("batch/v1", "Job", "jobs")
CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD: Final = Kind("v1", "Pod", "pods")
SERVICE_ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
ROLE: Final = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING: Final = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
NETWORK_POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
EVENT: Final = Kind("events.k8s.io/v1", "Event", "events")

LONGEST_NUMBER: Final = 8
"""Most digits of a run's, an attempt's or a revision's number; status holds up to 1,000,000,000."""

KINDS: Final = {
    (kind.api_version, kind.kind): kind
    for kind in (
        DOMAIN_TRAINING,
        CONFIG_MAP,
        JOB,
        CLAIM,
        POD,
        SERVICE_ACCOUNT,
        ROLE,
        ROLE_BINDING,
        NETWORK_POLICY,
        ENDPOINT_SLICE,
        EVENT,
    )
}


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """The kind of an object with apiVersion and kind.

    Raises:
        KeyError: it is none that the controller works with.
    """
    return KINDS[obj["apiVersion"], obj["kind"]]


def address_of(obj: Mapping[str, Any]) -> tuple[Kind, str, str]:
    """Kind, namespace and name of an object."""
    metadata = obj["metadata"]
    return kind_of(obj), metadata["namespace"], metadata["name"]


def number_of(obj: Mapping[str, Any], label: str) -> int | None:
    """The number that a label gives; None where it gives none, or a larger one than the controller makes."""
    text = str((obj.get("metadata", {}).get("labels") or {}).get(label, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else None


def carries(obj: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether an object has all of the labels."""
    own = obj.get("metadata", {}).get("labels") or {}
    return all(own.get(key) == value for key, value in labels.items())
