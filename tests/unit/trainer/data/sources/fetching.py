"""Short words for what the tests of sources do: fetch as a run does, and read what came."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.run import Run
from domaintraining.api.sources import Leads, RemoteSources
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Lookup, look_up
from domaintraining.reach import PLAIN, Reach
from domaintraining.trainer.data.dataset import Samples
from domaintraining.trainer.data.fetch import Fetching, fetched
from domaintraining.trainer.data.material import read_fetched
from domaintraining.trainer.data.sources.source import TOTAL_SECONDS
from tests.unit.trainer.loopback import Clock
from tests.unit.trainer.scripted import make_run, samples

CANARY = "s3cr3t-canary-9f8e"
"""A credential that no message may hold."""
ROWS = samples(12)
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()


def run_of(source: dict[str, Any], leads: Leads = "anywhere", written: str = "auto") -> Run:
    """A run whose data are on a server."""
    remote = RemoteSources.model_validate(source)
    given = remote.given()
    assert given is not None
    data = {"file": "", "source": given[1].title, "remote": remote, "leads": leads, "format": written}
    return make_run(data=data, apiServer=["192.0.2.10"], outageSeconds=20)


def secret(folder: Path, **values: str | bytes) -> Path:
    """A Secret as a kubelet mounts it: links beside folders of its own."""
    mounted = folder / "credentials"
    inner = mounted / "..2026_11_23"
    inner.mkdir(parents=True)
    (mounted / "..data").symlink_to(inner.name)
    for key, value in values.items():
        (inner / key).write_bytes(value if isinstance(value, bytes) else value.encode())
        (mounted / key).symlink_to(f"..data/{key}")
    return mounted


@dataclass
class Fetch:
    """One run's way to its data."""

    reach: Reach = PLAIN
    credentials: Path | None = None
    look_up: Lookup = look_up
    clock: Clock = field(default_factory=Clock)
    waited: list[str] = field(default_factory=list)
    most_seconds: float = TOTAL_SECONDS

    def samples(self, run: Run) -> tuple[Samples, str]:
        """The samples, and what the source calls them."""
        with fetched(run, self._fetching()) as found:
            assert found is not None
            return read_fetched(run, found)

    def unchanged(self, run: Run, known: str) -> bool:
        """Whether the source says that its content is still the known one."""
        with fetched(run, self._fetching(), known) as found:
            assert found is not None
            return found.content is None

    def error(self, run: Run) -> DomainTrainingError:
        """What keeps them from being read, which never holds a credential."""
        with pytest.raises(DomainTrainingError) as raised:
            self.samples(run)
        assert CANARY not in raised.value.message
        assert CANARY not in "".join(self.waited)
        return raised.value

    def _fetching(self) -> Fetching:
        return Fetching(
            self.reach,
            self.credentials,
            waiting=lambda error: self.waited.append("" if error is None else error.message),
            look_up=self.look_up,
            sleep=self.clock.sleep,
            clock=self.clock,
            most_seconds=self.most_seconds,
        )
