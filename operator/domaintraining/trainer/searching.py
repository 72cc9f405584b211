"""The searches of one model's turn: all tasks at once, within the turn's part of the budget."""

from collections.abc import Callable, Mapping

from domaintraining.api.spec import Task
from domaintraining.api.status import ModelStatus
from domaintraining.trainer.calls.connect import Connection
from domaintraining.trainer.calls.limited import Limited
from domaintraining.trainer.compare import Turn
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.optimize import Means, Setting, configure_dspy, optimize
from domaintraining.trainer.search.rollouts import Rollouts
from domaintraining.trainer.similar import SimilarDomains


def search_prompts(
    turn: Turn,
    connection: Connection,
    material: Material,
    similar: SimilarDomains,
    closing: Callable[[str], int],
) -> dict[Task, Found]:
    """The best programs for a model, one for each task: of those that MIPROv2 and similar domains have.

    Args:
        turn: the model's turn.
        connection: its calls.
        material: the samples.
        similar: the similar domains.
        closing: calls that end a model's turn behind its searches, by its name.

    Raises:
        GivenUp: the search can't go on; what concerns the model alone stands in the turn's ending as well.
    """
    run, session = turn.run, turn.session
    searches = [material.search(task) for task in run.tasks]
    budget = turn.budget(material, closing)
    rollouts = configure_dspy()
    session.log.event("search_started", f"{turn.words}MIPROv2, auto {run.auto}", tasks=list(run.tasks))
    with connection.limited(budget) as (task, proposals):
        engine = _engine(turn, task, run.model, rollouts)
        proposer = _engine(turn, proposals, run.prompt_model or run.model, rollouts)
        setting = Setting(run, engine, proposer, connection.task.slots, hurried=budget.limited)
        give_up = session.ending.give_up
        means = Means(setting, connection.task, session.tally, give_up, connection.finished)
        found = similar.best(optimize(searches, means), searches, means, task)
    _tell(turn, found)
    return found


def _engine(turn: Turn, calls: Limited, model: ModelStatus, rollouts: Rollouts) -> OllamaEngine:
    options = turn.run.options, turn.run.optimizer.seed
    give_up, rollout = turn.session.ending.give_up, rollouts.current
    return OllamaEngine(calls, model.name, *options, digest=model.digest, give_up=give_up, rollout=rollout)


def _tell(turn: Turn, found: Mapping[Task, Found]) -> None:
    cut = any(one.cut for one in found.values())
    what = "the budget is spent: the best so far is kept" if cut else "MIPROv2 is through"
    scores = {task: round(one.validation_f1, 3) for task, one in found.items()}
    turn.session.log.event("search_done", f"{turn.words}{what}", validation_f1=scores)
