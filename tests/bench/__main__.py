"""`python -m tests.bench`: the trainer beside plain MIPROv2, on the simulated model server.

Seconds are those of the server's latency model, an assumption; no real model takes part. The last line of
the output is one JSON object. Exit code 1: some row has another program than plain, or more calls.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from domaintraining.api.spec import Auto
from tests.bench.cases import FULL, MODES, QUICK, SAMPLES, SIDES, SLOTS, Case
from tests.bench.clock import can_wait_for_clients
from tests.bench.data import STATED
from tests.bench.figures import Row, calls_of, row_of, timeline
from tests.bench.serving import Seen, SideError, chain_tokens, measured
from tests.bench.table import HEADS, USE_HEADS, aligned, as_json, bars, cells, markdown, use_cells

FLOOR = (
    "limit: all slots always busy, shared starts of prompts read once; floor: the same, and calls that need "
    "another's answer wait for it"
)
SCALE = 20.0
"""Model seconds in a real one where only the real clock can be used."""
PASSING = (
    "clock: moved on as soon as the client waits for the server; what the client computes counts as nothing "
    "and is shown as CPU seconds"
)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 samples, light, every number of slots")
    parser.add_argument("--samples", type=int, action="append", metavar="N", help="only these sizes")
    parser.add_argument("--auto", action="append", choices=(*MODES, "heavy"), help="only these modes")
    parser.add_argument("--slots", type=int, action="append", metavar="P", help="only these numbers of slots")
    parser.add_argument(
        "--scale",
        type=float,
        metavar="N",
        help="the real clock, N model seconds in a second (default: a clock that waits for the client only)",
    )
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write every call as a line of JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as the README has it")
    return parser.parse_args(given)


def cases_of(given: argparse.Namespace) -> list[Case]:
    """The rows that the command line asks for."""
    if given.quick and not (given.samples or given.auto or given.slots):
        return list(QUICK)
    if not (given.samples or given.auto or given.slots):
        return list(FULL)
    samples = given.samples or (SAMPLES[:1] if given.quick else SAMPLES)
    modes = given.auto or (MODES[:1] if given.quick else MODES)
    return [Case(size, auto, slots) for size in samples for auto in modes for slots in given.slots or SLOTS]


def main() -> int:
    """Measure, print, and say by the exit code whether plain's result was kept."""
    given = arguments()
    if not can_wait_for_clients():
        given.scale = given.scale or SCALE
    cases = cases_of(given)
    print(f"{len(cases)} rows; {STATED}")
    print(f"clock: {given.scale:g} model seconds in a real one" if given.scale else PASSING, flush=True)
    try:
        rows = [_measured(case, number, len(cases), given) for number, case in enumerate(cases, 1)]
    except SideError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 2
    print("\n" + aligned(USE_HEADS, [line for row in rows for line in use_cells(row)]))
    print("\n" + FLOOR)
    print((markdown(rows) if given.markdown else aligned(HEADS, list(map(cells, rows)))) + "\n")
    clock: dict[str, Any] = {"clock": "real" if given.scale else "passing", "scale": given.scale}
    print(as_json(rows, floors_s=[round(row.floor, 1) for row in rows], simulated=True, **clock))
    return 0 if all(row.holds for row in rows) else 1


def _measured(case: Case, number: int, of: int, given: argparse.Namespace) -> Row:
    seen: dict[str, Seen] = {}
    for side in SIDES:
        began = time.monotonic()
        seen[side] = one = measured(case, side, real_scale=1 / given.scale if given.scale else None)
        took, load = time.monotonic() - began, os.getloadavg()[0]
        cpu = f"{one.said['cpuSeconds']:.1f} s CPU, {took:.0f} s real, load {load:.1f}"
        print(f"[{number}/{of}] {case.name}: {side} {one.seconds:.0f} s, {len(one.turns)} calls ({cpu})")
        print(f"    slots writing (reading) %: {bars(timeline(one, case.slots))}", flush=True)
        if given.trace:
            with given.trace.open("w" if number == 1 and side == SIDES[0] else "a", encoding="utf-8") as file:
                file.writelines(json.dumps(call) + "\n" for call in calls_of(case, side, one))
    return row_of(case, seen["plain"], seen["trainer"], _chain(case.samples, case.auto))


@cache
def _chain(samples: int, auto: Auto) -> float:
    return chain_tokens(Case(samples, auto, 1))


if __name__ == "__main__":
    sys.exit(main())
