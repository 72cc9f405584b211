"""The one seam to the API server: plain JSON objects in and out.

The implementation is in kube.py; memory.py is the fake of tests. Neither is imported here, so that what only
needs the interface stays small.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from domaintraining.controller.objects import (
    CLAIM,
    CONFIG_MAP,
    DOMAIN_TRAINING,
    ENDPOINT_SLICE,
    EVENT,
    JOB,
    NETWORK_POLICY,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
)

__all__ = [
    "CLAIM",
    "CONFIG_MAP",
    "DOMAIN_TRAINING",
    "ENDPOINT_SLICE",
    "EVENT",
    "JOB",
    "NETWORK_POLICY",
    "POD",
    "ROLE",
    "ROLE_BINDING",
    "SERVICE_ACCOUNT",
    "Cluster",
    "ClusterError",
    "JsonObject",
    "Kind",
]

JsonObject = dict[str, Any]


class ClusterError(Exception):
    """The API server refused a request, or gave no answer.

    Args:
        status: HTTP status; 0 where no answer came.
        reason: reason of the API server's Status, such as AlreadyExists; Unavailable without an answer.
        message: its message, after the request's method and path.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message} ({status} {reason})")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def conflict(self) -> bool:
        """Whether the object exists already, is another one (uid), or was changed meanwhile."""
        return self.status == 409

    @property
    def forbidden(self) -> bool:
        """Whether a right is missing, or quota or admission refuse it; the message says which."""
        return self.status == 403

    @property
    def gone(self) -> bool:
        """Whether the object, or the namespace it belongs in, is not there."""
        return self.status in {404, 410}


class Cluster(Protocol):
    """What the controller asks of the API server; every method but post_event raises ClusterError."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """One object; None where there is none."""

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        """All objects with the labels, in one namespace or (None) in all."""

    async def warnings(self, namespace: str, uid: str) -> list[JsonObject]:
        """Events of type Warning about the object with this uid, up to 50 of them."""

    async def apply(self, obj: JsonObject) -> JsonObject:
        """Server-side apply with force: creates the object or sets the fields given; gives the result.

        Fields that an earlier apply set and this one leaves out are removed.
        See https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """

    async def merge(self, obj: JsonObject) -> JsonObject:
        """JSON merge patch of an object that is there: null removes a field, whoever set it.

        See https://www.rfc-editor.org/rfc/rfc7386
        """

    async def create(self, obj: JsonObject) -> JsonObject:
        """Make an object; one of this name is a conflict."""

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Remove an object and, in the background, what it owns; none is fine, another uid a conflict."""

    async def apply_status(self, obj: JsonObject) -> JsonObject:
        """Server-side apply of a DomainTraining's status; obj has apiVersion, kind, metadata and status."""

    async def post_event(self, obj: JsonObject) -> None:
        """Send an event of events.k8s.io/v1; a failure is logged and nothing else."""
