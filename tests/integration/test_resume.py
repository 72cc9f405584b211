"""A trainer that is lost goes on where it was: nothing is asked twice but what was in flight."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY
from domaintraining.api.run import Run
from domaintraining.trainer.main import SUCCESS
from tests.integration.attempts import (
    ROWS,
    Ended,
    Mounts,
    Revisions,
    SimulatedApi,
    attempt_here,
    make_run,
    trainer_process,
)
from tests.integration.watched_ollama import SLOTS, WatchedOllama
from tests.sandbox.simulated_ollama.faults import Faults

KILLS_BY_CALLS = 17
SEED = 20
FAST = 0.002
"""Real seconds for a model second: enough for calls to be in flight at all times."""


@pytest.fixture
def server() -> Iterator[WatchedOllama]:
    """A simulated server with four slots."""
    with WatchedOllama(FAST) as running:
        yield running


@pytest.fixture
def api() -> Iterator[SimulatedApi]:
    """A stand-in for the API server."""
    with SimulatedApi() as running:
        yield running


@pytest.fixture
def whole(server: WatchedOllama, tmp_path: Path) -> tuple[Ended, Mounts]:
    """An attempt that nothing disturbed, and its folders."""
    return through(server, Mounts(tmp_path / "whole"))


def through(server: WatchedOllama, mounts: Mounts, **changes: Any) -> tuple[Ended, Mounts]:
    """An attempt from beginning to end."""
    ended = attempt_here(mounts, make_run(server.url, **changes))
    assert ended.code == SUCCESS
    return ended, mounts


def kill_points(calls: int) -> list[int]:
    """Numbers of calls to kill at: one at random in each equal part of the run."""
    draw, part = random.Random(SEED), calls / KILLS_BY_CALLS
    return [1 + int(part * number + draw.random() * part) for number in range(KILLS_BY_CALLS)]


def killed(
    server: WatchedOllama, api: SimulatedApi, mounts: Mounts, run: Run, points: Sequence[int | str]
) -> list[int]:
    """Kill an attempt at each of some points, one after the other; how many calls each of them lost.

    Args:
        server: counts the calls.
        api: where the attempts report.
        mounts: their folders.
        run: the run.
        points: numbers of calls, from 1, but for those that were lost; or a key that is about to be reported.
    """
    began, kept, lost = server.asked, len(mounts.kept()), list[int]()
    for point in points:
        asked = server.asked
        with trainer_process(mounts, run, api) as trainer:
            if isinstance(point, str):
                api.orders[point] = trainer.kill
            else:
                server.at(max(1, began + point + sum(lost) - asked), trainer.kill)
            assert trainer.wait() == -signal.SIGKILL
        server.settle()
        answered, kept = len(mounts.kept()) - kept, len(mounts.kept())
        lost.append(server.asked - asked - answered)
    return lost


def test_killed_at_twenty_points_the_run_repeats_only_calls_in_flight_and_ends_the_same(
    whole: tuple[Ended, Mounts], server: WatchedOllama, api: SimulatedApi, tmp_path: Path
) -> None:
    """`kill -9` from before the first call to the result's own write: each loses at most what the slots hold.

    The result of the attempt that ends is that of the run which nothing disturbed, byte for byte.
    """
    mounts, run = Mounts(tmp_path / "killed"), make_run(server.url)
    early, *late = kill_points(server.asked)
    lost = killed(server, api, mounts, run, [REPORT_KEY, early, BASELINE_KEY, *late, RESULT_KEY])
    assert len(lost) == 20
    assert 0 <= min(lost) <= max(lost) <= SLOTS
    assert RESULT_KEY not in api.data
    asked = server.asked
    with trainer_process(mounts, run, api) as trainer:
        assert trainer.wait() == SUCCESS
    assert server.asked == asked, "all was answered when the result was about to be written"
    assert Revisions.of(api.data) == whole[0].revisions
    assert sorted(mounts.kept()) == sorted(whole[1].kept()), "no call but those of the other run, each once"


def test_a_finished_run_is_replayed_without_a_call(
    whole: tuple[Ended, Mounts], server: WatchedOllama, api: SimulatedApi
) -> None:
    """Also by another process: the same bytes, and no search is made."""
    ended, mounts = whole
    asked, kept = server.asked, mounts.kept()
    again, _ = through(server, mounts)
    assert again.revisions == ended.revisions
    assert not again.scores("entities")
    with trainer_process(mounts, make_run(server.url), api) as trainer:
        assert trainer.wait() == SUCCESS
    assert Revisions.of(api.data) == ended.revisions
    assert server.asked == asked
    assert mounts.kept() == kept


def test_a_search_is_made_again_from_its_answers_without_a_call(
    whole: tuple[Ended, Mounts], server: WatchedOllama, api: SimulatedApi
) -> None:
    """Where its end is not in the journal: the same scores, the same bytes.

    Also by another process, and where it may have another number of calls in flight.
    """
    ended, mounts = whole
    asked, kept = server.asked, mounts.kept()
    mounts.forget_ends()
    again, _ = through(server, mounts, maxConcurrentRequests=16)
    assert again.revisions == ended.revisions
    assert again.scores("entities") == ended.scores("entities")
    assert ended.scores("entities")
    mounts.forget_ends()
    with trainer_process(mounts, make_run(server.url), api) as trainer:
        assert trainer.wait() == SUCCESS
    assert Revisions.of(api.data) == ended.revisions
    assert server.asked == asked
    assert mounts.kept() == kept


def test_without_a_known_number_of_slots_a_replay_asks_nothing_either(
    server: WatchedOllama, tmp_path: Path
) -> None:
    """How many calls the server serves is measured when the first call has to be sent."""
    first, mounts = through(server, Mounts(tmp_path), maxConcurrentRequests=None)
    asked = server.asked
    mounts.forget_ends()
    again, _ = through(server, mounts, maxConcurrentRequests=None)
    assert server.asked == asked
    assert again.revisions == first.revisions


def test_a_larger_mode_asks_only_what_the_smaller_one_has_not(server: WatchedOllama, tmp_path: Path) -> None:
    """Light, then medium, on one volume: each call once in all, and medium finds what it finds alone."""
    alone, mounts = through(server, Mounts(tmp_path / "alone"), auto="medium")
    needed, volume = set(mounts.kept()), tmp_path / "volume"
    _, light = through(server, Mounts(tmp_path / "light", journal=volume))
    known, asked = set(light.kept()), server.asked
    medium, _ = through(server, Mounts(tmp_path / "medium", journal=volume), auto="medium")
    assert needed & known
    assert server.asked - asked == len(needed - known)
    assert medium.revisions == alone.revisions


def test_another_model_shares_no_answer(whole: tuple[Ended, Mounts], server: WatchedOllama) -> None:
    """The digest decides, not the name: a model that was pulled anew is asked everything."""
    ended, mounts = whole
    asked = server.asked
    model = make_run(server.url).model.model_copy(update={"digest": "sha256:another"})
    through(server, mounts, model=model.model_dump(by_alias=True))
    assert server.asked == 2 * asked
    assert len(set(mounts.kept())) == 2 * asked
    again, _ = through(server, mounts)
    assert server.asked == 2 * asked
    assert again.revisions == ended.revisions


def test_answers_that_differ_between_equal_calls_change_nothing_in_a_run_that_goes_on(
    server: WatchedOllama, api: SimulatedApi, tmp_path: Path
) -> None:
    """The first answer counts for ever: killed, resumed and replayed, a journal gives one result.

    Three of ten rows stand in the data twice.
    """
    rows = [*ROWS, *ROWS[::3]]
    server.go_wrong(Faults(waver_rate=1))
    mounts, run = Mounts(tmp_path / "killed", rows), make_run(server.url)
    lost = killed(server, api, mounts, run, [40, 180, 300, 400])
    assert max(lost) <= SLOTS
    with trainer_process(mounts, run, api) as trainer:
        assert trainer.wait() == SUCCESS
    asked = server.asked
    mounts.forget_ends()
    replayed, _ = through(server, mounts)
    assert server.asked == asked
    assert replayed.revisions == Revisions.of(api.data)
    other, _ = through(server, Mounts(tmp_path / "other", rows))
    assert other.revisions != replayed.revisions, "or the server does not waver"
