"""Several models in one run: who is whose turn, what each reached, and which one is chosen.

One after the other, also where their servers differ: DSPy's cache and settings are one for the process, and
two searches at once hold two journals and two sets of samples in memory. spec.model is first; each model has
one turn, in which its prompts are searched for, measured, and what is served on it is measured, so that no
model comes back to a server after another was loaded. What still takes turns with it on its server is a
promptModel there; the embedding model of metric.matching semantic comes behind all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from domaintraining.api.comparison import ComparedModel, ComparedTask
from domaintraining.api.report import TaskPrompt
from domaintraining.api.run import Run, run_for
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.augmenting import Judged
from domaintraining.trainer.budget import Budget
from domaintraining.trainer.calls.probe import PROBES
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.scoring.comparison import Measured
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.session import OwnEnding, Session


@dataclass(frozen=True)
class Turn:
    """One model's turn."""

    run: Run
    """The run as if it were for this model alone."""
    session: Session
    """The attempt; what is wrong with the model alone does not end it."""
    ending: OwnEnding
    place: int
    """Number of the turn, from 0."""
    of: int
    """How many there are."""

    @property
    def last(self) -> bool:
        """Whether no further one follows."""
        return self.place == self.of - 1

    @property
    def words(self) -> str:
        """What to call it."""
        return f"model {self.place + 1} of {self.of} ({self.run.model.name}): " if self.of > 1 else ""

    def again(self) -> "Turn":
        """The same turn, after something was wrong with the model."""
        ending = OwnEnding(self.ending.run)
        return replace(self, session=replace(self.session, ending=ending), ending=ending)

    def budget(self, material: Material, closing: Callable[[str], int]) -> Budget:
        """What the searches of the turn may cost: with the last one's all that is left.

        Args:
            material: the samples.
            closing: calls that end a model's turn behind its searches, by its name.
        """
        session = self.session
        if self.of == 1:
            return session.budget
        least = material.starting_calls(self.run)
        if self.place == 0 and self.run.max_concurrent_requests is None and session.tally.short_calls:
            least -= PROBES  # the baseline's first call made them
        later = material.calls_behind(self.place, closing)
        own = session.costs.on(self.run.model.name)
        return session.budget.part(self.of - self.place, own, least, later)


@dataclass(frozen=True)
class Tried:
    """What a model's turn led to."""

    run: Run
    found: Mapping[Task, Found]
    prompts: Mapping[Task, TaskPrompt]
    measured: Measured
    """What these prompts answered on the held-out documents."""
    augmented: Judged
    """What rewordings are worth in them."""

    @property
    def validation_f1(self) -> float:
        """Mean over the tasks of the validation F1, by which a model is chosen."""
        return sum(one.validation_f1 for one in self.found.values()) / len(self.found)


def turns(session: Session, run: Run) -> Iterator[Turn]:
    """The turns of a run's models, its own first.

    Args:
        session: the attempt.
        run: the run, with the mode that runs.
    """
    runs = [run, *(run_for(run, rival) for rival in run.compare_with)]
    for place, one in enumerate(runs):
        ending = OwnEnding(session.ending)
        own = replace(session, run=one, ending=ending)
        yield Turn(one, own, ending, place, len(runs))


def chosen(tried: Sequence[Tried]) -> Tried:
    """The model of a run: by validation scores only; of equal ones the first in the order of the spec."""
    return max(tried, key=lambda one: one.validation_f1)


class Table:
    """The comparison as status and manifest show it, told whenever it changes; of one model there is none.

    Args:
        session: the attempt.
        run: the run with all its models.
    """

    def __init__(self, session: Session, run: Run) -> None:
        self._session = session
        models = [run.model, *(one.model for one in run.compare_with)]
        self.rows = [ComparedModel(name=one.name, endpoint=one.endpoint, digest=one.digest) for one in models]
        self._several = len(models) > 1

    def begun(self, turn: Turn) -> None:
        """A turn begins."""
        if self._several:
            self._session.tally.model(turn.run.model.name, turn.place, turn.of)
        self._tell(turn, "model_begun", f"{turn.words}its turn begins", state="Training")

    def compared(self, turn: Turn, found: Mapping[Task, Found], metrics: Metrics) -> None:
        """A model has its numbers.

        Args:
            turn: its turn.
            found: what its searches ended with.
            metrics: of its prompts alone.
        """
        tasks = {task: _task(one, metrics, task) for task, one in found.items()}
        cut = any(one.cut for one in found.values())
        state = "CutShort" if cut else "Compared"
        self._tell(turn, "model_compared", f"{turn.words}measured", state=state, **tasks)

    def failed(self, turn: Turn, error: DomainTrainingError) -> None:
        """A model takes no part in the choice."""
        what = {"state": "NotCompared", "message": error.message[:1024]}
        self._tell(turn, "model_not_compared", f"{turn.words}{error.message}", **what)

    def choose(self, winner: Tried) -> None:
        """A model is chosen."""
        names = [row.name for row in self.rows]
        at = names.index(winner.run.model.name)
        self.rows[at] = self.rows[at].model_copy(update={"chosen": True})
        score = round(winner.validation_f1, 3)
        self._publish("model_chosen", f"{winner.run.model.name} is chosen", validation_f1=score)

    @property
    def described(self) -> dict[str, object]:
        """What the manifest says."""
        if not self._several:
            return {}
        rows = [row.model_dump(mode="json", by_alias=True, exclude_none=True) for row in self.rows]
        baseline = {"name": self.rows[0].name, "digest": self.rows[0].digest}
        return {"models": rows, "baselineModel": baseline}

    def _tell(self, turn: Turn, event: str, words: str, **changes: object) -> None:
        cost = self._session.costs.on(turn.run.model.name)
        row = self.rows[turn.place].model_copy(
            update={"model_calls": cost.calls, "seconds": cost.seconds, **changes}
        )
        self.rows[turn.place] = row
        self._publish(event, words, model=row.name, calls=cost.calls, seconds=cost.seconds)

    def _publish(self, event: str, words: str, **data: object) -> None:
        if self._several:
            self._session.reporter.update(models=list(self.rows))
            self._session.reporter.flush()
            self._session.log.event(event, words, **data)


def _task(found: Found, metrics: Metrics, task: Task) -> ComparedTask:
    measured = metrics.entities if task == "entities" else metrics.relations
    return ComparedTask(
        f1=measured.f1 if measured else None,
        confidence_interval=measured.confidence_interval if measured else None,
        validation_f1=round(found.validation_f1, 3),
    )
