"""The plan of a search with numbers of one's own is what MIPROv2 makes of them."""

import dspy
import pytest
from dspy.teleprompt.mipro_optimizer_v2 import MIPROv2

from domaintraining.api.spec import Optimizer
from domaintraining.trainer.search.plan import search_plan


@pytest.mark.parametrize("valset", [1, 10, 11, 400])
def test_manual_takes_all_samples_and_minibatches_where_they_are_smaller(valset: int) -> None:
    """MIPROv2's own modes halve the instructions, cap the samples and choose minibatches; manual does not."""
    optimizer = Optimizer(num_candidates=5, num_trials=7)
    mipro = MIPROv2(
        metric=len, prompt_model=dspy.LM("m"), task_model=dspy.LM("m"), auto=None, num_candidates=5
    )
    trials, sampled, _, instructions, demo_sets = mipro._set_hyperparams_from_run_mode(
        dspy.Predict("a -> b"),
        7,
        minibatch=True,
        zeroshot_opt=False,
        valset=list(range(valset)),
        num_instruct_candidates=5,
        num_fewshot_candidates=5,
    )
    planned = search_plan("manual", 40, valset, optimizer)
    assert (planned.trials, planned.validation) == (trials, len(sampled))
    assert (planned.instructions, planned.demo_sets) == (instructions, demo_sets)
    assert planned.minibatch == min(10, valset)
    assert planned.full_evaluations == (1 if valset <= 10 else 3)


def test_two_candidates_need_no_demos_of_the_models_own() -> None:
    """The first set has no demos and the second only labels."""
    assert search_plan("manual", 40, 20, Optimizer(num_candidates=2, num_trials=4)).bootstrap_calls == 0
