"""Calls: each answered once, kept, sent when a slot is free."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer
from domaintraining.trainer.calls.slots import CERTAIN, Wish
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import MemoryJournal

WISH = Wish(CERTAIN, 1)


def body(text: str) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "do"}, {"role": "user", "content": text}],
    }


class Held:
    """A script that answers a call only when it is let go."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, asked: Mapping[str, Any]) -> str:
        self.inside.release()
        assert self.go_on.acquire(timeout=5)
        return str(asked["messages"][-1]["content"]).upper()


Make = Callable[..., tuple[Calls, ScriptedServer]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes calls to a scripted server, closed at the end."""
    made: list[Calls] = []

    def calls(script: Callable[[Mapping[str, Any]], str], slots: int = 1) -> tuple[Calls, ScriptedServer]:
        server = ScriptedServer(script)
        made.append(Calls(server, MemoryJournal(), slots))
        return made[-1], server

    yield calls
    for one in made:
        one.close()


def asking(calls: Calls, text: str, rollout: int | None = None) -> tuple[threading.Thread, list[object]]:
    """A thread that asks, and what it gets."""
    got: list[object] = []

    def ask() -> None:
        try:
            got.append(calls.chat(body(text), rollout).content)
        except (GivenUp, DomainTrainingError) as error:
            got.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, got


def test_equal_calls_at_once_are_sent_once(make: Make) -> None:
    """A call that DSPy sends again because it takes long waits for the first one's answer."""
    held = Held()
    calls, server = make(held, 4)
    threads = [asking(calls, "ada") for _ in range(3)]
    assert held.inside.acquire(timeout=5)
    held.go_on.release()
    for thread, _ in threads:
        thread.join(5)
    assert [got for _, got in threads] == [["ADA"]] * 3
    assert calls.chat(body("ada")).content == "ADA"
    assert len(server.bodies) == 1


def test_rollouts_of_a_call_have_answers_of_their_own(make: Make) -> None:
    """DSPy tells equal proposals apart by their rollout."""
    count = iter(range(9))
    calls, _ = make(lambda _: str(next(count)))
    assert [calls.chat(body("a"), rollout).content for rollout in (None, 1, 2, 1)] == ["0", "1", "2", "1"]


def test_never_more_in_flight_than_there_are_slots(make: Make) -> None:
    """Two slots: the third call is sent when one of the others ended."""
    held = Held()
    calls, server = make(held, 2)
    threads = [asking(calls, text)[0] for text in "abc"]
    assert held.inside.acquire(timeout=5)
    assert held.inside.acquire(timeout=5)
    assert len(server.bodies) == 2
    held.go_on.release(3)
    for thread in threads:
        thread.join(5)
    assert len(server.bodies) == 3


def test_slots_are_measured_when_there_is_a_call_to_send() -> None:
    """Not for answers that are there; then before the first call, and never more are in flight."""
    held, measured = Held(), threading.Semaphore(0)

    def two() -> int:
        measured.release()
        return 2

    journal = MemoryJournal()
    server = ScriptedServer(held)
    known = Calls(ScriptedServer(lambda _: "known"), journal, 1)
    known.chat(body("known"))
    known.close()
    calls = Calls(server, journal, two)
    assert calls.chat(body("known")).content == "known"
    assert not measured.acquire(blocking=False)
    threads = [asking(calls, text)[0] for text in "abc"]
    assert held.inside.acquire(timeout=5)
    assert held.inside.acquire(timeout=5)
    assert measured.acquire(blocking=False)
    assert len(server.bodies) == 2
    held.go_on.release(3)
    for thread in threads:
        thread.join(5)
    assert len(server.bodies) == 3
    calls.close()


def test_a_server_that_cannot_be_measured_ends_the_calls() -> None:
    """Whoever waits is told why."""

    def gone() -> int:
        raise GivenUp(DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "no answer"))

    calls = Calls(ScriptedServer(lambda _: ""), MemoryJournal(), gone)
    thread, got = asking(calls, "a")
    thread.join(5)
    assert [type(error) for error in got] == [GivenUp]


def test_all_slots_serve_one_prompt_over_many_texts(make: Make) -> None:
    """An evaluation tells all its calls first: none of the slots stands still while texts wait."""
    held = Held()
    calls, server = make(held, 4)
    texts = [str(number) for number in range(12)]
    calls.expect_all(body(text) for text in texts)
    for _ in range(4):
        assert held.inside.acquire(timeout=5)
    held.go_on.release(12)
    assert [calls.chat(body(text)).content for text in texts] == texts
    assert len(server.bodies) == 12


