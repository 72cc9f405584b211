"""What all stages of a run share: its counts, its report, its log, and how it ends."""

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from domaintraining.api.reasons import Reason
from domaintraining.api.report import Failure
from domaintraining.api.run import Run
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.server import ChatAnswer, GivenUp, ModelServer
from domaintraining.trainer.costs import Costs
from domaintraining.trainer.log import JsonLog
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.reporter import Reporter

ANNOUNCE_SECONDS: Final = 20.0
OF_ONE_MODEL: Final = frozenset({Reason.BUDGET_EXHAUSTED, Reason.MODEL_OUTPUT_INVALID})
"""What may be wrong with one of several models: its part of the budget, or what it answers."""


class Ending:
    """The first error that ends a run; whoever asks afterwards is stopped by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: DomainTrainingError | None = None

    def give_up(self, error: DomainTrainingError) -> NoReturn:
        """End the run from a thread that others wait for; raises GivenUp with the first error."""
        raise GivenUp(self._first(error))

    def leave(self, error: DomainTrainingError) -> NoReturn:
        """End the run from a thread that nobody waits for: it ends without a word."""
        self._first(error)
        sys.exit()

    def check(self) -> None:
        """Go on, or raise GivenUp where the run is being ended."""
        with self._lock:
            error = self._error
        if error is not None:
            raise GivenUp(error)

    def _first(self, error: DomainTrainingError) -> DomainTrainingError:
        with self._lock:
            self._error = self._error or error
            return self._error


class OwnEnding(Ending):
    """The ending of one of several models: what is wrong with it alone does not end the run.

    Args:
        run: the ending of the run.
    """

    def __init__(self, run: Ending) -> None:
        super().__init__()
        self.run: Final[Ending] = run

    def give_up(self, error: DomainTrainingError) -> NoReturn:
        """End the work on the model, or the run; raises GivenUp."""
        if error.reason not in OF_ONE_MODEL:
            self.run.give_up(error)
        raise GivenUp(self._first(error))

    def leave(self, error: DomainTrainingError) -> NoReturn:
        """End the run."""
        self.run.leave(error)

    def check(self) -> None:
        """Go on, or raise GivenUp where model or run are being ended."""
        self.run.check()
        super().check()

    @property
    def error(self) -> DomainTrainingError | None:
        """What ended the work on the model; None: nothing did."""
        with self._lock:
            return self._error


class CountedServer:
    """A model server whose answers are counted and that answers nobody once the run is being ended.

    DSPy leaves threads behind that would go on calling.

    Args:
        server: answers.
        tally: counts.
        ending: of the run.
        short: whether the calls say nothing of the run's other ones.
        answered: told of each answer.
    """

    def __init__(
        self,
        server: ModelServer,
        tally: Tally,
        ending: Ending,
        *,
        short: bool = False,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._server, self._tally, self._ending = server, tally, ending
        self._short, self._told = short, answered

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        """The answer to one body of /api/chat."""
        self._ending.check()
        answer = self._server.chat(body)
        self._tally.answered(answer.prompt_tokens + answer.answer_tokens, short=self._short)
        self._told()
        self._ending.check()
        return answer


@dataclass(frozen=True)
class Session:
    """One attempt at a run."""

    run: Run
    tally: Tally
    reporter: Reporter
    log: JsonLog
    ending: Ending
    budget: Budget
    costs: Costs = field(default_factory=Costs)

    def announce(self) -> None:
        """Have the report written before the next call; an API server that is away does not stop the run."""
        try:
            self.reporter.insist(ANNOUNCE_SECONDS)
        except DomainTrainingError as error:
            if not error.retryable:
                raise
            self.log.event("report_late", error.message)

    def waiting(self, what: str) -> None:
        """Tell that the model server fails and is waited for."""
        reason = Reason.MODEL_SERVER_UNAVAILABLE
        self.reporter.update(waiting=Failure(reason=reason, message=what[:1024]))
        self.reporter.flush()
        self.log.event("model_server_waited_for", what)

    def waiting_for_data(self, error: DomainTrainingError | None) -> None:
        """Tell that the server of the data fails and is waited for; None: that it is over."""
        failure = None if error is None else Failure(reason=error.reason, message=error.message[:1024])
        self.reporter.update(waiting=failure)
        self.reporter.flush()
        if error is None:
            self.log.event("data_server_recovered", "the samples are there")
        else:
            self.log.event("data_server_waited_for", error.message, reason=error.reason)

    def recovered(self) -> None:
        """Tell that the model server answers again."""
        self.reporter.update(waiting=None)
        self.reporter.flush()
        self.log.event("model_server_recovered", "the model server answers again")
