"""Calls within a budget."""

from collections.abc import Callable, Mapping
from typing import Any

from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.reply import ChatAnswer


class Limited:
    """The calls of a search, until it is over: DSPy leaves threads behind that would go on asking.

    Args:
        ask: answers a body, for a rollout, within these limits.
        budget: of the run.
    """

    def __init__(
        self, ask: "Callable[[Mapping[str, Any], int | None, Limited], ChatAnswer]", budget: Budget
    ) -> None:
        self._ask, self.budget = ask, budget
        self.open = True

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """The answer to one body, see `Calls`.

        Raises:
            BudgetSpent: the call would go beyond the budget, or the search is over.
        """
        return self._ask(body, rollout, self)
