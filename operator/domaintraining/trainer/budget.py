"""What a run may still cost. At its end the search goes on with what is answered, and asks nothing more."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from domaintraining.api.budget import Limits, Spent
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import Answering


class BudgetSpent(BaseException):
    """A call would go beyond the budget. Not an Exception: DSPy catches those and scores 0."""


class Budget:
    """The budget of a run and what it has cost, over all attempts.

    Args:
        limits: what it may cost; an absent limit is none.
        earlier: what earlier attempts cost.
        answered: calls that the model server answered in this attempt.
        clock: seconds that never fall.
    """

    def __init__(
        self,
        limits: Limits,
        earlier: Spent,
        answered: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._earlier = limits, earlier
        self._answered, self._clock = answered, clock
        self._began = clock()

    def spent(self) -> Spent:
        """What the run has cost so far."""
        seconds = self._earlier.seconds + self._clock() - self._began
        return Spent(seconds=round(seconds, 1), calls=self._earlier.calls + self._answered())

    def exhausted(self, in_flight: int = 0) -> bool:
        """Whether a further call would go beyond it.

        Args:
            in_flight: calls that were sent and are not answered yet.
        """
        spent, limits = self.spent(), self._limits
        calls = limits.calls is not None and spent.calls + in_flight >= limits.calls
        return calls or (limits.seconds is not None and spent.seconds >= limits.seconds)


class Gate:
    """The calls of a search, until it is over: DSPy leaves threads behind that would go on asking.

    Args:
        calls: answers them.
    """

    def __init__(self, calls: Answering) -> None:
        self._calls = calls
        self._open = True

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """The answer to one body. Raises BudgetSpent once the search is over."""
        if not self._open:
            raise BudgetSpent
        return self._calls.chat(body, rollout)

    def close(self) -> None:
        """The search is over."""
        self._open = False
