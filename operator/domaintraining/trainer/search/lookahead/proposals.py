"""Instructions proposed early, by MIPROv2's own proposer: all at once, and each as far as it can go.

dspy's GroundedProposer asks for one after the other. An instruction needs the summary of the data, a chain of
calls of its own, only for its last call; the two before it need no more than demos.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import dspy
from dspy.propose.dataset_summary_generator import create_dataset_summary
from dspy.propose.grounded_proposer import GenerateModuleInstruction
from dspy.propose.utils import get_dspy_source_code, strip_prefix

from domaintraining.trainer.search.lookahead.draws import Proposal

DEMOS_IN_CONTEXT = 3
"""MIPROv2's BOOTSTRAPPED_FEWSHOT_EXAMPLES_IN_CONTEXT."""

Demos = Sequence[Sequence[dspy.Example]]
"""Sets of demos by number."""


class Proposals:
    """The instructions of one search.

    Args:
        program: what instructions are proposed for.
        lm: the model for proposals.
        aware: whether the proposer is shown samples and demos.
    """

    def __init__(self, program: dspy.Module, lm: dspy.LM, *, aware: bool) -> None:
        self._program, self._lm, self.aware = program, lm, aware
        self._source = get_dspy_source_code(program)
        self._summary: Future[str | None] = Future()

    def summarize(self, train: Sequence[dspy.Example], batch: int) -> None:
        """Begin the summary of the data; without sight of samples there is none."""
        if not self.aware:
            self._summary.set_result(None)
            return

        def summary() -> None:
            with dspy.context(callbacks=[]):
                self._summary.set_result(create_dataset_summary(list(train), batch, self._lm))

        self._start(summary)

    def propose(self, number: int, draw: Proposal, demos: Demos, then: Callable[[str], None]) -> None:
        """Begin a proposal.

        Args:
            number: of the instruction, from 0.
            draw: its tip and rollout.
            demos: all sets; those that it does not look at may be empty.
            then: told the instruction.
        """

        def proposal() -> None:
            lm = self._lm.copy(rollout_id=draw.rollout, temperature=self._lm.kwargs["temperature"])
            with dspy.context(lm=lm, callbacks=[]):
                proposed = self._generator(draw)(
                    demo_candidates={0: [list(one) for one in demos]},
                    pred_i=0,
                    demo_set_i=number,
                    program=self._program,
                    previous_instructions="",
                    data_summary=None,
                    num_demos_in_context=DEMOS_IN_CONTEXT,
                    tip=draw.tip,
                )
            then(strip_prefix(proposed.proposed_instruction))

        self._start(proposal)

    def stop(self) -> None:
        """Let those that wait for the summary end."""
        self._summary.cancel()

    def _generator(self, draw: Proposal) -> GenerateModuleInstruction:
        generator = GenerateModuleInstruction(
            program_code_string=self._source,
            use_dataset_summary=self.aware,
            program_aware=True,
            use_task_demos=self.aware,
            use_instruct_history=False,
            use_tip=bool(draw.tip),
        )
        generator.generate_module_instruction = _WithSummary(
            generator.generate_module_instruction, self._summary
        )
        return generator

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=_quietly, args=(work,), name="proposal", daemon=True).start()


class _WithSummary:
    """The last call of a proposal, which waits for the summary of the data."""

    def __init__(self, predictor: dspy.Predict, summary: "Future[str | None]") -> None:
        self._predictor, self._summary = predictor, summary

    def __call__(self, **inputs: Any) -> dspy.Prediction:
        return self._predictor(**{**inputs, "dataset_description": self._summary.result()})


def _quietly(work: Callable[[], None]) -> None:
    """The search itself meets the same error, and tells it; here it costs time only."""
    with contextlib.suppress(BaseException):
        work()


def examples_in_sight(number: int, demos: Sequence[Sequence[dspy.Example] | None]) -> bool:
    """Whether the sets that a proposal looks at are there: its own, those behind it, those before it.

    Args:
        number: of the instruction; the first looks at none.
        demos: sets by number; None is not collected yet.
    """
    if number == 0:
        return True
    seen = 0
    for one in (demos[number], *demos[number + 1 :], *demos[:number]):
        if one is None:
            return False
        seen += sum("augmented" in example for example in one)
        if seen >= DEMOS_IN_CONTEXT:
            return True
    return True
