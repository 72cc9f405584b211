"""What the demo shows of a domain that was read back from Neo4j."""

from __future__ import annotations

import json

from tests.sandbox.graph import described

METRICS = {
    "entities": {"f1": 0.7331, "precision": 0.7, "recall": 0.77, "baseline": {"f1": 0.197}},
    "relations": {"verdict": "NotMeasured"},
}
DOMAIN = {
    "name": "tech_docs",
    "status": "ready",
    "llm_model": "qwen3:32b",
    "training_samples": 80,
    "training_metrics": json.dumps(METRICS),
    "entity_prompt": "\n".join(f"line {number}" for number in range(9)),
}
LOG = {"id": "one", "status": "ready", "progress_percent": 100, "log_messages": ["begun", "x" * 200]}


def test_model_samples_scores_prompt_and_log_are_shown() -> None:
    """And what was not measured has no number."""
    text = "\n".join(described(DOMAIN, [LOG], 110))
    for words in (
        "name: tech_docs",
        "llm_model: qwen3:32b",
        "training_samples: 80",
        "entities: f1 0.733, precision 0.700, recall 0.770 (baseline f1 0.197)",
        "relations: not measured",
        "entity_prompt: 6 of 9 lines",
        "| line 5",
        "TrainingLog one: ready, 100 %",
        "| begun",
    ):
        assert words in text
    assert "line 6" not in text


def test_no_line_is_wider_than_asked() -> None:
    """Long prompts and messages are cut."""
    lines = list(described(DOMAIN, [LOG], 110))
    assert max(len(line) for line in lines) == 110


def test_what_a_domain_lacks_is_said() -> None:
    """An empty one has neither prompt nor log."""
    text = "\n".join(described({"name": "new"}, [], 80))
    assert "status: (not set)" in text
    assert "entity_prompt: 1 of 1 lines" in text
    assert "TrainingLog" not in text
