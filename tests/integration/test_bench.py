"""The benchmark itself, one row of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.serving import REPOSITORY


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of the benchmark, ended."""
    command = [sys.executable, "-m", *arguments]
    environment = {**os.environ, "PYTHONPATH": "operator:."}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_a_row_is_measured_and_keeps_what_it_must(tmp_path: Path) -> None:
    """The trainer finds plain MIPROv2's programs and scores, with no more calls; the last line says so."""
    trace = tmp_path / "trace.jsonl"
    done = bench("tests.bench", "--quick", "--slots", "4", "--trace", str(trace))
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert row["same_program"]
    assert row["trainer_calls"] <= row["plain_calls"]
    assert row["ratio"] > 1.0
    assert row["over_limit"] >= 1.0
    calls = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    assert len(calls) == row["plain_calls"] + row["trainer_calls"]
    assert {call["slot"] for call in calls} == set(range(4))


def test_a_trainer_keeps_within_its_memory() -> None:
    """300 samples, heavy, 16 slots: the process of a whole trainer peaks at no more than 110 MiB."""
    done = bench("tests.bench.memory")
    assert done.returncode == 0, done.stdout + done.stderr
