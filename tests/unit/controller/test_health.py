"""The probes tell a controller that stands still from one that waits for others; with a clock given in."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domaintraining.controller.health import HOPELESS, LATE, STUCK, Vitals, alive, faults, ready, words
from domaintraining.controller.workqueue import QueueState

JOBS = "/apis/batch/v1/jobs"
PODS = "/api/v1/pods"
NOW = 10_000.0
WELL = Vitals(
    started=0.0,
    watches={JOBS: NOW - 20, PODS: NOW - 60},
    queue=QueueState(2, NOW - 1, NOW - 2, ("team", "docs"), NOW - 0.5),
    answering=100.0,
    resynced=NOW - 200,
)


def seen(vitals: Vitals, now: float = NOW) -> tuple[list[str], bool, bool]:
    """Parts that stand still, whether it is ready, whether it is alive."""
    found = faults(vitals, now)
    return [one.part for one in found], ready(found), alive(found)


def test_a_controller_at_work_is_ready_and_alive() -> None:
    """Also one that has nothing to do."""
    assert seen(WELL) == ([], True, True)
    assert seen(replace(WELL, queue=QueueState(moved=5.0))) == ([], True, True)


def test_one_that_starts_is_alive_and_not_ready_before_all_watches_are_connected() -> None:
    """The Deployment counts as available only then."""
    starting = Vitals(started=NOW - 3, watches={JOBS: NOW - 1, PODS: None})
    assert seen(starting) == ([f"watch {PODS}"], False, True)


def test_an_api_server_out_of_reach_is_no_reason_to_start_anew() -> None:
    """However long; its watches are silent meanwhile, and for a while after it is back."""
    away = replace(WELL, answering=None, failing=NOW - 10)
    assert seen(away) == ([], True, True)
    later = NOW + 3600
    away = replace(away, queue=QueueState(moved=NOW), resynced=later)
    parts, is_ready, is_alive = seen(away, later)
    assert parts == ["api server", f"watch {PODS}", f"watch {JOBS}"]
    assert (is_ready, is_alive) == (False, True)
    back = replace(away, answering=later, failing=None)
    assert seen(back, later + 60)[1:] == (False, True)


@pytest.mark.parametrize(
    ("silent", "is_ready", "is_alive"),
    [(149.0, True, True), (151.0, False, True), (HOPELESS - 1, False, True), (HOPELESS, False, False)],
)
def test_a_watch_that_is_silent_while_all_else_is_answered_needs_a_restart(
    silent: float, *, is_ready: bool, is_alive: bool
) -> None:
    """A bookmark comes each minute, and kopf connects again after 70 s without one."""
    quiet = replace(WELL, watches={JOBS: NOW - silent, PODS: NOW})
    assert seen(quiet)[1:] == (is_ready, is_alive)


def test_the_silence_counts_from_when_the_api_server_answers_again() -> None:
    """An outage before it is not held against the watch."""
    quiet = replace(WELL, watches={JOBS: NOW - 5000, PODS: NOW}, answering=NOW - HOPELESS + 1)
    assert seen(quiet) == ([f"watch {JOBS}"], False, True)
    assert seen(replace(quiet, answering=NOW - HOPELESS)) == ([f"watch {JOBS}"], False, False)


def test_a_watch_that_never_connects_needs_a_restart() -> None:
    """Counted from the start."""
    never = replace(WELL, started=NOW - HOPELESS, watches={JOBS: None}, answering=NOW - HOPELESS)
    assert seen(never) == ([f"watch {JOBS}"], False, False)


def test_a_watch_that_the_api_server_forbids_needs_no_restart() -> None:
    """A namespace that is gone took the operator's rights along; the probes tell which."""
    never = replace(WELL, watches={JOBS: None, PODS: NOW}, refused=frozenset({JOBS}))
    assert seen(never) == ([f"watch {JOBS}"], False, True)
    assert "WATCH_NAMESPACES" in faults(never, NOW)[0].remedy


def test_a_look_that_does_not_end_needs_a_restart() -> None:
    """It was to be given up long before; the resource is named."""
    stuck = replace(WELL, queue=QueueState(0, None, NOW - STUCK, ("team", "docs"), NOW - 1))
    assert seen(stuck) == (["queue"], False, False)
    assert "team/docs" in faults(stuck, NOW)[0].what
    assert seen(replace(WELL, queue=stuck.queue._replace(busy=NOW - STUCK + 1)))[2]


def test_a_queue_that_is_overloaded_needs_no_restart() -> None:
    """What waits would only wait again; one in which nothing ends does."""
    busy = QueueState(5000, NOW - LATE, NOW - 3, ("team", "docs"), NOW - 1)
    assert seen(replace(WELL, queue=busy)) == (["queue"], False, True)
    still = busy._replace(waiting=NOW - STUCK, moved=NOW - STUCK)
    assert seen(replace(WELL, queue=still)) == (["queue", "queue"], False, False)
    assert not seen(replace(WELL, queue=still._replace(moved=None)))[2]


def test_a_resync_that_does_not_end_needs_a_restart() -> None:
    """The first one counts from the start."""
    assert seen(replace(WELL, resynced=NOW - 1199))[2]
    assert seen(replace(WELL, resynced=NOW - 1200)) == (["resync"], False, False)
    assert seen(replace(WELL, resynced=None, started=NOW - 100))[2]
    assert not seen(replace(WELL, resynced=None))[2]


def test_a_resync_that_the_api_server_alone_holds_up_needs_no_restart() -> None:
    """Its time counts from when everything is answered again."""
    away = replace(WELL, resynced=NOW - 5000, answering=None, failing=NOW - 4000)
    parts, is_ready, is_alive = seen(away)
    assert (parts, is_ready, is_alive) == (["api server", "resync"], False, True)
    back = replace(away, answering=NOW - 1199, failing=None)
    assert seen(back) == (["resync"], False, True)
    assert seen(replace(back, answering=NOW - 1200)) == (["resync"], False, False)


def test_the_answer_says_which_part_since_when_and_what_to_do() -> None:
    """A line for each."""
    wall = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = faults(replace(WELL, answering=None, failing=NOW - 65), NOW)
    assert words(found, NOW, wall) == (
        "api server: no answer, or none but 5xx, since 2026-01-02T03:03:00Z (65 s): look at the API server "
        "and the pod's way to it; the controller goes on by itself\n"
    )
    assert words([], NOW, wall) == "ok\n"
