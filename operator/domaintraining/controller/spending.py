"""Budgets that ended a run: what its manifest says, and whether a changed budget goes on from there. Pure."""

from typing import Any

from pydantic import ValidationError

from domaintraining.api.budget import Limits, Spent
from domaintraining.api.report import Report
from domaintraining.api.run import Run
from domaintraining.api.status import wire


def spending(run: Run, report: Report) -> dict[str, Any]:
    """What a manifest says of a run's budget; nothing where the search came to its own end."""
    if not report.budget_exhausted:
        return {"budgetExhausted": False}
    spent = report.spent or run.spent
    return {"budgetExhausted": True, "budget": wire(run.budget), "spent": wire(spent)}


def spent_by(manifest: dict[str, Any]) -> Spent | None:
    """What a run that its budget ended had cost; None: its budget did not end it."""
    if manifest.get("budgetExhausted") is not True:
        return None
    try:
        return Spent.model_validate(manifest.get("spent"))
    except ValidationError:
        return None


def goes_further(manifest: dict[str, Any], now: Limits) -> bool:
    """Whether a budget is larger than the one that ended a run: one limit at least has grown, and each
    leaves something beyond what the run has cost.

    Args:
        manifest: of the run's revision.
        now: the budget of today.
    """
    spent = spent_by(manifest)
    if spent is None:
        return False
    try:
        then = Limits.model_validate(manifest.get("budget"))
    except ValidationError:
        return False
    pairs = ((then.seconds, now.seconds, spent.seconds), (then.calls, now.calls, spent.calls))
    left = all(limit is None or limit > used for _, limit, used in pairs)
    grown = any(old is not None and (limit is None or limit > old) for old, limit, _ in pairs)
    return left and grown
