"""The least time that a set of calls needs."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.bench.limit import floor_seconds, limit_seconds, tree_tokens
from tests.sandbox.simulated_ollama.latency import TURN_TOKENS, Message, Speed, prompt_tokens

SYSTEM: Message = ("system", "a b c d")


def asked(question: str) -> tuple[Message, ...]:
    return (SYSTEM, ("user", question))


def test_a_start_that_prompts_share_counts_once() -> None:
    """Three questions under one system message: the message once, each question's own words."""
    prompts = [asked("x one"), asked("x two"), asked("y")]
    system, turn = TURN_TOKENS + 4, TURN_TOKENS
    assert tree_tokens(prompts[:1]) == system + turn + 2
    # "x two" shares the turn and "x" with "x one", "y" the turn alone
    assert tree_tokens(prompts) == system + turn + 2 + 1 + 1


def test_the_order_of_the_prompts_does_not_matter() -> None:
    """A limit is of a set of calls."""
    prompts = [asked("x one"), asked("x two"), asked("y"), (("system", "other"), ("user", "x"))]
    assert len({tree_tokens(order) for order in permutations(prompts)}) == 1


def test_equal_prompts_are_read_once_and_strangers_whole() -> None:
    """A call that is repeated adds nothing; prompts that share nothing add up."""
    strangers = [(("system", "a b"),), (("user", "c"),)]
    assert tree_tokens([*strangers, *strangers]) == sum(map(prompt_tokens, strangers))
    assert tree_tokens([]) == 0


@pytest.mark.parametrize(
    ("slots", "seconds"),
    [(1, 10 + 100), (4, 10 + 25 * 1.24), (16, 10 + 100 / 16 * 2.2)],
)
def test_reading_is_one_at_a_time_and_writing_shares_the_decoder(slots: int, seconds: float) -> None:
    """The formula of the facts: tree / 1500 + decoded / (40 P / (1 + 0.08 (P - 1)))."""
    assert limit_seconds(15_000, 4_000, slots, Speed()) == pytest.approx(seconds)


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_the_floor_is_the_limit_where_nothing_waits(slots: int) -> None:
    """Calls that may all be made at once keep every slot busy."""
    assert floor_seconds(1500, 4000, 0, slots, Speed()) == limit_seconds(1500, 4000, slots, Speed())


def test_the_floor_of_a_single_chain_is_one_stream() -> None:
    """Where every call waits for the one before, further slots don't help."""
    assert floor_seconds(1500, 4000, 4000, 16, Speed()) == pytest.approx(1 + 4000 / 40)


def test_the_floor_mixes_few_streams_for_the_chain_with_many_for_the_rest() -> None:
    """Between the limit and the chain at full crowding, and never below either bound alone."""
    limit, floor = limit_seconds(0, 23_166, 16, Speed()), floor_seconds(0, 23_166, 1640, 16, Speed())
    assert limit < floor < 1640 * 2.2 / 40
    assert floor > 1640 / 40
