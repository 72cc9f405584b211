"""The calls of a run made ready: its servers, its journal and how many calls are in flight."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.api.status import ModelStatus
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.limited import Limited
from domaintraining.trainer.calls.probe import measure_slots
from domaintraining.trainer.calls.server import ModelServer
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.journal import Journal, open_journal
from domaintraining.trainer.search.finished import Finished
from domaintraining.trainer.session import CountedServer, Session

Serve = Callable[[Session, ModelStatus], ModelServer]
"""Makes the server of a model."""


@dataclass(frozen=True)
class Connection:
    """The calls of a run."""

    task: Calls
    """Calls to the server of the model that is trained for."""
    proposals: Calls
    """Calls to the server of the model that proposes instructions; often the same."""
    finished: Finished
    """Searches that earlier attempts finished."""

    @contextmanager
    def limited(self, budget: Budget) -> Iterator[tuple[Limited, Limited]]:
        """Both within a budget, for the time of the block."""
        budget.begin()
        with self.task.limited(budget) as task:
            if self.proposals is self.task:
                yield task, task
                return
            with self.proposals.limited(budget) as proposals:
                yield task, proposals


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
    warn = partial(session.log.event, "journal_warning")
    fingerprint = Fingerprint.of_run(run, data)
    with closing(open_journal(folder, fingerprint, warn=warn)) as journal:
        if journal.answered:
            what = f"{journal.answered} answers of earlier attempts are in the journal"
            session.log.event("journal_opened", what, answers=journal.answered)
        with (
            closing(_calls(session, run, serve, journal)) as task,
            closing(_proposals(session, run, serve, journal) or task) as proposals,
        ):
            yield Connection(task, proposals, Finished(journal, fingerprint.hash, partial(_tell, session)))


def _tell(session: Session, task: Task) -> None:
    what = f"{task}: what the search ended with is in the journal; it is not made again"
    session.log.event("search_known", what, task=task)


def _calls(session: Session, run: Run, serve: Serve, journal: Journal) -> Calls:
    models = (run.prompt_model, run.data_model, run.embedding_model, run.model)
    here = [one for one in models if one and one.endpoint == run.model.endpoint]
    digests = {one.name: one.digest for one in here}
    return _calls_to(session, serve, journal, run.model, run.max_concurrent_requests, digests)


def _proposals(session: Session, run: Run, serve: Serve, journal: Journal) -> Calls | None:
    """Calls to another server; None: the same one proposes."""
    model = run.prompt_model
    if model is None or model.endpoint == run.model.endpoint:
        return None
    return _calls_to(session, serve, journal, model, run.prompt_requests, {model.name: model.digest})


def _calls_to(  # noqa: PLR0913, PLR0917 - all that a server's calls are made of
    session: Session,
    serve: Serve,
    journal: Journal,
    model: ModelStatus,
    slots: int | None,
    digests: dict[str, str],
) -> Calls:
    server = serve(session, model)
    told = partial(session.costs.answered, session.run.model.name)
    counted = CountedServer(server, session.tally, session.ending, answered=told)
    return Calls(counted, journal, slots or partial(_measured, session, server, model), digests)


def _measured(session: Session, server: ModelServer, model: ModelStatus) -> int:
    told = partial(session.costs.answered, session.run.model.name)
    short = CountedServer(server, session.tally, session.ending, short=True, answered=told)
    slots = measure_slots(short, model.name, session.run.options)
    session.log.event("slots_measured", f"{model.endpoint} serves {slots} calls at once", slots=slots)
    return slots
