"""The calls of a run made ready: its servers, its journal and how many calls are in flight."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from domaintraining.api.run import Run
from domaintraining.api.status import ModelStatus
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.probe import measure_slots
from domaintraining.trainer.calls.server import ModelServer
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.journal import Journal, open_journal
from domaintraining.trainer.session import CountedServer, Session

Serve = Callable[[Session, ModelStatus], ModelServer]
"""Makes the server of a model."""

PROPOSALS_AT_ONCE: Final = 4
"""Calls in flight on a server of its own that proposes instructions: nobody told how many it serves."""


@dataclass(frozen=True)
class Connection:
    """The calls of a run."""

    task: Calls
    """Calls to the server of the model that is trained for."""
    proposals: Calls
    """Calls to the server of the model that proposes instructions; often the same."""

    @contextmanager
    def limited(self, budget: Budget) -> Iterator[None]:
        """Send nothing beyond a budget for the time of the block."""
        with self.task.limited(budget), self.proposals.limited(budget):
            yield


@contextmanager
def connected(
    session: Session, run: Run, serve: Serve, folder: Path | None, data: str
) -> Iterator[Connection]:
    """The calls of a run, for the time of the block.

    Args:
        session: the attempt.
        run: the run, with the mode that runs.
        serve: makes servers.
        folder: where the journal's volume is mounted; None: there is none.
        data: digest of the samples.

    Raises:
        DomainTrainingError: the journal can't be used.
        GivenUp: the server does not answer.
    """
    warn = lambda what: session.log.event("journal_warning", what)  # noqa: E731
    journal = open_journal(folder, Fingerprint.of_run(run, data), warn=warn)
    if journal.answered:
        what = f"{journal.answered} answers of earlier attempts are in the journal"
        session.log.event("journal_opened", what, answers=journal.answered)
    try:
        task = _calls(session, run, serve, journal)
        proposals = _proposals(session, run, serve, journal) or task
        yield Connection(task, proposals)
        proposals.close()
        task.close()
    finally:
        journal.close()


def _calls(session: Session, run: Run, serve: Serve, journal: Journal) -> Calls:
    server = _counted(session, serve(session, run.model))
    slots = run.max_concurrent_requests or partial(_measured, session, run, server)
    here = [one for one in (run.prompt_model, run.model) if one and one.endpoint == run.model.endpoint]
    return Calls(server, journal, slots, {one.name: one.digest for one in here})


def _measured(session: Session, run: Run, server: ModelServer) -> int:
    slots = measure_slots(server, run.model.name, run.options)
    session.log.event("slots_measured", f"the model server serves {slots} calls at once", slots=slots)
    return slots


def _proposals(session: Session, run: Run, serve: Serve, journal: Journal) -> Calls | None:
    """Calls to another server; None: the same one proposes."""
    model = run.prompt_model
    if model is None or model.endpoint == run.model.endpoint:
        return None
    server = _counted(session, serve(session, model))
    return Calls(server, journal, PROPOSALS_AT_ONCE, {model.name: model.digest})


def _counted(session: Session, server: ModelServer) -> ModelServer:
    return CountedServer(server, session.tally, session.ending)
