"""A model server that fails is waited for: the same result as without, or an end that says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from domaintraining.api.report import RESULT_KEY
from domaintraining.trainer.main import MAY_PASS, SUCCESS
from tests.integration.attempts import (
    Ended,
    FastTime,
    Mounts,
    Revisions,
    SimulatedApi,
    WatchedReport,
    attempt_here,
    make_run,
    trainer_process,
)
from tests.integration.watched_ollama import HANGS, SLOTS, WatchedOllama
from tests.sandbox.simulated_ollama.faults import Faults

MODEL_SCALE = 0.002
"""Real seconds for a model second: enough for calls to be in flight at all times."""
TIMES = 300
"""How much faster than the real one the time of pauses and budgets passes here."""
SILENT_SECONDS = 0.5
"""Real seconds after which a server that shall be silent is taken for dead; others may be slow under load."""
PATIENT_SECONDS = 60.0
STAGES = (0.04, 0.3, 0.6, 0.97)
"""Parts of a run's calls: in the baseline, while demos are collected, in trials, on held-out documents."""


class Undisturbed(NamedTuple):
    """A run that nothing disturbed."""

    server: WatchedOllama
    ended: Ended
    calls: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """What all runs here are compared with."""
    with WatchedOllama(MODEL_SCALE) as server:
        ended = attempt_here(Mounts(tmp_path_factory.mktemp("whole")), make_run(server.url))
        assert ended.code == SUCCESS
        yield Undisturbed(server, ended, server.asked)


@pytest.fixture
def server() -> Iterator[WatchedOllama]:
    """A simulated server with four slots."""
    with WatchedOllama(MODEL_SCALE) as running:
        yield running


def disturbed(
    server: WatchedOllama,
    folder: Path,
    recover: Callable[[], object] = lambda: None,
    patience: float = PATIENT_SECONDS,
) -> tuple[Ended, WatchedReport]:
    """An attempt whose time passes fast; it calls `recover` when its report says that it waits."""
    sink = WatchedReport(recover)
    run = make_run(server.url, outageSeconds=900)
    return attempt_here(Mounts(folder), run, sink, FastTime(TIMES), patience), sink


def assert_same(ended: Ended, undisturbed: Undisturbed) -> None:
    """The same bytes and the score of every trial; nothing waits any more."""
    assert ended.code == SUCCESS
    assert ended.revisions == undisturbed.ended.revisions
    for task in ("entities", "relations"):
        assert ended.scores(task) == undisturbed.ended.scores(task)
        assert len(ended.scores(task)) > 10
    assert ended.report.waiting is None
    assert ended.report.failure is None


@pytest.mark.parametrize(
    "faults",
    [
        Faults(busy_rate=0.2),
        Faults(reset_rate=0.05),
        Faults(cut_rate=0.15),
        Faults(busy_rate=0.2, reset_rate=0.05, cut_rate=0.05),
    ],
    ids=["503", "resets", "cut", "all"],
)
def test_calls_that_fail_now_and_then_change_nothing(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path, faults: Faults
) -> None:
    """Each is tried again until it is answered; the journal holds one answer to each call."""
    server.go_wrong(faults)
    ended, _ = disturbed(server, tmp_path)
    assert_same(ended, undisturbed)
    assert server.asked > undisturbed.calls
    assert len(Mounts(tmp_path).kept()) == undisturbed.calls


def test_restarts_of_the_server_change_nothing(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path
) -> None:
    """Two, each in the middle of calls: these are made again, and nothing else is."""
    for stage in STAGES[1:3]:
        server.at(int(undisturbed.calls * stage), server.go_away)
    ended, sink = disturbed(server, tmp_path, server.come_back)
    assert_same(ended, undisturbed)
    assert len(sink.waits) == 2
    assert undisturbed.calls < server.asked <= undisturbed.calls + 2 * SLOTS


def test_ten_minutes_without_a_server_change_nothing(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path
) -> None:
    """As long as the budget has more: the run waits, says so all the while, and goes on."""
    server.at(undisturbed.calls // 2, partial(server.go_away, 600 / TIMES))
    ended, sink = disturbed(server, tmp_path)
    assert_same(ended, undisturbed)
    (told,) = sink.waits
    assert told.startswith("ModelServerUnavailable: http://127.0.0.1")
    assert undisturbed.calls < server.asked <= undisturbed.calls + SLOTS


def test_all_of_it_in_one_run_changes_nothing(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path
) -> None:
    """20 % 503, 5 % resets, two restarts and ten minutes away; each call is kept once."""
    server.usual = Faults(busy_rate=0.2, reset_rate=0.05)
    server.go_wrong(server.usual)
    for stage, seconds in ((0.2, 20), (0.5, 40), (0.8, 600)):
        server.at(int(undisturbed.calls * stage), partial(server.go_away, seconds / TIMES))
    ended, sink = disturbed(server, tmp_path)
    assert_same(ended, undisturbed)
    assert {told.partition(":")[0] for told in sink.waits} == {"ModelServerUnavailable"}
    assert len(Mounts(tmp_path).kept()) == undisturbed.calls


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (kind, stage)
        for number, kind in enumerate(("silent", "loading", "removed", "cut", "gone"))
        for stage in STAGES[number % 2 :: 2]
    ],
)
def test_an_outage_is_told_while_it_lasts_and_changes_nothing(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path, kind: str, stage: float
) -> None:
    """A call that is never answered, a model that is being loaded or gone, replies broken off, no server."""
    begins: dict[str, Callable[[], object]] = {
        "silent": lambda: server.go_wrong(HANGS),
        "loading": lambda: server.go_wrong(Faults(busy_rate=1)),
        "removed": server.lose_model,
        "cut": lambda: server.go_wrong(Faults(cut_rate=1)),
        "gone": server.go_away,
    }
    ends: dict[str, Callable[[], object]] = {"removed": server.regain_model, "gone": server.come_back}
    server.at(int(undisturbed.calls * stage), begins[kind])
    patience = SILENT_SECONDS if kind == "silent" else PATIENT_SECONDS
    ended, sink = disturbed(server, tmp_path, ends.get(kind, lambda: server.go_wrong(Faults())), patience)
    assert_same(ended, undisturbed)
    assert len(sink.waits) == 1 or kind == "silent", "calls that hang are found out one by one"
    assert {told.startswith(f"ModelServerUnavailable: {server.url}/api/chat: ") for told in sink.waits} == {
        True
    }


@pytest.mark.parametrize("stage", STAGES)
def test_past_the_budget_the_run_ends_with_the_reason_and_goes_on_later(
    undisturbed: Undisturbed, server: WatchedOllama, tmp_path: Path, stage: float
) -> None:
    """Exit code 75, the reason in report and container message, no score; then only calls in flight again."""
    mounts = Mounts(tmp_path)
    run = make_run(server.url, outageSeconds=1)
    server.at(int(undisturbed.calls * stage), server.go_away)
    with SimulatedApi() as api:
        with trainer_process(mounts, run, api) as trainer:
            assert trainer.wait() == MAY_PASS
        failure = api.report.failure
        assert failure
        assert failure.reason == "ModelServerUnavailable"
        assert "without an answer" in failure.message
        assert mounts.words.read_text(encoding="utf-8").startswith("ModelServerUnavailable: ")
        assert RESULT_KEY not in api.data
        server.come_back()
        with trainer_process(mounts, run, api) as trainer:
            assert trainer.wait() == SUCCESS
        assert Revisions.of(api.data) == undisturbed.ended.revisions
        assert api.report.failure is None
    assert undisturbed.calls < server.asked <= undisturbed.calls + SLOTS
