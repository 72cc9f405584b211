"""The simulated model's rewordings."""

import json

from tests.sandbox.simulated_ollama.learner import answer

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TEXT = "If billing-api answers with 503, check whether the pool of PostgreSQL is exhausted."


def reworded(seed: int, heat: float = 1.0) -> str:
    question = f"Text:\n{TEXT}\n\nNames:\n- billing-api\n- PostgreSQL"
    told = answer([("system", "Reword the text."), ("user", question)], SCHEMA, heat, seed)
    text: str = json.loads(told)["text"]
    return text


def test_a_rewording_is_another_text_with_nearly_all_names() -> None:
    """The same for the same seed; it loses a name now and then."""
    texts = [reworded(seed) for seed in range(40)]
    assert len(set(texts)) > 10
    assert TEXT not in texts
    assert reworded(3) == texts[3]
    whole = [text for text in texts if "billing-api" in text and "PostgreSQL" in text]
    assert 30 <= len(whole) < 40


def test_without_heat_the_seed_says_nothing() -> None:
    assert len({reworded(seed, heat=0.0) for seed in range(5)}) == 1
