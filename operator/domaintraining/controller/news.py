"""What is new in a status: worth an event, or no more than progress. Pure."""

from typing import Any

from domaintraining.api.reasons import Reason
from domaintraining.api.status import Condition, DomainTrainingStatus


def news(before: list[Condition], after: list[Condition]) -> list[Condition]:
    """Conditions to tell of: Ready and Stalled whose reason changed, and a run that was superseded or
    not made, as there was one like it.

    A later run of a spec whose prompt is served leaves Ready as it is; there, Trained tells of it.
    """
    old = {one.type: one for one in before}
    new = {one.type: one for one in after}
    telling = {"Ready", "Stalled"}
    if all("Ready" in said and said["Ready"].status == "True" for said in (old, new)):
        telling.add("Trained")
    return [
        one
        for one in after
        if (one.type in telling or one.reason in {Reason.SUPERSEDED, Reason.REUSED})
        and (one.type not in old or old[one.type].reason != one.reason)
    ]


def only_progress(before: DomainTrainingStatus, after: DomainTrainingStatus) -> bool:
    """Whether two statuses differ in progress, position and messages alone."""
    still: dict[str, Any] = {"progress": None, "summary": None, "conditions": []}
    said = [[(one.type, one.status, one.reason) for one in status.conditions] for status in (before, after)]
    return said[0] == said[1] and before.model_copy(update=still) == after.model_copy(update=still)
