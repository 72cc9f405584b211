"""What is mounted into a trainer, and the samples that a run or a check reads."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from domaintraining.reach import PLAIN, Reach
from domaintraining.trainer.data.fetch import Fetching, fetched
from domaintraining.trainer.data.material import Material, read_material
from domaintraining.trainer.session import Session


@dataclass(frozen=True)
class Folders:
    """What is mounted into the trainer's pod, and the way to what is not."""

    data: Path
    served: Path | None = None
    journal: Path | None = None
    similar: Path | None = None
    credentials: Path | None = None
    """The Secret for the server of the data."""
    reach: Reach = PLAIN
    """The way to the server of the data."""


def read(session: Session, folders: Folders) -> Material:
    """The samples, fetched first where they are on a server.

    Raises:
        DomainTrainingError: what keeps the run from training, without sample text.
        GivenUp: the server of the data does not answer.
    """
    material = read_news(session, folders, "")
    assert material is not None, "nothing was known"
    return material


def read_news(session: Session, folders: Folders, known: str) -> Material | None:
    """The samples, unless their server says that they are still those of a version.

    Args:
        session: the attempt.
        folders: what is mounted.
        known: what the source called its content before; empty: nothing is known.

    Raises:
        DomainTrainingError: what keeps the run from training, without sample text.
        GivenUp: the server of the data does not answer.
    """
    session.tally.enter("loading_data", "reading samples")
    fetching = Fetching(
        folders.reach,
        folders.credentials,
        waiting=session.waiting_for_data,
        progress=partial(session.tally.enter, "loading_data"),
    )
    with fetched(session.run, fetching, known) as found:
        if found is not None and found.content is None:
            return None
        material = read_material(session.run, folders.data, found)
    session.reporter.update(data_version=material.version)
    return material
