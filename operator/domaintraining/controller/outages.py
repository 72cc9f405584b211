"""Model servers that did not answer a moment ago: who waits anyway does not ask them again."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from domaintraining.errors import DomainTrainingError

TOLD_FOR: Final = timedelta(seconds=10)
"""How long an error is told to the others without a request."""


class Outages:
    """What was heard of servers that are down.

    Args:
        now: the clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._errors: dict[frozenset[str], tuple[datetime, DomainTrainingError]] = {}

    def check(self, servers: Iterable[str]) -> None:
        """Do nothing where nothing is known against servers that a training uses.

        Raises:
            DomainTrainingError: with which they failed a moment ago.
        """
        since, error = self._errors.get(frozenset(servers), (None, None))
        if since is not None and error is not None and abs(self._now() - since) < TOLD_FOR:
            raise error

    def learn(self, servers: Iterable[str], error: DomainTrainingError) -> None:
        """Keep what came of a request, unless it is what `check` told; forget what is old."""
        now, key = self._now(), frozenset(servers)
        self._errors = {one: told for one, told in self._errors.items() if abs(now - told[0]) < TOLD_FOR}
        self._errors.setdefault(key, (now, error))
