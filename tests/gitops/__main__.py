"""`python -m tests.gitops`: records the states anew into the test data of the health check."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.gitops.recorder import own_sandbox, record
from tests.gitops.verdict import ARGO, LUA, SNIPPET, STATES, snippet, verdicts


def main() -> None:
    """Replaces the recorded states, their list for Argo CD's own tests, and the snippet for argocd-cm."""
    with (
        tempfile.TemporaryDirectory(prefix="gitops-") as folder,
        own_sandbox(Path(folder) / "sandbox") as sandbox,
    ):
        found = record(sandbox, Path(folder))
    STATES.mkdir(parents=True, exist_ok=True)
    for old in STATES.glob("*.yaml"):
        old.unlink()
    for name, body in found.items():
        _write(STATES / f"{name}.yaml", body)
    said = verdicts(sorted(STATES.glob("*.yaml")), print)
    tests = [
        {
            "healthStatus": {"status": name.partition("_")[0].capitalize(), "message": one.message},
            "inputPath": f"testdata/{name}.yaml",
        }
        for name, one in said.items()
    ]
    _write(ARGO / "health_test.yaml", {"tests": tests})
    SNIPPET.write_text(snippet(LUA.read_text(encoding="utf-8")), encoding="utf-8")


def _write(file: Path, content: Any) -> None:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
