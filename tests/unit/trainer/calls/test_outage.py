"""An outage is told once, from its first failure to the first answer after it."""

from __future__ import annotations

import pytest

from domaintraining.trainer.calls.outage import LONG_FAILURE_SECONDS, Outage

BUDGET = 600.0


class Told:
    """An outage on a clock of its own, and what it told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.words: list[str] = []
        self.outage = Outage(BUDGET, lambda: self.now, self.words.append, lambda: self.words.append("over"))


@pytest.fixture
def told() -> Told:
    """Nothing failed yet."""
    return Told()


def test_a_call_that_began_before_the_last_answer_is_no_new_outage(told: Told) -> None:
    """Stragglers of one restart, however long each hung, are not told as a second one."""
    for _ in range(3):
        told.outage.failed("refused", 0)
    told.now = 50
    told.outage.answered(1)
    told.now = 60
    for _ in range(3):
        assert not told.outage.failed("hung", LONG_FAILURE_SECONDS)
    assert told.words == ["refused", "over"]
    assert told.outage.waited_seconds == 50


def test_calls_that_fail_after_the_last_answer_are_an_outage_of_their_own(told: Told) -> None:
    """Told again, with a budget that begins anew."""
    told.outage.failed("hung", LONG_FAILURE_SECONDS)
    told.now = 500
    told.outage.answered(1)
    for told.now in (501.0, 502.0, 503.0):
        assert not told.outage.failed("refused", 0.5)
    assert told.words == ["hung", "over", "refused"]
    told.now = 501 + BUDGET
    assert told.outage.failed("refused", 0.5)


def test_an_answer_to_an_older_call_ends_no_outage(told: Told) -> None:
    """A server that goes away may still answer what it had begun: told once, and its time goes on."""
    for told.now in (10.0, 11.0, 12.0):
        told.outage.failed("refused", 0.5)
    told.now = 13
    told.outage.answered(5)
    told.outage.failed("refused", 0.5)
    assert told.words == ["refused"]
    told.now = 20
    told.outage.answered(1)
    assert told.words == ["refused", "over"]
    assert told.outage.waited_seconds == 10