def test_an_expected_call_is_there_when_it_is_asked(make: Make) -> None:
    """Whoever expects is told the answer, at once where there is one already."""
    told: list[str] = []
    done = threading.Event()

    def then(answer: ChatAnswer) -> None:
        told.append(answer.content)
        done.set()

    calls, server = make(lambda _: "yes")
    calls.expect(body("a"), WISH, then=then)
    assert done.wait(5)
    calls.expect(body("a"), WISH, then=then)
    assert told == ["yes", "yes"]
    assert calls.chat(body("a")).content == "yes"
    assert len(server.bodies) == 1


def test_what_follows_from_an_answer_goes_before_the_slot_turns_elsewhere(make: Make) -> None:
    """A call that an answer makes certain is known before the slot takes its next one."""
    held = Held()
    calls, server = make(held)

    def follow(_: ChatAnswer) -> None:
        calls.expect(body("next"), Wish())

    calls.expect(body("first"), WISH, then=follow)
    assert held.inside.acquire(timeout=5)
    other = {
        "model": "m",
        "messages": [{"role": "system", "content": "else"}, {"role": "user", "content": "x"}],
    }
    calls.expect(other, WISH)
    held.go_on.release()
    assert held.inside.acquire(timeout=5)
    assert server.bodies[1] == body("next")
    held.go_on.release(2)


def test_a_dropped_call_is_not_sent_unless_somebody_waits(make: Make) -> None:
    """What the search turns out not to need costs nothing."""
    held = Held()
    calls, server = make(held)
    first = asking(calls, "first")[0]
    assert held.inside.acquire(timeout=5)
    calls.drop(calls.expect(body("dropped"), WISH))
    waited = calls.expect(body("waited"), WISH)
    second, got = asking(calls, "waited")
    while not calls._open[waited].asked:
        first.join(0.01)
    calls.drop(waited)
    held.go_on.release(2)
    for thread in (first, second):
        thread.join(5)
    assert got == ["WAITED"]
    assert [one["messages"][-1]["content"] for one in server.bodies] == ["first", "waited"]


def test_an_error_is_told_to_all_who_wait_and_never_kept(make: Make) -> None:
    """An outage that ends the run ends all calls of it, none with an answer."""
    gone = DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "gone")

    def fails(_: Mapping[str, Any]) -> str:
        raise GivenUp(gone)

    calls, _ = make(fails)
    for _ in range(2):
        with pytest.raises(GivenUp) as given_up:
            calls.chat(body("a"))
        assert given_up.value.error is gone
    assert calls._journal.find(calls._key(body("a"), None)) is None


def test_an_error_of_this_program_is_told_without_its_words(make: Make) -> None:
    """Nothing of an answer gets into a reason."""

    def breaks(_: Mapping[str, Any]) -> str:
        raise RuntimeError("sample text")

    calls, _ = make(breaks)
    with pytest.raises(DomainTrainingError) as error:
        calls.chat(body("a"))
    assert error.value.reason is Reason.TRAINER_FAILED
    assert "sample" not in error.value.message


def test_a_failing_listener_costs_nothing_but_time(make: Make) -> None:
    """The look-ahead may be wrong; the answer is everybody's all the same."""

    def breaks(_: ChatAnswer) -> None:
        raise ValueError

    calls, _ = make(lambda _: "yes")
    calls.expect(body("a"), WISH, then=breaks)
    assert calls.chat(body("a")).content == "yes"
    calls.expect(body("a"), WISH, then=breaks)
    assert calls.missteps >= 1


def test_closed_calls_leave_nobody_waiting(make: Make) -> None:
    """Whoever asks or waits when the calls are closed is told so."""
    held = Held()
    calls, _ = make(held)
    thread, got = asking(calls, "a")
    assert held.inside.acquire(timeout=5)
    calls.close()
    thread.join(5)
    held.go_on.release()
    assert isinstance(got[0], DomainTrainingError)
    with pytest.raises(DomainTrainingError):
        calls.chat(body("b"))


def test_what_is_on_its_way_is_waited_for_and_what_waits_is_not(make: Make) -> None:
    """At the end of a budget the answers that are paid still come; nothing else does."""
    held, told = Held(), list[ChatAnswer]()
    calls, server = make(held, 1)
    keys = [calls.expect(body("sent"), Wish(), then=told.append)]
    assert held.inside.acquire(timeout=5)
    keys.append(calls.expect(body("waits"), Wish()))
    settled = threading.Thread(target=calls.settle, args=(keys,))
    settled.start()
    held.go_on.release()
    settled.join(5)
    assert not settled.is_alive()
    assert [one.content for one in told] == ["SENT"]
    held.go_on.release()
    assert calls.chat(body("waits")).content == "WAITS"
    assert len(server.bodies) == 2
