"""`python -m tests.bench.memory`: the memory of a whole trainer by step. Exit code 1: above the bound."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from tests.bench.cases import Case
from tests.bench.serving import SideError, measured
from tests.bench.table import aligned

BOUND_MIB: Final = 110


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--auto", choices=("light", "medium", "heavy"), default="heavy")
    parser.add_argument("--slots", type=int, default=16)
    given = parser.parse_args()
    case = Case(given.samples, given.auto, given.slots)
    try:
        seen = measured(case, "pod")
    except SideError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 2
    stages = seen.said["stages"]
    print(f"a whole trainer, {case.name}, {len(seen.turns)} calls; MiB at the end of each step")
    rows = [(one["step"], f"{one['peak']:.1f}", f"{one['now']:.1f}") for one in stages]
    print(aligned(("step", "peak so far", "now"), rows))
    peak = max(one["peak"] for one in stages)
    print(f"peak {peak:.1f} MiB, bound {BOUND_MIB} MiB")
    return int(peak > BOUND_MIB)


if __name__ == "__main__":
    sys.exit(main())
