"""`python -m tests.e2e`: the product on a real node of this machine. Needs Linux and root."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from tests.e2e import images
from tests.e2e.images.debian import hindrance
from tests.e2e.node import requirements
from tests.e2e.node.programs import built_programs
from tests.sandbox.build import helm_binary
from tests.sandbox.errors import SandboxError

FOLDER = Path(__file__).parent
TEST_SECONDS = 600


def main(given: Sequence[str] | None = None) -> int:
    """Builds what is not built yet and runs the tests; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    parser.add_argument(
        "--where-possible", action="store_true", help="no failure where this machine can't have a node"
    )
    arguments, rest = parser.parse_known_args(given)
    if reason := requirements.obstacle() or hindrance():
        print(f"e2e not run here, because {reason}", flush=True)
        return 0 if arguments.where_possible else 1
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    try:
        _build()
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    built = time.monotonic()
    code = pytest.main([str(FOLDER), *_options(), *rest])
    ended = time.monotonic()
    say(
        f"e2e: {built - started:.0f} s for packages, programs and images, {ended - built:.0f} s for the tests"
    )
    return int(code)


def say(line: str) -> None:
    """Prints one line at once."""
    print(line, flush=True)


def _build() -> None:
    """Everything that takes minutes when it is done for the first time."""
    requirements.install(say)
    built_programs(say)
    helm_binary(say)
    images.built(say)


def _options() -> list[str]:
    """The tests talk while they run, and end in any case."""
    return [
        *("-p", "no:cacheprovider", "--capture=no", "--verbose", "--durations=0", "--durations-min=1"),
        f"--timeout={TEST_SECONDS}",
        f"--rootdir={FOLDER.parents[1]}",
    ]


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    """SIGTERM ends like Ctrl-C: the node is stopped on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
