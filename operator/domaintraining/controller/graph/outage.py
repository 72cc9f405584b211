"""A graph that does not answer or refuses its user: when it is tried again."""

import random
from typing import Final

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
FIRST_REFUSED_PAUSE: Final = 60.0
"""Neo4j locks a user out for a while after three wrong passwords."""
LONGEST_REFUSED_PAUSE: Final = 300.0


class Outage:
    """The error that stands between the controller and its graph, one for all resources."""

    def __init__(self) -> None:
        self.error: DomainTrainingError | None = None
        """The last one; None: the graph answers, as far as is known."""
        self._pause = 0.0
        self._until = float("-inf")

    def left(self, now: float) -> float:
        """Seconds for which nothing is to be asked."""
        return max(0.0, self._until - now)

    def begin(self, error: DomainTrainingError, now: float) -> bool:
        """Keep off for a while, each time for longer; gives whether the error is news."""
        refused = error.reason is Reason.GRAPH_REFUSED
        first, longest = FIRST_PAUSE, LONGEST_PAUSE
        if refused:
            first, longest = FIRST_REFUSED_PAUSE, LONGEST_REFUSED_PAUSE
        fresh = self.error is None or self.error.reason is not error.reason
        self._pause = first if fresh else min(2 * self._pause, longest)
        # jitter spreads the controllers of several clusters, it protects nothing
        self._until = now + self._pause * random.uniform(0.9, 1.1)  # noqa: S311
        self.error = error
        return fresh

    def end(self) -> None:
        """The graph has answered."""
        self.error = None
