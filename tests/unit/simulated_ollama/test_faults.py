"""Failures come as ordered, and the same ones again with the same seed."""

from collections import Counter

import pytest

from tests.sandbox.simulated_ollama.embed import shortened, vector_of
from tests.sandbox.simulated_ollama.faults import FaultPlan, Faults


def test_calls_go_wrong_at_the_ordered_rates_and_repeatably() -> None:
    """Each fault about as often as asked, and in the same places again."""
    faults = Faults(busy_rate=0.2, cut_rate=0.1, slow_rate=0.3, seed=5)
    plan = FaultPlan(faults)
    seen = [plan.next() for _ in range(2000)]
    counts = Counter(seen)
    assert {fault: round(counts[fault] / 2000, 1) for fault in counts} == {
        "busy": 0.2,
        "cut": 0.1,
        "slow": 0.3,
        "": 0.4,
    }
    plan.set(faults)
    assert [plan.next() for _ in range(2000)] == seen


def test_no_orders_no_faults() -> None:
    """The default harms nobody."""
    assert {FaultPlan().next() for _ in range(100)} == {""}


@pytest.mark.parametrize(
    "body", [{"busy_rate": 2}, {"busy_rate": 0.6, "cut_rate": 0.6}, {"slow_seconds": -1}]
)
def test_rates_that_cannot_be_are_refused(body: dict[str, float]) -> None:
    """A test with a wrong order must not pass by chance."""
    with pytest.raises(ValueError, match="must"):
        Faults.parsed(body)


def test_unknown_faults_and_wrong_types_are_refused_with_their_name() -> None:
    """The message says what is known."""
    with pytest.raises(ValueError, match="unknown fault 'fire'; known are busy_rate"):
        Faults.parsed({"fire": 1})
    with pytest.raises(TypeError, match="remove must be a str"):
        Faults.parsed({"remove": 1})
    assert Faults.parsed({"remove": "m", "refuse_seconds": 1}) == Faults(remove="m", refuse_seconds=1)


def test_vectors_have_length_1_and_are_near_where_words_are_shared() -> None:
    """Deterministic, also where the text is empty or the vector is shortened."""
    near, far = vector_of("the big red house", 256), vector_of("quarterly revenue figures", 256)
    asked = vector_of("a big house", 256)

    def alike(left: tuple[float, ...], right: tuple[float, ...]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    for vector in (near, far, asked, vector_of("", 256), shortened(near, 64)):
        assert alike(vector, vector) == pytest.approx(1.0)
    assert alike(asked, near) > alike(asked, far) + 0.2
    assert len(shortened(near, 64)) == 64
    assert shortened(near, 999) == near
