"""A whole trainer in a process of its own: `python -m tests.bench.pod DESCRIPTOR CASE`, for its memory.

It is what runs in a trainer's pod, from the file of samples to the result, but for the API server: the report
goes to the shipped fake. On the descriptor it writes a line when it begins and one JSON object at its end.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.status import memory_mib

BEFORE = memory_mib()

from domaintraining.trainer.main import attempt, ollama  # noqa: E402 - what it costs is measured
from domaintraining.trainer.progress import Tally  # noqa: E402
from domaintraining.trainer.reading import Folders  # noqa: E402
from domaintraining.trainer.reporter import RecordedReport  # noqa: E402

IMPORTED = memory_mib()

from tests.bench.data import bench_samples  # noqa: E402
from tests.bench.side import make_run  # noqa: E402


class Stages(Tally):
    """Counts that note the memory at the end of each step."""

    noted: list[dict[str, Any]] = []

    def enter(self, step: Any, message: str = "") -> None:
        """As the base class; the memory so far is that of the step that ends."""
        self._note()
        super().enter(step, message)

    def finish(self, message: str = "") -> None:
        """As the base class."""
        super().finish(message)
        self._note()

    def _note(self) -> None:
        peak, now = memory_mib()
        step = f"{self._counts.step} {self._counts.message}".strip()
        self.noted.append({"step": step, "peak": peak, "now": now})


def main(given: Sequence[str]) -> None:
    """Run the trainer that the second argument describes."""
    case = json.loads(given[1])
    run = make_run(case["auto"], case["slots"], case["url"], case["model"])
    sys.modules[attempt.__module__].Tally = Stages  # type: ignore[attr-defined]
    with TemporaryDirectory() as folder, os.fdopen(int(given[0]), "w", encoding="utf-8") as words:
        data, journal = Path(folder, "data"), Path(folder, "journal")
        data.mkdir()
        journal.mkdir()
        lines = [
            sample.model_dump_json(exclude_none=True) + "\n" for sample in bench_samples(case["samples"])
        ]
        (data / run.data.file).write_text("".join(lines), encoding="utf-8")
        words.write("begin\n")
        words.flush()
        code, error = attempt(run, Folders(data, journal=journal), RecordedReport(), ollama)
        if error is not None or code:
            raise SystemExit(f"{code}: {error}")
        first = [
            {"step": "interpreter", "peak": BEFORE[0], "now": BEFORE[1]},
            {"step": "imports of the trainer", "peak": IMPORTED[0], "now": IMPORTED[1]},
        ]
        words.write(json.dumps({"stages": [*first, *Stages.noted]}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
