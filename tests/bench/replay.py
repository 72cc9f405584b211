"""How long a run takes whose answers are all in its journal: `python -m tests.bench.replay`.

Each row is a run of the whole trainer on a scripted model, its replay, and the replay where what the searches
ended with is taken out of the journal, so that MIPROv2 makes them again from the answers. Seconds of this
machine, in one process, imports not counted; the calls of both replays are 0.
"""

from __future__ import annotations

import io
import json
import time
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.reporter import RecordedReport
from tests.bench.table import aligned
from tests.integration.attempts import Mounts
from tests.unit.trainer.scripted import make_run, moody, samples

ROWS: Final = ((60, "light"), (60, "medium"), (300, "light"), (300, "medium"), (300, "heavy"))
SPLIT: Final = {"testPercent": 25, "validationPercent": 50}
"""A quarter of the samples is held out, on top of what the searches see."""


def attempted(mounts: Mounts, auto: str) -> tuple[float, int]:
    """Seconds and calls of one attempt."""
    server, began = ScriptedServer(moody), time.monotonic()
    data = {"file": "samples.jsonl", "source": "bench", "split": SPLIT}
    with redirect_stdout(io.StringIO()):
        code, _ = attempt(make_run(auto=auto, data=data), mounts.folders, RecordedReport(), lambda *_: server)
    assert code == SUCCESS
    return time.monotonic() - began, len(server.bodies)


def main() -> None:
    """Print the table."""
    rows = []
    for count, auto in ROWS:
        with TemporaryDirectory() as folder:
            mounts = Mounts(Path(folder), [json.dumps(row) for row in samples(count)])
            (whole, calls), (replay, none) = attempted(mounts, auto), attempted(mounts, auto)
            mounts.forget_ends()
            again, none_either = attempted(mounts, auto)
        assert (none, none_either) == (0, 0)
        seconds = [f"{taken:.2f}" for taken in (whole, replay, again)]
        rows.append((str(count), auto, str(calls), *seconds))
    print(aligned(("samples", "auto", "calls", "run s", "replay s", "from answers s"), rows))


if __name__ == "__main__":
    main()
