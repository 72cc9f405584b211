"""What is new in a status: worth an event, or no more than progress. Pure."""

from typing import Any, NamedTuple

from domaintraining.api.drift import DriftStatus
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


class DriftNews(NamedTuple):
    """What was found of the data or of the model, as an event tells it."""

    type: str
    status: str
    reason: str
    message: str


def drift_news(before: DriftStatus | None, after: DriftStatus | None) -> list[DriftNews]:
    """Findings to tell of: all but that nothing changed, and that a check goes on."""
    if after is None:
        return []
    old = before or DriftStatus()
    sides = (("Data", old.data, after.data), ("Model", old.model, after.model))
    return [
        DriftNews(f"{kind}Drift", "True", now.finding, after.message)
        for kind, was, now in sides
        if now is not None and now != was and now.finding not in {"Unchanged", "Checking"}
    ]


def only_progress(before: DomainTrainingStatus, after: DomainTrainingStatus) -> bool:
    """Whether two statuses differ in progress, position and messages alone."""
    still: dict[str, Any] = {"progress": None, "summary": None, "conditions": []}
    said = [[(one.type, one.status, one.reason) for one in status.conditions] for status in (before, after)]
    return said[0] == said[1] and before.model_copy(update=still) == after.model_copy(update=still)
