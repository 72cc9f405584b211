"""The claim of the journal's volume: whether it can be used, and making it."""

from domaintraining.api.names import LABEL_NAME, journal_name
from domaintraining.api.reasons import Reason
from domaintraining.controller.cluster import CLAIM, Cluster, ClusterError
from domaintraining.controller.diagnose import failure_of_creation
from domaintraining.controller.journal import FIELD, journal_of
from domaintraining.controller.manifests import build_claim
from domaintraining.controller.observed import Object, Resource
from domaintraining.errors import DomainTrainingError


async def check_journal(cluster: Cluster, resource: Resource) -> None:
    """Whether the claim can be used: the one that spec names, or the one that is made where there is none.

    Raises:
        DomainTrainingError: it does not exist (JournalNotFound), is being deleted (JournalBusy), or belongs
            to somebody else (NameConflict).
    """
    claim, named = journal_of(resource).claim, resource.spec.job.journal.claim_name
    if not claim:
        return
    found = await cluster.get(CLAIM, resource.namespace, claim)
    if found is None:
        if named:
            message = f"{FIELD}.claimName: PersistentVolumeClaim {claim} does not exist"
            raise DomainTrainingError(Reason.JOURNAL_NOT_FOUND, message)
        return
    if found["metadata"].get("deletionTimestamp"):
        message = f"{FIELD}: PersistentVolumeClaim {claim} is being deleted"
        raise DomainTrainingError(Reason.JOURNAL_BUSY, message)
    if not named and not _made_for(found, resource):
        message = f"PersistentVolumeClaim {claim} exists and is not of this resource"
        raise DomainTrainingError(Reason.NAME_CONFLICT, message)


async def make_claim(cluster: Cluster, resource: Resource) -> None:
    """Make the claim `<name>-journal` once; one that is there stays as it is.

    Raises:
        DomainTrainingError: the API server refuses it.
    """
    wanted = resource.spec.job.journal
    if not wanted.storage_class_name:
        return
    name = journal_name(resource.name)
    if await cluster.get(CLAIM, resource.namespace, name) is not None:
        return
    try:
        await cluster.create(build_claim(resource, name))
    except ClusterError as error:
        if not error.conflict:
            raise failure_of_creation(error.status, str(error)) from error


def _made_for(claim: Object, resource: Resource) -> bool:
    return (claim["metadata"].get("labels") or {}).get(LABEL_NAME) == resource.name
