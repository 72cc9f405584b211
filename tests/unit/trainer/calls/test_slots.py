"""Which waiting call goes next."""

import pytest

from domaintraining.trainer.calls.slots import CERTAIN, CRITICAL, FIRST, Slots, Wish, shared

LATER = Wish(CERTAIN, 9)


def prompt(lot: str, text: str) -> tuple[str, ...]:
    return (f"instruction {lot} " * 20, text)


def filled(count: int, lots: dict[str, int], wish: Wish = LATER) -> Slots:
    slots = Slots(count)
    for number, (lot, calls) in enumerate(lots.items()):
        for call in range(calls):
            slots.add(f"{lot}{call}", prompt(lot, str(call)), Wish(wish.rank, wish.order + number))
    return slots


def test_a_slot_stays_with_the_prompt_that_it_has_read() -> None:
    """A lot is served to its end before its slot reads another prompt."""
    slots = filled(1, {"a": 3, "b": 3})
    order = []
    while (call := slots.take()) is not None:
        order.append(str(call))
        slots.free(call)
    assert order == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_each_slot_opens_a_prompt_of_its_own() -> None:
    """Two slots never read the same prompt while there is another one to read."""
    slots = filled(3, {"a": 5, "b": 5, "c": 5})
    assert sorted(str(slots.take()) for _ in range(3)) == ["a0", "b0", "c0"]
    assert slots.take() is None
    slots.free("b0")
    assert slots.take() == "b1"


def test_an_idle_slot_helps_with_the_longest_lot() -> None:
    """Where every prompt is being served, a free slot takes from the one with the most left for each slot."""
    slots = filled(3, {"a": 2, "b": 9})
    assert {slots.take(), slots.take()} == {"a0", "b0"}
    assert slots.take() == "b1"


def test_a_prompt_is_read_once_more_only_for_several_calls() -> None:
    """While others have work, a slot waits rather than read a prompt for less than four calls."""
    slots = filled(4, {"a": 9})
    slots.add("x", prompt("x", "1"), Wish(CRITICAL))
    assert [slots.take(), slots.take(), slots.take()] == ["x", "a0", "a1"]
    assert slots.take() is None
    slots.free("x")
    assert slots.take() is None
    slots.free("a1")
    assert slots.take() == "a2"


def test_the_last_calls_are_spread_over_the_slots() -> None:
    """Where nothing else is left, a slot helps that has at least one call for each slot to take."""
    slots = filled(4, {"a": 4})
    assert [slots.take(), slots.take(), slots.take()] == ["a0", "a1", None]
    slots = filled(6, {"a": 6})
    assert [slots.take() for _ in range(4)] == ["a0", "a1", "a2", None]


def test_what_others_wait_for_goes_first() -> None:
    """Calls on the critical path go before evaluations, also on a slot that has read another prompt."""
    slots = filled(4, {"a": 3})
    assert slots.take() == "a0"
    slots.add("x", prompt("x", "1"), Wish(CRITICAL, 5))
    slots.add("y", prompt("y", "1"), Wish(CRITICAL, 1))
    slots.free("a0")
    assert [slots.take(), slots.take(), slots.take()] == ["y", "x", "a1"]


def test_what_is_first_goes_before_all_on_every_slot() -> None:
    """Whatever is read twice for it, also with few slots."""
    for count in (1, 2, 4):
        slots = filled(count, {"a": 3}, Wish(CRITICAL, -5))
        for number in range(count):
            slots.add(f"first{number}", prompt("first", str(number)), Wish(FIRST))
        assert sorted(str(slots.take()) for _ in range(count)) == [f"first{n}" for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_calls_of_the_same_prompt_don_t_come_between_first_ones(count: int) -> None:
    """Demos come of the prompt that a search starts from: its score, the other's too, go before."""
    slots = Slots(count)
    for number in range(8):
        slots.add(f"first {number}", prompt("ab"[number % 2], f"validation {number}"), Wish(FIRST))
        slots.add(f"demo {number}", prompt("ab"[number % 2], f"train {number}"), Wish(CRITICAL))
        slots.add(f"first {number}", prompt("ab"[number % 2], f"validation {number}"), Wish(CRITICAL))
    order = []
    while (call := slots.take()) is not None:
        order.append(str(call).split()[0])
        slots.free(call)
    assert order == ["first"] * 8 + ["demo"] * 8


def test_with_one_slot_only_reading_counts() -> None:
    """A single slot is busy whatever comes first: it never leaves a prompt that it has read."""
    slots = filled(1, {"a": 2})
    slots.free(slots.take() or "")
    slots.add("x", prompt("x", "1"), Wish(CRITICAL, 0))
    assert slots.take() == "a1"


def test_a_wish_can_be_brought_forward_and_a_call_dropped() -> None:
    """A second wish for a waiting call moves its lot; a dropped call is never sent."""
    slots = filled(1, {"a": 1, "b": 2})
    slots.add("b0", prompt("b", "0"), Wish(CERTAIN, -1))
    slots.drop("b1")
    slots.drop("unknown")
    assert slots.take() == "b0"
    slots.free("b0")
    assert slots.take() == "a0"
    slots.free("a0")
    assert slots.take() is None
    assert len(slots) == 0


@pytest.mark.parametrize(
    ("cached", "new", "whole", "partly"),
    [
        ((), ("a",), 0, 0),
        (("abc", "d"), ("abc", "e"), 3, 3),
        (("abc", "def"), ("abc", "dex"), 3, 5),
        (("abcd",), ("abx",), 0, 2),
        (("abc",), ("abc", "d"), 3, 3),
    ],
)
def test_what_two_prompts_share(
    cached: tuple[str, ...], new: tuple[str, ...], whole: int, partly: int
) -> None:
    """Counted from the start, message by message."""
    assert shared(cached, new) == whole
    assert shared(cached, new, partly=True) == partly
