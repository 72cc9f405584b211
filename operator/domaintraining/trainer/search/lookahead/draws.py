"""The random draws of one MIPROv2 run, made in its order before it makes them. Pure.

Read from dspy 3.4.1: teleprompt/mipro_optimizer_v2.py, teleprompt/utils.py, propose/grounded_proposer.py.
All draws but TPE's come from one `random.Random(seed)`; none depends on an answer of a model. TPE's first
`n_startup_trials` are random as well. A wrong draw costs time: the search makes its own.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

import optuna
from dspy.propose.grounded_proposer import TIPS

from domaintraining.trainer.search.plan import FULL_EVERY, SearchPlan

LARGEST_ROLLOUT: Final = 10**9
STARTUP_TRIALS: Final = 10
"""TPESampler's n_startup_trials: so many complete trials, that of the start among them, before it models."""


@dataclass(frozen=True, slots=True)
class DemoSet:
    """How one set of demos is collected."""

    order: tuple[int, ...]
    """Train samples in the order in which they are tried."""
    size: int
    """Demos to collect; 0 for the set without demos and the one of labels."""
    labels_only: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """How one instruction is proposed."""

    tip: str
    rollout: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that does not depend on a score."""

    instruction: int
    demo_set: int | None
    batch: tuple[int, ...]
    """Validation samples that it sees, as positions in the drawn ones."""


@dataclass(frozen=True, slots=True)
class Draws:
    """All that is certain before the first answer."""

    validation: tuple[int, ...]
    """Validation samples that take part, in their order."""
    demo_sets: tuple[DemoSet, ...]
    proposals: tuple[Proposal, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the draws depend on."""

    train: int
    valset: int
    seed: int
    max_bootstrapped: int
    """Demos of the model's own, 0 with max_labeled 0 for a search without demos."""
    max_labeled: int
    """Demos of both kinds."""
    sampled: bool
    """Whether the validation samples are drawn: in the modes light, medium and heavy."""
    bootstrapped_unseen: int
    """Demos of a set that only inform proposals, where none may stand in the prompt."""

    @property
    def zero_shot(self) -> bool:
        """Whether no demo may stand in the prompt."""
        return self.max_bootstrapped == 0 and self.max_labeled == 0


def draw(sizes: Sizes, plan: SearchPlan) -> Draws:
    """All draws of a run of that plan."""
    rng = Random(sizes.seed)  # noqa: S311 - MIPROv2's own
    validation = tuple(range(sizes.valset))
    if sizes.sampled:
        validation = tuple(rng.sample(range(sizes.valset), plan.validation))
    demo_sets = _demo_sets(rng, sizes, plan)
    proposals = tuple(
        Proposal(TIPS[rng.choice(list(TIPS))], rng.randint(0, LARGEST_ROLLOUT))
        for _ in range(plan.instructions)
    )
    return Draws(validation, demo_sets, proposals, _trials(rng, sizes, plan))


def _demo_sets(rng: Random, sizes: Sizes, plan: SearchPlan) -> tuple[DemoSet, ...]:
    plain = tuple(range(sizes.train))
    most = sizes.bootstrapped_unseen if sizes.zero_shot else sizes.max_bootstrapped
    sets: list[DemoSet] = []
    for number in range(plan.demo_sets):
        if number == 0:
            sets.append(DemoSet(plain, 0))
        elif number == 1 and sizes.max_labeled > 0:
            sets.append(DemoSet(plain, 0, labels_only=True))
        elif number == 2:
            sets.append(DemoSet(plain, most))
        else:
            order = list(plain)
            rng.shuffle(order)
            sets.append(DemoSet(tuple(order), rng.randint(1, most)))
    return tuple(sets)


def _trials(rng: Random, sizes: Sizes, plan: SearchPlan) -> tuple[Trial, ...]:
    """The trials before TPE looks at scores, with the minibatches that are drawn for them."""
    ranges = {"instruction": range(plan.instructions)}
    if not sizes.zero_shot:
        ranges["demos"] = range(plan.demo_sets)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=sizes.seed, multivariate=True)
    )
    study.add_trial(_scored(ranges))
    drawn = plan.minibatch < plan.validation
    trials: list[Trial] = []
    complete = 1
    while complete < STARTUP_TRIALS and len(trials) < plan.trials:
        asked = study.ask()
        chosen = {name: asked.suggest_categorical(name, values) for name, values in ranges.items()}
        study.tell(asked, 0.0)
        complete += 1
        everything = range(plan.validation)
        batch = tuple(rng.sample(everything, plan.minibatch)) if drawn else tuple(everything)
        trials.append(Trial(chosen["instruction"], chosen.get("demos"), batch))
        if plan.batched and len(trials) % FULL_EVERY == 0:
            study.add_trial(_scored(ranges))
            complete += 1
    return tuple(trials)


def _scored(ranges: dict[str, range]) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        params=dict.fromkeys(ranges, 0),
        distributions={
            name: optuna.distributions.CategoricalDistribution(values) for name, values in ranges.items()
        },
        value=0.0,
    )
