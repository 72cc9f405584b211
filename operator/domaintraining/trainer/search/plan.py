"""What MIPROv2 is going to do: its numbers of demo sets, instructions, trials and calls. Pure.

Read from dspy 3.4.1, teleprompt/mipro_optimizer_v2.py, teleprompt/utils.py and propose/; a test compares.
"""

from dataclasses import dataclass
from math import ceil, log2
from typing import Final

from domaintraining.api.spec import Auto, Optimizer

DEMO_SETS: Final[dict[Auto, int]] = {"light": 6, "medium": 12, "heavy": 18}
VALIDATION_CAP: Final[dict[Auto, int]] = {"light": 100, "medium": 300, "heavy": 1000}
MINIBATCH_ABOVE: Final = 50
"""Validation samples above which a trial sees a part of them only."""
FULL_EVERY: Final = 5
"""Minibatch trials between two full evaluations."""
ZERO_SHOT_DEMOS: Final = 3
"""Demos of a set that only inform the proposals, where none may stand in the prompt."""
SUMMARY_BATCH: Final = 10
SUMMARY_BATCHES: Final = 10
CALLS_PER_PROPOSAL: Final = 3
ATTEMPTS_PER_DEMO: Final = 2
"""A guess: every second answer is good enough to become a demo. Corrected by what is counted."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The search for one task."""

    trials: int
    """Combinations of instruction and demos that are tried."""
    demo_sets: int
    instructions: int
    validation: int
    """Validation samples that take part."""
    batched: bool
    """Whether MIPROv2 evaluates on minibatches, and the best of them on all samples in between."""
    minibatch: int
    """Validation samples of one trial."""
    full_evaluations: int
    """Evaluations of all validation samples beside the trials: of the start, and of the best in between."""
    bootstrap_calls: int
    """Task calls that collect demos: a guess."""
    proposal_calls: int
    """Calls that describe data and program and propose instructions: at most, while all are readable."""

    @property
    def evaluations(self) -> int:
        """Evaluations of a program: that of the start, the trials, and the full ones in between."""
        return self.trials + self.full_evaluations

    @property
    def evaluation_calls(self) -> int:
        """Task calls that score: exactly."""
        return self.trials * self.minibatch + self.full_evaluations * self.validation

    @property
    def calls(self) -> int:
        """Calls of the whole search, those that DSPy's cache answers among them."""
        return self.bootstrap_calls + self.proposal_calls + self.evaluation_calls


def search_plan(auto: Auto, trainset: int, valset: int, optimizer: Optimizer) -> SearchPlan:
    """The plan of MIPROv2 for a program with one predictor.

    Where no demo may stand in the prompt, the proposer is not shown any sample either.

    Args:
        auto: mode of the search, not adaptive; with manual, the numbers are those of `optimizer`.
        trainset: samples for demos.
        valset: validation samples.
        optimizer: options; a minibatch is never larger than the validation samples.
    """
    zero_shot = optimizer.bootstrapped_demos == 0 and optimizer.labeled_demos == 0
    sets, instructions, trials = _numbers(auto, optimizer, zero_shot=zero_shot)
    validation = min(valset, VALIDATION_CAP.get(auto, valset))
    # in manual MIPROv2 is told to use minibatches wherever they are smaller than the whole
    batched = optimizer.minibatch_size < validation if auto == "manual" else validation > MINIBATCH_ABOVE
    return SearchPlan(
        trials=trials,
        demo_sets=sets,
        instructions=instructions,
        validation=validation,
        batched=batched,
        minibatch=min(optimizer.minibatch_size, validation) if batched else validation,
        full_evaluations=1 + (_full_evaluations(trials) if batched else 0),
        bootstrap_calls=_bootstrap_calls(sets, trainset, optimizer, zero_shot=zero_shot),
        proposal_calls=(0 if zero_shot else _summary_calls(trainset)) + CALLS_PER_PROPOSAL * instructions,
    )


def _numbers(auto: Auto, optimizer: Optimizer, *, zero_shot: bool) -> tuple[int, int, int]:
    """Sets of demos, instructions and trials."""
    if auto == "manual":
        candidates, trials = optimizer.num_candidates, optimizer.num_trials
        assert candidates is not None, "the API server refuses manual without numCandidates"
        assert trials is not None, "the API server refuses manual without numTrials"
        return candidates, candidates, trials
    sets = DEMO_SETS[auto]
    variables = 1 if zero_shot else 2
    return sets, sets if zero_shot else sets // 2, int(max(2 * variables * log2(sets), 1.5 * sets))


def _full_evaluations(trials: int) -> int:
    """Full evaluations among minibatch trials: they take numbers of their own, so they are counted out."""
    last = trials + trials // FULL_EVERY + (1 if trials % FULL_EVERY else 0)
    full, number = 0, 1
    for _ in range(trials):
        number += 1
        if number % (FULL_EVERY + 1) == 0 or number == last:
            full += 1
            number += 1
    return full


def _bootstrap_calls(sets: int, trainset: int, optimizer: Optimizer, *, zero_shot: bool) -> int:
    """One set has no demos and one (where there may be labelled ones) only labels; the rest are attempted."""
    most = ZERO_SHOT_DEMOS if zero_shot else optimizer.bootstrapped_demos
    shuffled = sets - (2 if zero_shot else 3)
    if shuffled < 0:
        return 0
    attempts = min(trainset, ATTEMPTS_PER_DEMO * most)
    return attempts + shuffled * min(trainset, ATTEMPTS_PER_DEMO * (1 + most) // 2)


def _summary_calls(trainset: int) -> int:
    """The first batch, further ones, and the summary of what was observed."""
    return 1 + min(SUMMARY_BATCHES - 1, ceil(trainset / SUMMARY_BATCH) - 1) + 1
