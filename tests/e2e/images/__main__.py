"""`python -m tests.e2e.images`: build the images and name their tars."""

from __future__ import annotations

import sys

from tests.e2e.images import built
from tests.sandbox.errors import SandboxError


def main() -> int:
    """Exit code 1 with the reason where the images can't be built."""
    try:
        tars = built(lambda line: print(line, flush=True))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    for name, tar in tars.items():
        print(f"{name}\t{tar}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
