"""The trainer as it runs in its pod, for tests that kill it: `python -m tests.integration.trainer_pod …`.

Everything is the role's own but the way to the API server, a stand-in on loopback without TLS: its URL is in
SIMULATED_API.
"""

from __future__ import annotations

import os
import sys

from domaintraining.__main__ import leave
from domaintraining.trainer import main as role
from domaintraining.trainer.kubereport import ApiServer


def main() -> None:
    """The role's own main, and its end."""
    role.in_cluster_api = lambda *_: ApiServer(os.environ["SIMULATED_API"])  # type: ignore[attr-defined]
    leave(role.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
