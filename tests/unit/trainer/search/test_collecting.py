"""One set of demos: the attempts that are certain, and the demos that BootstrapFewShot would end with."""

from random import Random

import dspy
import pytest

from domaintraining.trainer.search.lookahead.demos import Collecting
from domaintraining.trainer.search.lookahead.draws import DemoSet
from domaintraining.trainer.search.lookahead.proposals import examples_in_sight

TRAIN = [dspy.Example(text=str(number)).with_inputs("text") for number in range(12)]


def made(number: int) -> dspy.Example:
    return dspy.Example(augmented=True, text=str(number))


@pytest.mark.parametrize("seed", range(8))
def test_no_attempt_is_made_that_one_after_the_other_would_not_make(seed: int) -> None:
    """Whatever order the answers come in: the same attempts and demos as with one at a time."""
    rng = Random(seed)
    good = {number for number in range(12) if rng.random() < 0.4}
    size = rng.randint(1, 3)
    in_turn: list[int] = []
    for number in range(12):
        if sum(one in good for one in in_turn) >= size:
            break
        in_turn.append(number)
    one = Collecting(DemoSet(tuple(range(12)), size), TRAIN, 5)
    flying = list(one.attempts())
    tried = [number for number, _ in flying]
    while flying:
        number, _ = flying.pop(rng.randrange(len(flying)))
        one.ended(number, made(number) if number in good else None)
        more = one.attempts()
        tried += [number for number, _ in more]
        flying += more
    assert sorted(tried) == in_turn
    assert one.complete
    own = [demo.text for demo in one.demos() if "augmented" in demo]
    assert own == [str(number) for number in in_turn if number in good]
    assert len(one.demos()) == 5


def test_sets_without_attempts_are_there_at_once() -> None:
    """The set without demos, and the one of labels alone."""
    none = Collecting(DemoSet(tuple(range(12)), 0), TRAIN, 5)
    labels = Collecting(DemoSet(tuple(range(12)), 0, labels_only=True), TRAIN, 5)
    for one in (none, labels):
        assert one.attempts() == []
        assert one.complete
    assert none.demos() == []
    assert labels.demos() == Random(0).sample(TRAIN, 5)


def test_an_attempts_prompt_is_without_its_own_sample() -> None:
    """BootstrapFewShot never shows a model the answer that it asks for."""
    one = Collecting(DemoSet(tuple(range(12)), 1), TRAIN, 5)
    shown = one.teacher[0]
    assert len(one.prompt_demos(shown)) == 4
    assert shown not in one.prompt_demos(shown)


@pytest.mark.parametrize(
    ("number", "known", "in_sight"),
    [
        (0, [None, None, None], True),
        (1, [[], None, None], False),
        (1, [[], [made(0), made(1), made(2)], None], True),
        (1, [[], [made(0)], None], False),
        (2, [[], None, [made(0)] * 2], False),
        (1, [[], TRAIN[:3], [made(0)]], True),
    ],
)
def test_a_proposal_waits_only_for_the_sets_it_looks_at(
    number: int,
    known: list[list[dspy.Example] | None],
    in_sight: bool,  # noqa: FBT001
) -> None:
    """Its own set, those behind, those before, up to three demos of the model's own."""
    assert examples_in_sight(number, known) is in_sight
