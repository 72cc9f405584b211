"""The embeddings of a run's own texts, by which domains are compared.

They are asked for before the model's own calls, so that the models don't take turns. Nothing depends on them:
without a vector the types tell alone how alike two domains are, so what is wrong with the embedding model
ends no run, and it is waited for a minute, not for an outage of the model server.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, NoReturn

import numpy as np

from domaintraining.api.similar import DataVector
from domaintraining.api.status import ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.connect import Connection
from domaintraining.trainer.calls.embedding import ask_embeddings
from domaintraining.trainer.calls.server import GivenUp
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.search.similar import packed
from domaintraining.trainer.session import OwnEnding, Session

MOST_TEXTS: Final = 64
"""Texts whose embeddings stand for a domain; by their digests, so that they are always the same."""
LONGEST: Final = 4_000
"""Characters of such a text that are read."""
OUTAGE_SECONDS: Final = 60
"""How long failures of the embedding model go on before the run does without."""
TOLD: Final = 400


class Optional(OwnEnding):
    """The ending of work that a run can do without: whatever the server says ends only this work."""

    def give_up(self, error: DomainTrainingError) -> NoReturn:
        """End the work; raises GivenUp."""
        raise GivenUp(self._first(error))


def embedded_texts(texts: Sequence[str]) -> list[str]:
    """The texts that stand for a domain, as they are embedded."""
    known = sorted(set(texts), key=text_digest)
    return [text[:LONGEST] for text in known[:MOST_TEXTS]]


def data_vector(
    session: Session,
    model: ModelStatus,
    texts: Sequence[str],
    connect: Callable[[Session], AbstractContextManager[Connection]],
) -> tuple[DataVector | None, str]:
    """The vector of some texts, and what a person should know where there is none.

    Args:
        session: the attempt.
        model: makes embeddings.
        texts: see `embedded_texts`; at least one.
        connect: to the model's server.

    Raises:
        DomainTrainingError: the journal can't be used.
        GivenUp: the run is being ended.
    """
    ending = Optional(session.ending)
    seconds = min(OUTAGE_SECONDS, session.run.outage_seconds)
    # one call at a time: none is left behind that fails, and tells of it, after the run has gone on
    run = session.run.model_copy(update={"max_concurrent_requests": 1, "outage_seconds": seconds})
    try:
        with connect(replace(session, run=run, ending=ending)) as connection:
            return _asked(connection.task, model, texts), ""
    except GivenUp:
        if ending.error is None:
            raise
        why = ending.error.message
    except ValueError as error:  # what the journal holds, or the server sent, is none of this model's vectors
        why = str(error)
    session.reporter.update(waiting=None)
    session.log.event("no_data_vector", why, model=model.name)
    return (
        None,
        f"similar domains are told by their types alone: {model.name} makes no embeddings: {why[:TOLD]}",
    )


def _asked(calls: Calls, model: ModelStatus, texts: Sequence[str]) -> DataVector | None:
    rows = list(ask_embeddings(calls.chat, calls.expect_all, model.name, texts))
    if len({vectors.shape[1] for vectors in rows}) != 1:
        raise ValueError("its vectors have several lengths")
    return packed(np.concatenate(rows), model.name, model.digest)
