"""Whether the controller does its work, from when each of its parts last moved. Pure: `now` comes in.

Ready: it hears of changes and works on them. Alive: a restart would not help. What the API server alone or
too much work holds up makes it not ready and leaves it alive: a restart would mend nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from domaintraining.controller.workqueue import LONGEST_RECONCILE, QueueState

UNANSWERED: Final = 30.0
"""Seconds without an answer of the API server after which it counts as out of reach."""
SILENT: Final = 150.0
"""Seconds of silence after which a watch counts as standing still. The API server sends a bookmark a minute,
and kopf connects again after 70 s without one."""
HOPELESS: Final = 300.0
"""Seconds of a watch's silence, while the API server answers everything else, after which to start anew."""
LATE: Final = 300.0
"""Seconds that a resource may wait for a look before the queue counts as overloaded."""
STUCK: Final = LONGEST_RECONCILE + 60.0
"""Seconds after which a look that was to be given up has not been: its task hangs."""
RESYNC_GRACE: Final = 900.0
"""Seconds that one resync may take, beyond its pause."""
NOTHING: Final = QueueState()


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """When each part moved, in seconds of one clock that never falls."""

    started: float
    """When the process began."""
    watches: Mapping[str, float | None] = field(default_factory=dict)
    """When each watch, by its path, was last heard; None: it was never connected."""
    refused: frozenset[str] = frozenset()
    """Those that the API server forbids."""
    queue: QueueState = NOTHING
    """The queue's oldest entries."""
    answering: float | None = None
    """Since when the API server answers every request; None: it does not, or was never asked."""
    failing: float | None = None
    """Since when it answers none."""
    resynced: float | None = None
    """When the last resync ended; None: none did yet."""
    resync_seconds: float = 300.0
    """Pause between two of them."""


@dataclass(frozen=True)
class Fault:
    """A part that stands still."""

    part: str
    """Which: `api server`, `watch PATH`, `queue` or `resync`."""
    since: float
    """Since when, in the clock's seconds."""
    what: str
    """What it does not do."""
    remedy: str
    """What to do about it."""
    restart: bool = False
    """Whether a restart of the process helps."""


def faults(vitals: Vitals, now: float) -> list[Fault]:
    """What stands still; empty: the controller is ready."""
    return [*_api(vitals, now), *_watches(vitals, now), *_queue(vitals, now), *_resync(vitals, now)]


def _api(vitals: Vitals, now: float) -> Iterator[Fault]:
    if vitals.failing is not None and now - vitals.failing >= UNANSWERED:
        yield Fault(
            "api server",
            vitals.failing,
            "no answer, or none but 5xx",
            "look at the API server and the pod's way to it; the controller goes on by itself",
        )


def _watches(vitals: Vitals, now: float) -> Iterator[Fault]:
    for path, heard in sorted(vitals.watches.items()):
        since = vitals.started if heard is None else heard
        if heard is not None and now - heard < SILENT:
            continue
        if path in vitals.refused:
            remedy = "give the operator its rights there, or take the namespace out of WATCH_NAMESPACES"
            yield Fault(f"watch {path}", since, "the API server forbids it", remedy)
            continue
        answered = _answered(vitals, since, now)
        yield Fault(
            f"watch {path}",
            since,
            "not connected yet" if heard is None else "no event and no bookmark",
            "look at the API server and at the operator's rights; the process is started anew where the API "
            f"server answers everything else for {HOPELESS:.0f} s",
            restart=answered >= HOPELESS,
        )


def _answered(vitals: Vitals, since: float, now: float) -> float:
    """For how long of the time since then all was answered: an outage is not held against a part."""
    return now - max(since, vitals.answering) if vitals.answering is not None else 0.0


def _queue(vitals: Vitals, now: float) -> Iterator[Fault]:
    queue = vitals.queue
    if queue.busy is not None and now - queue.busy >= STUCK:
        what = f"one look at {'/'.join(queue.busy_key)} does not end"
        yield Fault(
            "queue", queue.busy, what, "report it with the log; the process is started anew", restart=True
        )
    if queue.waiting is not None and now - queue.waiting >= LATE:
        yield Fault(
            "queue",
            queue.waiting,
            f"{queue.length} resources wait for a look",
            "look in the log for what is slow: the API server, or model servers that do not answer",
        )
        moved = queue.moved if queue.moved is not None else vitals.started
        if now - max(moved, queue.waiting) >= STUCK:
            what = "resources wait and no look at any has ended"
            yield Fault(
                "queue", moved, what, "report it with the log; the process is started anew", restart=True
            )


def _resync(vitals: Vitals, now: float) -> Iterator[Fault]:
    last = vitals.started if vitals.resynced is None else vitals.resynced
    longest = vitals.resync_seconds + RESYNC_GRACE
    if now - last >= longest:
        answered = _answered(vitals, last, now)
        remedy = "look at the API server; the process is started anew where it answers everything meanwhile"
        what = "the look at everything has not ended"
        yield Fault("resync", last, what, remedy, restart=answered >= longest)


def ready(found: list[Fault]) -> bool:
    """Whether changes are heard of and worked on."""
    return not found


def alive(found: list[Fault]) -> bool:
    """Whether a restart would not help."""
    return not any(one.restart for one in found)


def words(found: list[Fault], now: float, wall: datetime) -> str:
    """What the probes answer: a line for each fault, or `ok`.

    Args:
        found: the faults.
        now: in the clock's seconds.
        wall: the same moment as a date of UTC.
    """
    lines = [f"{one.part}: {one.what}, {_since(wall, now - one.since)}: {one.remedy}" for one in found]
    return "\n".join(lines or ["ok"]) + "\n"


def _since(wall: datetime, age: float) -> str:
    return f"since {wall - timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ} ({age:.0f} s)"
