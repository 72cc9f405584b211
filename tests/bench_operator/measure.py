"""The measurements: at rest, a crowd of new resources, trainings that run, a quiet minute."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from tests.bench_operator.stage import Asked, Stage, by_kind
from tests.integration.waiting import wait_for

QUIET_SECONDS = 5.0
"""So long nothing is asked of the API server when the controller is done."""


@dataclass(frozen=True)
class Crowd:
    """What a crowd of new resources cost."""

    resources: int
    latencies: list[float]
    """Seconds from each resource being there to the request that makes its Job, sorted."""
    requests: Counter[str]
    """Of the controller, by verb and resource."""
    processor: float
    """Seconds of processor."""

    def percentile(self, part: float) -> float:
        """Seconds in which so large a part of all Jobs was made; part from 0 to 1."""
        return self.latencies[min(len(self.latencies) - 1, int(part * len(self.latencies)))]


@dataclass(frozen=True)
class Running:
    """What trainings cost while they run."""

    trainings: int
    seconds: float
    writes: int
    """Of status."""
    lag: float
    """Seconds from the last report to the last status that shows it."""


def crowd(stage: Stage, count: int) -> Crowd:
    """Makes so many resources and waits until each has its Job and the controller is quiet."""
    before, used = len(stage.asked()), stage.seconds_of_processor()
    made = stage.create(count)
    wait_for("a Job for each", lambda: len(stage.jobs()) >= count, seconds=600)
    quiet(stage)
    asked = stage.asked()[before:]
    started = {one.name.removesuffix("-r1-a1"): one.at for one in asked if _starts(one)}
    latencies = sorted(_seconds(made[name], at) for name, at in started.items() if name in made)
    return Crowd(count, latencies, by_kind(asked), stage.seconds_of_processor() - used)


def trainings(stage: Stage, count: int, seconds: float) -> Running:
    """Has so many trainings report once a second, for so long."""
    names = [f"t{number:04}" for number in range(count)]
    stage.run_pods()
    quiet(stage)
    before = len(stage.asked())
    began = time.monotonic()
    percent = 0
    while time.monotonic() - began < seconds:
        percent = min(percent + 1, 94)
        for name in names:
            stage.report(name, percent)
        time.sleep(max(0.0, percent - (time.monotonic() - began)))
    reported = time.monotonic()
    wait_for("the last progress", lambda: _all_show(stage, names, percent))
    lag = time.monotonic() - reported
    writes = by_kind(stage.asked()[before:])["patch domaintrainings/status"]
    return Running(count, reported - began, writes, lag)


def quiet(stage: Stage) -> None:
    """Returns when the controller has asked nothing about objects for five seconds."""
    seen, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        now = len([one for one in stage.asked() if not one.resource.startswith("/")])
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.3)
        return time.monotonic() - since >= QUIET_SECONDS

    wait_for("quiet", still, seconds=300)


def _all_show(stage: Stage, names: list[str], percent: int) -> bool:
    shown = stage.percents()
    return all(shown[name] >= percent for name in names)


def _starts(one: Asked) -> bool:
    return (one.verb, one.resource) == ("create", "jobs")


def _seconds(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
