"""Fetches the samples of a run from where spec.dataset says, with retries for what may pass."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from domaintraining.api.run import Run
from domaintraining.api.sources import RemoteSource
from domaintraining.dataguard import DataGuard, data_origin
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Lookup, look_up
from domaintraining.reach import Reach
from domaintraining.trainer.calls.outage import pauses
from domaintraining.trainer.data.limits import MEBIBYTE
from domaintraining.trainer.data.sources import open_source
from domaintraining.trainer.data.sources.source import (
    TOTAL_SECONDS,
    Content,
    Credentials,
    Download,
    Means,
    Source,
)

FILE: Final = "samples"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Samples that were fetched into a file of this machine."""

    file: Path
    """The file; it is gone when the samples are read."""
    content: Content | None
    """What the source says of it; None: it is still what was known, and the file is empty."""


@dataclass(frozen=True)
class Fetching:
    """How samples are fetched.

    `waiting` is told what fails while it fails, and None when it is over; `progress` is told how far it is.
    """

    reach: Reach
    """Proxy and authorities."""
    credentials: Path | None = None
    """Folder that the Secret is mounted at."""
    waiting: Callable[[DomainTrainingError | None], None] = lambda _: None
    progress: Callable[[str], None] = lambda _: None
    look_up: Lookup = look_up
    """Resolves names; for tests, as are the next two."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    most_seconds: float = TOTAL_SECONDS
    """How long one try may take, whatever the server does."""


@contextmanager
def fetched(run: Run, fetching: Fetching, known: str = "") -> Iterator[Fetched | None]:
    """The samples of a run whose data are on a server, as a file for the time of the block.

    Args:
        run: the run.
        fetching: how.
        known: what the source called its content before (`Content.version`); empty: nothing is known.

    Yields:
        The file; None where the data are mounted.

    Raises:
        DomainTrainingError: what keeps them from being fetched; what may pass has been tried again for
            `run.outage_seconds`.
    """
    given = run.data.remote.given()
    if given is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        file = Path(folder) / FILE
        yield Fetched(file, _fetch(run, *given, fetching, known, file))


def _fetch(  # noqa: PLR0913, PLR0917 - what a download is made of
    run: Run, name: str, spec: RemoteSource, fetching: Fetching, known: str, file: Path
) -> Content | None:
    source = open_source(name, spec, means_of(run, spec, fetching))
    waited, since = False, fetching.clock()
    for pause in pauses():
        try:
            content = _try(source, spec.title, fetching, known, file)
        except DomainTrainingError as error:
            failing_for = fetching.clock() - since
            if not error.retryable:
                raise
            if failing_for >= run.outage_seconds:
                message = f"{error.message}; tried again for {failing_for:.0f} s"
                raise DomainTrainingError(error.reason, message) from error
            fetching.waiting(error)
            waited = True
            fetching.sleep(pause)
            continue
        if waited:
            fetching.waiting(None)
        return content
    raise AssertionError  # pauses() has no end


def _try(source: Source, title: str, fetching: Fetching, known: str, file: Path) -> Content | None:
    """One try, in a thread of its own: a server that drips byte by byte lets no call end, and is left.

    The thread that is left behind has a file of its own, which is closed to it.
    """
    file.unlink(missing_ok=True)
    with file.open("wb") as opened:
        download = Download(opened, title, _told(title, fetching), fetching.clock)
        done = Future[Content | None]()
        threading.Thread(target=_settle, args=(done, source, download, known), daemon=True).start()
        try:
            return done.result(fetching.most_seconds)
        except TimeoutError:
            if done.done():
                return done.result()  # at the last moment, or an error of the source's own
            raise download.overdue(fetching.most_seconds) from None


def _settle(done: Future[Content | None], source: Source, download: Download, known: str) -> None:
    try:
        done.set_result(source.fetch(download, known))
    except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
        done.set_exception(error)


def means_of(run: Run, spec: RemoteSource, fetching: Fetching) -> Means:
    """What a source works with: its server alone is reached, at addresses that it may have."""
    guard = DataGuard(
        api_server=lambda: run.api_server,
        look_up=fetching.look_up,
        server=data_origin(spec.server),
        leads=run.data.leads,
    )
    reach = replace(fetching.reach, guard=guard)
    return Means(spec.title, reach, Credentials(spec.secret, fetching.credentials))


def _told(title: str, fetching: Fetching) -> Callable[[int], None]:
    """Tells of each further MiB."""
    last = 0

    def told(size: int) -> None:
        nonlocal last
        if size // MEBIBYTE != last:
            last = size // MEBIBYTE
            fetching.progress(f"fetching {title}: {last} MiB")

    return told
