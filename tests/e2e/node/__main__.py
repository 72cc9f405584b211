"""`python -m tests.e2e.node up|down`: a real node to try things on, without the tests."""

from __future__ import annotations

import argparse
import sys
import time

from tests.e2e.node import requirements
from tests.e2e.node.cluster import RealCluster, e2e_folder
from tests.e2e.node.programs import built_programs
from tests.sandbox.errors import SandboxError


def main() -> int:
    """Does what the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.node", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    given = parser.parse_args()
    if reason := requirements.obstacle():
        print(f"no node here: {reason}", file=sys.stderr)
        return 1
    try:
        requirements.install(say)
        cluster = RealCluster(e2e_folder() / "by-hand", built_programs(say))
        cluster.stop()
        if given.action == "up":
            started = time.monotonic()
            cluster.up({}, say)
            say(f"the node is ready after {time.monotonic() - started:.1f} s")
            say(f"export KUBECONFIG={cluster.admin_kubeconfig} PATH={cluster.kubectl_program.parent}:$PATH")
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def say(line: str) -> None:
    """Prints one line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
