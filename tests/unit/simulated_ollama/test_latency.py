"""The latency model: what a call takes alone, beside others, after others, and what a cache saves."""

import asyncio
from itertools import pairwise

import pytest

from tests.sandbox.simulated_ollama.latency import Message, Slots, Speed, Timing, prompt_tokens, shared_tokens
from tests.unit.simulated_ollama.virtual import run

SYSTEM: Message = ("system", "word " * 296)
"""300 tokens with its turn."""


def question(number: int) -> tuple[Message, ...]:
    """A prompt of 400 tokens; 301 of them are the same for all numbers."""
    return (SYSTEM, ("user", f"x{number} " + "word " * 94))


async def ask(slots: Slots, messages: tuple[Message, ...], tokens: int) -> tuple[float, Timing]:
    """When a call ended, and its timing."""
    async with slots.serve(messages) as call:
        await call.write(tokens)
        return asyncio.get_running_loop().time(), call.timing


def ended(count: int, slots: int, tokens: int = 40, scale: float = 1.0) -> list[float]:
    """When each of so many equal calls ended that came at once."""

    async def work() -> list[float]:
        server = Slots(slots, Speed(scale=scale))
        done = await asyncio.gather(*(ask(server, (("user", "w " * 1496),), tokens) for _ in range(count)))
        return [when for when, _ in done]

    ends: list[float] = run(work())
    return ends


def test_a_call_alone_takes_its_prompt_at_1500_and_its_answer_at_40_tokens_a_second() -> None:
    """1,500 tokens to read and 40 to write: two seconds."""
    assert ended(1, slots=4) == [pytest.approx(2.0)]


def test_prompts_are_read_one_at_a_time_and_streams_wait_meanwhile() -> None:
    """Two calls: both prompts first (2 s), then two streams of 40 tokens, each step 8 % longer."""
    assert ended(2, slots=2) == [pytest.approx(3.08), pytest.approx(3.08)]


def test_a_step_takes_8_per_cent_longer_for_each_further_stream() -> None:
    """Four streams at once, 400 tokens each: 10 s become 12.4 s, after four prompts."""
    assert ended(4, slots=4, tokens=400) == [pytest.approx(4 + 12.4)] * 4


def test_one_slot_serves_one_call_after_the_other_in_the_order_they_came() -> None:
    """Equal prompts: all but the first read one token anew."""
    gaps = [later - sooner for sooner, later in pairwise(ended(3, slots=1))]
    assert gaps == [pytest.approx(1.0 + 1 / 1500)] * 2


def test_time_scales_and_scale_0_waits_for_nothing() -> None:
    """The same course of things, faster."""
    assert ended(2, slots=2, scale=0.5) == [pytest.approx(1.54)] * 2
    assert ended(8, slots=2, scale=0.0) == [0.0] * 8


def test_a_stream_that_ends_makes_the_others_faster() -> None:
    """A short and a long answer: together at 1.08, then the long one alone."""

    async def work() -> list[float]:
        slots = Slots(2, Speed())
        short, long = (("user", "s " * 1496),), (("user", "l " * 1496),)
        done = await asyncio.gather(ask(slots, short, 40), ask(slots, long, 80))
        return [when for when, _ in done]

    assert run(work()) == [pytest.approx(3.08), pytest.approx(4.08)]


def test_a_slot_reads_only_what_its_cache_does_not_hold() -> None:
    """The second prompt shares system message and turn; of the third nothing is known."""

    async def work() -> list[int]:
        slots = Slots(1, Speed())
        prompts = (question(1), question(2), (("user", "other " * 96),))
        return [(await ask(slots, messages, 1))[1].prefilled for messages in prompts]

    first, second, third = run(work())
    assert (first, second, third) == (prompt_tokens(question(1)), prompt_tokens(question(2)) - 305, 100)


def test_a_call_goes_to_the_free_slot_that_knows_most_of_its_prompt() -> None:
    """Two families of prompts keep to two slots, whatever their order."""

    async def work() -> list[int]:
        slots = Slots(2, Speed())
        families = [("system", "a " * 500), ("system", "b " * 500)]
        held = [slots.serve((family,)) for family in families]
        for one in held:
            await one.__aenter__()
        for one in reversed(held):
            await one.__aexit__(None, None, None)
        return [(await ask(slots, (families[n], ("user", "q")), 1))[1].prefilled for n in (1, 0, 0, 1)]

    first, second, third, fourth = run(work())
    assert max(first, second) <= 5
    assert third == fourth == 1


def test_a_call_given_up_frees_its_place_and_stops_slowing_the_others() -> None:
    """Running or waiting, a client that goes away leaves nothing behind."""

    async def work() -> tuple[float, int]:
        slots = Slots(1, Speed())
        running = asyncio.create_task(ask(slots, (("user", "a"),), 4000))
        waiting = asyncio.create_task(ask(slots, (("user", "b"),), 40))
        last = asyncio.create_task(ask(slots, (("user", "c"),), 40))
        await asyncio.sleep(10)
        running.cancel()
        waiting.cancel()
        when, _ = await last
        return when, slots.use.waiting

    when, waiting = run(work())
    assert when == pytest.approx(11, abs=0.1)
    assert waiting == 0


def test_use_counts_tokens_slots_and_the_most_calls_at_once() -> None:
    """What a benchmark divides by."""

    async def work() -> Slots:
        slots = Slots(3, Speed())
        await asyncio.gather(*(ask(slots, question(number), 40) for number in range(6)))
        return slots

    use = run(work()).use
    assert use.max_in_flight == 3
    assert use.decoded == 240
    assert use.prompt_tokens == 6 * prompt_tokens(question(1)) > use.prefilled
    assert use.busy_seconds > 6


@pytest.mark.parametrize(
    ("cached", "asked", "shared"),
    [
        ([("user", "a b c")], [("user", "a b c")], 6),
        ([("user", "a b c d")], [("user", "a b x")], 6),
        ([("system", "a b")], [("user", "a b")], 0),
        ([], [("user", "a")], 0),
        ([("user", "a b"), ("user", "c")], [("user", "a b")], 5),
    ],
)
def test_the_last_token_of_a_prompt_is_always_read_anew(
    cached: list[Message], asked: list[Message], shared: int
) -> None:
    """Shared tokens end where prompts differ, and before the prompt's last token."""
    assert shared_tokens(cached, asked) == shared
