"""Where the runs of a resource keep the model's answers. Pure."""

from typing import Final

from domaintraining.api.names import journal_name
from domaintraining.api.run import RunJournal
from domaintraining.controller.observed import Resource

FIELD: Final = "spec.job.journal"


def journal_of(resource: Resource) -> RunJournal:
    """Where the runs of a resource keep the model's answers."""
    wanted = resource.spec.job.journal
    claim = wanted.claim_name or (journal_name(resource.name) if wanted.storage_class_name else "")
    return RunJournal(kept=bool(claim), claim=claim)


def journal_words(journal: RunJournal) -> str:
    """The same for people."""
    if journal.kept:
        return f"the model's answers are kept in claim {journal.claim}"
    return (
        "the model's answers live as long as the pod: a lost pod begins anew. "
        f"Set {FIELD}.storageClassName or claimName to keep them"
    )
