"""What one search does, seen through DSPy's callbacks: counted, and ended where it would score an error."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import dspy
from dspy.lm15 import Request
from dspy.utils.callback import BaseCallback

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import GiveUp
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.search.program import Extraction


class Watch(BaseCallback):  # type: ignore[misc]
    """Counts the calls and trials of one search, and ends the run where DSPy would make a score of an error.

    Args:
        task: the task searched for.
        tally: where the counts go; it knows the search's plan.
        give_up: ends the run.
        on_evaluation: told the program and the samples of an evaluation that begins.
        on_scores: told the program of one that ended, and sample, answer and score of each of its samples.
    """

    def __init__(
        self,
        task: Task,
        tally: Tally,
        give_up: GiveUp,
        on_evaluation: Callable[[Extraction, Sequence[dspy.Example]], None] = lambda *_: None,
        on_scores: Callable[[Extraction, Sequence[tuple[dspy.Example, Any, Any]]], None] = lambda *_: None,
    ) -> None:
        super().__init__()
        self._on_scores = on_scores
        self._task = task
        self._tally, self._give_up, self._on_evaluation = tally, give_up, on_evaluation
        self._whole: dict[str, bool] = {}
        self._programs: dict[str, Extraction] = {}
        self.evaluations = 0
        """Evaluations that ended."""
        self._best: float | None = None
        self.best: Extraction | None = None
        """The best program so far by all validation samples; None: none was evaluated by all of them."""

    @property
    def best_f1(self) -> float:
        """Mean F1 by document of the best program so far, 0 to 1."""
        return self._best or 0.0

    def error(self, error: BaseException) -> NoReturn:
        """End the run with an error of this program."""
        self._give_up(_failure(self._task, error))

    def guarded(self, metric: Callable[..., float]) -> Callable[..., float]:
        """A metric whose errors end the run."""

        def safe_metric(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
            try:
                return metric(example, prediction, trace)
            except Exception as error:  # noqa: BLE001 - DSPy would score 0
                return self.error(error)

        return safe_metric

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:  # noqa: ARG002
        """Count a call; those with a Request are our adapter's, the others propose instructions."""
        if self._whole:
            self._tally.search_call(self._task, "evaluation")
        elif isinstance(inputs.get("prompt"), Request):
            self._tally.search_call(self._task, "bootstrap")
        else:
            self._tally.search_call(self._task, "proposal")

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:  # noqa: ARG002
        """Say what an evaluation will ask, and remember whether it is of all validation samples."""
        metadata = inputs.get("callback_metadata") or {}
        self._whole[call_id] = metadata.get("metric_key") == "eval_full"
        self._programs[call_id] = inputs["program"]
        self._on_evaluation(inputs["program"], inputs["devset"])

    def on_evaluate_end(
        self, call_id: str, outputs: Any | None, exception: BaseException | None = None
    ) -> None:
        """Count an evaluation, unless it has no true score."""
        whole, program = self._whole.pop(call_id), self._programs.pop(call_id)
        if isinstance(exception, Exception):
            self.error(exception)
        if outputs is None:  # the run is being ended
            return
        if any(not prediction.keys() for _, prediction, _ in outputs.results):
            self.error(RuntimeError("a sample without an answer"))
        self._on_scores(program, outputs.results)
        score = ratio(outputs.score)
        if whole and (self._best is None or score > self._best):
            self._best, self.best = score, program
        self.evaluations += 1
        self._tally.trial(self._task, self.evaluations, self._best)


def ratio(percent: float) -> float:
    """DSPy's score, 0 to 100, as 0 to 1."""
    return min(1.0, max(0.0, float(percent) / 100))


def _failure(task: Task, error: BaseException) -> DomainTrainingError:
    """An error of ours or of DSPy's; its words may hold sample text and are left out."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" in {where.tb_frame.f_code.co_name}, line {where.tb_lineno}" if where else ""
    message = f"{task}: {type(error).__name__}{place}"
    return DomainTrainingError(Reason.TRAINER_FAILED, message)
