"""Who may train next on which model server: pure decisions from all that waits and all that runs.

The rule, for each server with a free place, until none is left or nobody waits:

1. the namespace with the fewest trainings on that server goes first; one that ended counts for RECENT, so
   that the next place is not again its namespace's while others wait;
2. among those, who waits longest; a run whose model is loaded there counts as if it had come HEAD_START
   earlier, so that runs of one model follow each other and the server swaps models less often;
3. of those who came in the same second, the first by namespace and name.

Those who were passed over, as they did not start when it was their turn, go behind all others, in the order
in which they were passed over.

Nobody else starves: what comes more than HEAD_START after a run overtakes it only while the run's namespace
has more trainings counted on the server than the other one, and each of those ends and is soon forgotten.

A run whose instructions are proposed on another server needs a place on both, and starts when it is its turn
and both have one. Others pass it meanwhile; once it has waited for HEAD_START, a free place of one server is
kept for it until the other has one too.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from domaintraining.controller.workqueue import Key

Uses = Mapping[str, str]
"""The model on each server that a training uses; the server of the trained model comes first."""

HEAD_START: Final = timedelta(minutes=10)
"""How much later a run may have come and still go first because its model is loaded."""
RECENT: Final = timedelta(minutes=5)
"""How long an ended training counts for its namespace, and its model as loaded: as Ollama keeps it.

See https://github.com/ollama/ollama/blob/main/docs/faq.md
"""
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Waiting:
    """A DomainTraining whose next attempt could start."""

    key: Key
    uses: Uses
    since: datetime
    passed: datetime = NEVER
    """When it was passed over, as it did not start when it was its turn."""


@dataclass(frozen=True)
class Running:
    """A Job that has a place, or has just given it back."""

    key: Key
    uses: Uses


@dataclass(frozen=True)
class Place:
    """Where one that waits stands on a server."""

    server: str
    position: int
    """From 1."""
    waiting: int
    """All that wait for the server."""
    running: int
    """Trainings that run there."""
    limit: int
    """How many may run there."""

    @property
    def words(self) -> str:
        """What status tells."""
        there = f"{self.running} of {self.limit} trainings run there"
        return f"{self.position} of {self.waiting} waiting for {self.server} ({there})"


@dataclass(frozen=True)
class Admission:
    """What was decided for all that wait."""

    start: tuple[Key, ...] = ()
    """Whose turn it is."""
    places: Mapping[Key, Place] = field(default_factory=dict)
    """Where each of all stands."""


def admit(
    waiting: Collection[Waiting],
    running: Iterable[Running],
    limit: Callable[[str], int],
    now: datetime,
    ended: Iterable[Running] = (),
) -> Admission:
    """Decide who may start, and in which order the others stand.

    Args:
        waiting: all that wait.
        running: all Jobs that have a place; more than the limit where that was lowered.
        limit: trainings that may run on a server at once.
        now: the time.
        ended: Jobs that ended within RECENT, the last one last.
    """
    servers = {server for one in waiting for server in one.uses}
    load = _Load(running, ended, {server: limit(server) for server in servers})
    before = dict(load.total)
    chosen = _chosen(waiting, load, now)
    starts = {one.key for one in chosen}
    behind = _ordered([one for one in waiting if one.key not in starts], load)
    return Admission(tuple(one.key for one in chosen), _places([*chosen, *behind], before, load.limits))


class _Load:
    """What is on each server, while places are given away."""

    def __init__(
        self, running: Iterable[Running], ended: Iterable[Running], limits: Mapping[str, int]
    ) -> None:
        self.limits = limits
        self.total: Counter[str] = Counter()
        self.whose: Counter[tuple[str, str]] = Counter()
        self._kept: dict[str, set[Key]] = {server: set() for server in limits}
        self._models: dict[str, set[str]] = {}
        for one in running:
            self.take(one)
        last: dict[str, str] = {}
        for one in ended:
            last |= one.uses
            self.whose.update((server, one.key[0]) for server in one.uses)
        for server, model in last.items():
            self._models.setdefault(server, {model})

    def free(self, server: str) -> bool:
        """Whether a server has a place that is not kept for somebody."""
        return self.total[server] + len(self._kept[server]) < self.limits[server]

    def take(self, one: Waiting | Running) -> None:
        """Somebody has its places, and its models are loaded."""
        for server, model in one.uses.items():
            self.total[server] += 1
            self.whose[server, one.key[0]] += 1
            self._models.setdefault(server, set()).add(model)

    def keep(self, one: Waiting) -> None:
        """Nobody else gets the free places of what waits for two; one on each server."""
        for server in one.uses:
            if self.free(server):
                self._kept[server].add(one.key)

    def came(self, one: Waiting) -> datetime:
        """When it came; with the head start of a loaded model."""
        server, model = next(iter(one.uses.items()))
        return one.since - HEAD_START if model in self._models.get(server, ()) else one.since


def _chosen(waiting: Iterable[Waiting], load: _Load, now: datetime) -> list[Waiting]:
    """Whose turn it is; all that they take is counted in the load."""
    left, chosen = list(waiting), []
    while one := _next(left, load, now):
        left.remove(one)
        load.take(one)
        chosen.append(one)
    return chosen


def _next(waiting: list[Waiting], load: _Load, now: datetime) -> Waiting | None:
    """The first in order that has its places; those that could not wait longer keep what is free."""
    able = [one for one in waiting if any(load.free(server) for server in one.uses)]
    for one in _ordered(able, load):
        if all(load.free(server) for server in one.uses):
            return one
        if now - one.since >= HEAD_START:
            load.keep(one)
    return None


def _ordered(waiting: Iterable[Waiting], load: _Load) -> list[Waiting]:
    """In the order in which they go if places become free one by one and nobody ends.

    The n-th of a namespace goes when n - 1 of it have started: it ranks as if so many more ran there.
    """
    started = Counter(load.whose)
    ranked = []
    for passed, came, since, key, one in sorted(
        (one.passed, load.came(one), one.since, one.key, one) for one in waiting
    ):
        fewest = max(started[server, key[0]] for server in one.uses)
        ranked.append((passed, fewest, came, since, key, one))
        for server in one.uses:
            started[server, key[0]] += 1
    return [one for *_, one in sorted(ranked)]


def _places(
    everybody: list[Waiting], running: Mapping[str, int], limits: Mapping[str, int]
) -> dict[Key, Place]:
    """Where each stands: on the server that holds it up, else on that of its model."""
    waiting = Counter(server for one in everybody for server in one.uses)
    passed: Counter[str] = Counter()
    places = {}
    for one in everybody:
        for server in one.uses:
            passed[server] += 1
        full = [server for server in one.uses if running.get(server, 0) >= limits[server]]
        server = (full or list(one.uses))[0]
        there = running.get(server, 0)
        places[one.key] = Place(server, passed[server], waiting[server], there, limits[server])
    return places
