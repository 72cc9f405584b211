"""The simulated model learns from its prompt: with demos and a careful wording its answers get better."""

import json
import time
from collections.abc import Sequence

import pytest

from tests.sandbox.simulated_ollama.learner import answer
from tests.sandbox.simulated_ollama.prompt import Kind
from tests.unit.simulated_ollama.lessons import (
    ASKED,
    CAREFUL,
    GENERAL,
    KEYS,
    SHOWN,
    TYPES,
    Row,
    labels,
    messages,
    schema_of,
)


def items(
    kind: Kind, prompt: Sequence[tuple[str, str]], temperature: float = 0.0, seed: int = 1
) -> set[tuple[str, ...]]:
    """What is answered, as a set of tuples."""
    rows = json.loads(answer(prompt, schema_of(kind), temperature, seed))[kind]
    return {tuple(row[key] for key in KEYS[kind]) for row in rows}


def f1(kind: Kind, shown: Sequence[Row], instruction: str | None = None) -> float:
    """F1 over the sentences that are asked about."""
    hits = answered = there = 0
    for row in ASKED:
        golden = {tuple(label.values()) for label in labels(kind, row)}
        found = items(kind, messages(kind, row, shown, instruction))
        hits, answered, there = hits + len(golden & found), answered + len(found), there + len(golden)
    return 2 * hits / (answered + there)


@pytest.mark.parametrize("kind", ["entities", "relations"])
def test_demos_make_answers_much_better(kind: Kind) -> None:
    """Types whose names mean nothing are learned from four sentences."""
    alone, taught = f1(kind, ()), f1(kind, SHOWN)
    assert alone < 0.4
    assert taught > alone + 0.3


def test_more_demos_are_better_than_one() -> None:
    """One sentence shows not all types."""
    assert f1("entities", SHOWN[:1]) < f1("entities", SHOWN)


def test_a_careful_wording_is_better_than_none_even_without_demos() -> None:
    """The article before a name is left out by who is told so, nearly always."""
    right = {GENERAL["entities"]: 0, CAREFUL: 0}
    for wording in right:
        system = ("system", f"{wording}\n\nTypes:\n- BODY: organizations")
        for number in range(20):
            found = items("entities", [system, ("user", f"Text:\nThe Coast Council met {number} times .")])
            right[wording] += ("Coast Council", "BODY") in found
    assert right[GENERAL["entities"]] == 0
    assert right[CAREFUL] > 12


def test_names_of_demos_are_known_again_also_small_ones() -> None:
    """What no rule finds can be learned by heart."""
    shown: list[Row] = [
        ("Ask the blue desk and quickbot .", [("blue desk", "BODY"), ("quickbot", "HUMAN")], [])
    ] * 3
    row: Row = ("Then quickbot left the blue desk .", [], [])
    assert items("entities", messages("entities", row, shown)) == {
        ("quickbot", "HUMAN"),
        ("blue desk", "BODY"),
    }


def test_a_demo_without_names_teaches_restraint() -> None:
    """Numbers that are never labelled are not named."""
    shown: list[Row] = [*SHOWN, ("It costs 12 dollars .", [], []), ("We saw 30 miles of road .", [], [])]
    row: Row = ("They paid 15 dollars .", [], [])
    assert items("entities", messages("entities", row, shown)) == set()


def test_the_direction_of_a_relation_is_learned() -> None:
    """The body sits in the spot, also where the spot is named first."""
    row: Row = ("In Turku sits the River Trust .", [("Turku", "SPOT"), ("River Trust", "BODY")], [])
    found = items("relations", messages("relations", row, SHOWN))
    assert found <= {("River Trust", "SITS_IN", "Turku")}


@pytest.mark.parametrize("kind", ["entities", "relations"])
def test_the_same_prompt_gets_the_same_answer_whatever_the_seed_at_temperature_0(kind: Kind) -> None:
    """Nothing but the prompt decides."""
    prompt = messages(kind, ASKED[0], SHOWN)
    assert len({answer(prompt, schema_of(kind), 0.0, seed) for seed in range(5)}) == 1


def test_above_temperature_0_the_seed_decides_and_a_repeat_is_the_same() -> None:
    """Sampling that can be repeated."""
    row: Row = (" . ".join(row[0] for row in SHOWN * 3), [], [])
    prompt = messages("entities", row, SHOWN)
    answers = [answer(prompt, schema_of("entities"), 1.0, seed) for seed in (1, 1, 2, 3, 4)]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1


def test_it_errs_now_and_then() -> None:
    """The wording alone changes which names are lost; no prompt finds everything."""
    found = [
        items("entities", messages("entities", SHOWN[1], (), f"Find names, try {n}.")) for n in range(40)
    ]
    assert len({frozenset(one) for one in found}) > 1


@pytest.mark.parametrize("kind", ["entities", "relations"])
@pytest.mark.parametrize("reasoning", [True, False])
def test_an_answer_fits_the_schema(kind: Kind, reasoning: bool) -> None:  # noqa: FBT001
    """Keys in their order, types of the list, names of the text, reasoning where it is asked for."""
    body = json.loads(
        answer(messages(kind, ASKED[2], SHOWN), schema_of(kind, reasoning=reasoning), 0.0, None)
    )
    assert list(body) == (["reasoning", kind] if reasoning else [kind])
    for row in body[kind]:
        assert list(row) == list(KEYS[kind])
        assert row["type"] in TYPES[kind]
        assert all(row[key] in ASKED[2][0] for key in KEYS[kind] if key != "type")


@pytest.mark.parametrize(
    "content", ["", "Text:\n", "Text:\n\n\nEntities:\n- (", "{}", "\ud7ff" * 9, "A" * 5000]
)
def test_no_text_breaks_it(content: str) -> None:
    """Whatever stands there, an answer of the schema comes."""
    for kind in ("entities", "relations"):
        for prompt in ([("user", content)], [("system", content), ("user", content)]):
            assert isinstance(json.loads(answer(prompt, schema_of(kind), 0.0, None))[kind], list)


def test_a_schema_of_another_task_gets_its_emptiest_value() -> None:
    """No task is known for it: nothing is made up."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}}
    assert json.loads(answer([("user", "x")], schema, 0.0, None)) == {"a": "simulated", "b": []}


def test_a_call_costs_less_than_2_milliseconds_of_cpu() -> None:
    """Trainer and server share two cores in the sandbox."""
    prompts = [messages("entities", (f"{row[0]} {n}", [], []), SHOWN) for n in range(60) for row in ASKED]
    before = time.process_time()
    for prompt in prompts:
        answer(prompt, schema_of("entities"), 0.0, 9)
    assert (time.process_time() - before) / len(prompts) < 0.002
