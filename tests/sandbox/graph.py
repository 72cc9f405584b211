"""A domain as it is read back from Neo4j, for the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.sandbox.neo4j.server import Neo4j

Json = dict[str, Any]
QUERY = """\
MATCH (d:Domain {name: $name})
OPTIONAL MATCH (d)-[:HAS_TRAINING_LOG]->(log:TrainingLog)
WITH d, log ORDER BY log.started_at
RETURN properties(d) AS domain, collect(properties(log)) AS logs"""
SHOWN = ("name", "owner", "description", "status", "llm_model", "training_samples", "trained_at")
PROMPTS = ("entity_prompt", "relation_prompt")
PROMPT_LINES = 6
MESSAGES = 8
SCORES = ("f1", "precision", "recall")
UNSET = "(not set)"


def read_back(graph: Neo4j, name: str) -> tuple[Json, list[Json]]:
    """Properties of a domain and of its training logs, the oldest first; of none where there is no domain."""
    found = graph.query(QUERY, name=name)
    return (found[0]["domain"], found[0]["logs"]) if found else ({}, [])


def described(domain: Mapping[str, Any], logs: list[Json], width: int) -> Iterator[str]:
    """Lines of at most `width` characters, behind two blanks, that show a domain and its logs to a person."""
    for name in SHOWN:
        yield f"  {name}: {domain.get(name, UNSET)}"[:width]
    yield from (line[:width] for line in scores("training_metrics", domain.get("training_metrics")))
    for name in PROMPTS:
        lines = str(domain.get(name, UNSET)).splitlines()
        yield f"  {name}: {min(PROMPT_LINES, len(lines))} of {len(lines)} lines, escaped for str.format"
        yield from (f"    | {line}"[:width] for line in lines[:PROMPT_LINES])
    for log in logs:
        yield f"  TrainingLog {log.get('id')}: {log.get('status')}, {log.get('progress_percent')} %"[:width]
        yield f"    from {log.get('started_at')} to {log.get('completed_at')}"[:width]
        yield from (f"    | {line}"[:width] for line in log.get("log_messages", [])[-MESSAGES:])


def scores(name: str, text: str | None) -> Iterator[str]:
    """The scores in a JSON string of metrics, a line for each task."""
    for task, measured in json.loads(text or "{}").items():
        values = ", ".join(f"{score} {measured[score]:.3f}" for score in SCORES if score in measured)
        before = f" (baseline f1 {measured['baseline']['f1']:.3f})" if measured.get("baseline") else ""
        yield f"  {name}, {task}: {values or 'not measured'}{before}"
