"""`python -m tests.e2e.node up|down`: a real node to try things on, without the tests."""

from __future__ import annotations

import argparse
import sys
import time

from tests.e2e.node import requirements
from tests.e2e.node.cluster import RealCluster, only_node, state_folder
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
        cluster = RealCluster(state_folder(), built_programs(say))
        with only_node(say):
            cluster.stop()
            if given.action == "up":
                _up(cluster)
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _up(cluster: RealCluster) -> None:
    started = time.monotonic()
    cluster.up({}, say)
    say(f"the node is ready after {time.monotonic() - started:.1f} s")
    say(f"export KUBECONFIG={cluster.admin_kubeconfig} PATH={cluster.kubectl_program.parent}:$PATH")


def say(line: str) -> None:
    """Prints one line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
