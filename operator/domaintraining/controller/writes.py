"""Writing what is the controller's own, and what stands around a trainer, be it a run's or a check's."""

from domaintraining.api.names import LABEL_NAME
from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.controller import manifests
from domaintraining.controller.claims import make_claim
from domaintraining.controller.cluster import JOB, Cluster, ClusterError
from domaintraining.controller.diagnose import failure_of_creation
from domaintraining.controller.objects import kind_of
from domaintraining.controller.observed import Object, Resource
from domaintraining.controller.parts import parts_of
from domaintraining.controller.removal import is_ours, refers_to_ours
from domaintraining.errors import DomainTrainingError


async def put(cluster: Cluster, body: Object) -> None:
    """Apply an object that is ours or not there yet.

    Raises:
        DomainTrainingError: it belongs to somebody else (NameConflict), or the API server refuses it.
    """
    metadata = body["metadata"]
    found = await cluster.get(kind_of(body), metadata["namespace"], metadata["name"])
    if found is not None and not is_ours(found, metadata["labels"][LABEL_NAME]):
        raise DomainTrainingError(
            Reason.NAME_CONFLICT, f"{body['kind']} {metadata['name']} exists and is not of this resource"
        )
    try:
        await cluster.apply(_taking_over(body, found) if found is not None else body)
    except ClusterError as error:
        raise failure_of_creation(error.status, str(error)) from error


def _taking_over(body: Object, found: Object) -> Object:
    """An object over one that a resource of an earlier uid may own: two controllers would be refused.

    Its reference loses that word only: what another field manager set, an apply does not remove. The garbage
    collector removes references to what is gone.
    """
    owners = body["metadata"]["ownerReferences"]
    stale = [
        one | {"controller": False, "blockOwnerDeletion": False}
        for one in found["metadata"].get("ownerReferences") or []
        if refers_to_ours(one) and one.get("uid") != owners[0]["uid"]
    ]
    return body | {"metadata": body["metadata"] | {"ownerReferences": [*owners, *stale]}}


async def furnish(cluster: Cluster, resource: Resource, run: Run) -> None:
    """Make what a trainer needs beside what it starts from: inline samples, the journal's claim, its rights.

    Raises:
        DomainTrainingError: an object is refused or belongs to somebody else.
    """
    if resource.spec.dataset.inline is not None:
        await put(cluster, manifests.build_data(resource, run))
    await make_claim(cluster, resource)
    for body in manifests.rights_of(resource, parts_of(run)):
        await put(cluster, body)


async def create_job(cluster: Cluster, resource: Resource, body: Object) -> None:
    """Create a Job once; that it is there already is fine where it is ours."""
    try:
        await cluster.create(body)
    except ClusterError as error:
        if not error.conflict:
            raise failure_of_creation(error.status, str(error)) from error
        name = body["metadata"]["name"]
        found = await cluster.get(JOB, resource.namespace, name)
        owners = (found or {}).get("metadata", {}).get("ownerReferences") or []
        owned = any(one.get("uid") == resource.uid for one in owners)
        if found is not None and not (owned and is_ours(found, resource.name)):
            raise DomainTrainingError(
                Reason.NAME_CONFLICT, f"Job {name} exists and is not of this resource"
            ) from error
