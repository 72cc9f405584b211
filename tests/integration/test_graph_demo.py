"""`make demo GRAPH=1` ends with the domain read back from a real Neo4j."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import MODEL
from tests.sandbox.neo4j.artifacts import obstacle


@pytest.mark.skipif(bool(obstacle()), reason=obstacle())
def test_the_demo_ends_with_the_domain(tmp_path: Path) -> None:
    """Model of the graph, samples, scores, prompts, messages; it says simulated, and nothing stays."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.sandbox", "demo", "--graph", f"--state={tmp_path / 'demo'}"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "OLLAMA_BASE_URL"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=400,
        check=True,
    ).stdout
    _, _, read_back = said.partition("The domain read back from Neo4j (bolt://127.0.0.1:")
    for words in (
        r"name: tech_docs",
        r"owner: demo/tech-docs",
        r"status: ready",
        rf"llm_model: {re.escape(MODEL)}",
        r"training_samples: 150",
        r"training_metrics, entities: f1 0\.\d+, precision 0\.\d+, recall 0\.\d+ \(baseline f1 0\.\d+\)",
        r"entity_prompt: 6 of \d+ lines, escaped for str\.format",
        r"TrainingLog [0-9a-f-]{36}: ready, 100 %",
        r"\| run 1 started at .*",
        r"\| run 1 ended at .*",
        r"status\.model\.source of the DomainTraining: graph",
        r"These figures too are of the SIMULATED model\.",
    ):
        assert re.search(rf"^ +{words}$", read_back, re.MULTILINE), words
    assert not (tmp_path / "demo").exists()
