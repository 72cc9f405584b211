"""Whether a prompt may be served: tables of what was measured and what is asked for."""

from typing import Any

import pytest

from domaintraining.api.acceptance import Acceptance
from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics, TaskMetrics
from domaintraining.controller.acceptance import (
    Wanted,
    documents_that_settle,
    judge,
    judge_task,
    rejection,
    wanted_of,
)


def measured(verdict: str, value: float, half: float, documents: int = 40, f1: float = 0.8) -> TaskMetrics:
    """Numbers of one prompt whose improvement over the served one has an interval of this half-width."""
    gain = {"value": value, "low": round(value - half, 3), "high": round(value + half, 3), "over": "Served"}
    return TaskMetrics.model_validate(
        {
            "f1": f1,
            "confidenceInterval": {"low": f1 - 0.1, "high": f1 + 0.1},
            "improvement": gain,
            "verdict": verdict,
            "documents": documents,
        }
        | ({"documentsNeeded": 160} if verdict == "Unclear" else {})
    )


BETTER = measured("Improved", 0.05, 0.03)
UNCLEAR = measured("Unclear", 0.02, 0.04)
WORSE = measured("Worse", -0.05, 0.03)
NOTHING = TaskMetrics(validation_f1=0.9)
ASKED = "Unclear where Improved is asked for"
UNCLEAR_BY = (
    "F1 0.800 is +0.020 to the served prompt (95 % interval -0.020 to +0.060 on 40 documents); "
    "about 160 documents would settle it"
)
EQUAL = measured("Unclear", 0.0, 0.0).model_copy(update={"documents_needed": None})
EQUAL_BY = "F1 0.800 is +0.000 to the served prompt (95 % interval +0.000 to +0.000 on 40 documents)"
FEW = (
    "F1 0.800 is +0.050 to the served prompt (95 % interval +0.020 to +0.080 on 12 documents); "
    "about 20 documents would settle it"
)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (Wanted(), (True, True, False, True)),
        (Wanted("Improved"), (True, False, False, False)),
        (Wanted("Any"), (True, True, True, True)),
        (Wanted("Any", min_f1=0.8), (True, True, True, False)),
        (Wanted("Any", min_f1=0.801), (False, False, False, False)),
        (Wanted("NotWorse", min_f1=0.7), (True, True, False, False)),
        (Wanted("NotWorse", min_improvement=0.02), (True, True, False, False)),
        (Wanted("NotWorse", min_improvement=0.03), (True, False, False, False)),
        (Wanted("Any", min_improvement=0), (True, True, False, False)),
        (Wanted("Improved", min_f1=0.8, min_improvement=0.05), (True, False, False, False)),
    ],
)
def test_what_passes(wanted: Wanted, passes: tuple[bool, bool, bool, bool]) -> None:
    """Better, unclear, worse, not measured: without held-out documents only what asks for no number."""
    found = [judge_task(one, wanted).passed for one in (BETTER, UNCLEAR, WORSE, NOTHING)]
    assert found == list(passes)
    assert judge_task(None, wanted).passed == passes[-1]


@pytest.mark.parametrize(
    ("numbers", "wanted", "words"),
    [
        (
            WORSE,
            Wanted(),
            "Worse, F1 0.800 is -0.050 to the served prompt (95 % interval -0.080 to -0.020 on 40 documents)",
        ),
        (
            UNCLEAR,
            Wanted("Improved"),
            f"{ASKED}: the interval begins 0.020 too low, {UNCLEAR_BY}",
        ),
        (
            EQUAL,
            Wanted("Improved"),
            f"{ASKED}: the interval is not all above 0, {EQUAL_BY}",
        ),
        (
            measured("Unclear", 0.05, 0.03, documents=12).model_copy(update={"documents_needed": 5}),
            Wanted("Improved"),
            f"{ASKED}: fewer than 20 documents are never enough, {FEW}",
        ),
        (
            BETTER,
            Wanted(min_f1=0.85),
            "F1 0.800 is 0.050 short of minF1 0.85, on 40 documents; about 160 documents would settle it",
        ),
        (BETTER, Wanted(min_f1=0.95), "F1 0.800 is 0.150 short of minF1 0.95, on 40 documents"),
        (
            UNCLEAR,
            Wanted(min_improvement=0.04),
            f"0.020 short of minImprovement 0.04: {UNCLEAR_BY}",
        ),
        (
            TaskMetrics(f1=0.8, verdict="Unclear"),
            Wanted(min_improvement=0.1),
            "no improvement was measured, and minImprovement is 0.1",
        ),
        (
            NOTHING,
            Wanted("Improved"),
            "no held-out documents measure what acceptance.require Improved asks for",
        ),
        (NOTHING, Wanted(min_f1=0), "no held-out documents measure what acceptance.minF1 asks for"),
        (
            None,
            Wanted(min_improvement=0),
            "no held-out documents measure what acceptance.minImprovement asks for",
        ),
    ],
)
def test_the_words_say_by_how_much_it_fell_short(
    numbers: TaskMetrics | None, wanted: Wanted, words: str
) -> None:
    """And how many documents would settle it, where it is not settled."""
    assert judge_task(numbers, wanted).words == words


@pytest.mark.parametrize(
    ("documents", "half_width", "gap", "needed"),
    [
        (40, 0.1, 0.05, 160),
        (40, 0.1, -0.05, 160),
        (10, 0.1, 0.1, 20),
        (40, 0.05, 0.05, None),
        (0, 0.1, 0.05, None),
        (40, 0.1, 0.0, None),
        (500, 1.0, 0.000001, 1_000_000),
    ],
)
def test_documents_that_would_settle_it(
    documents: int, half_width: float, gap: float, needed: int | None
) -> None:
    """Half-width over the square root of the documents, as the contract's documentsNeeded."""
    assert documents_that_settle(documents, half_width, gap) == needed


@pytest.mark.parametrize(
    ("spec", "entities", "relations"),
    [
        ({}, Wanted(), Wanted()),
        ({"require": "Any", "minF1": 0.5}, Wanted("Any", 0.5), Wanted("Any", 0.5)),
        (
            {"require": "Improved", "minF1": 0.5, "relations": {"require": "Any", "minF1": 0}},
            Wanted("Improved", 0.5),
            Wanted("Any", 0.0),
        ),
        ({"entities": {"minImprovement": 0.1}}, Wanted(min_improvement=0.1), Wanted()),
    ],
)
def test_a_task_has_its_own_fields_then_those_of_both(
    spec: dict[str, Any], entities: Wanted, relations: Wanted
) -> None:
    """Field by field."""
    acceptance = Acceptance.model_validate(spec)
    assert (wanted_of(acceptance, "entities"), wanted_of(acceptance, "relations")) == (entities, relations)


TASKS: tuple[Task, ...] = ("entities", "relations")


@pytest.mark.parametrize(
    ("entities", "relations", "spec", "reason", "words"),
    [
        (BETTER, UNCLEAR, {}, Reason.REJECTED, ""),
        (NOTHING, None, {"minF1": 0.5}, Reason.NO_HELD_OUT_DATA, "entities: no held-out"),
        (NOTHING, WORSE, {"require": "Improved"}, Reason.REJECTED, "; relations: Worse where"),
        (BETTER, WORSE, {}, Reason.REJECTED, "relations: Worse, F1"),
    ],
)
def test_a_rejection_names_each_task_that_failed(
    entities: TaskMetrics | None,
    relations: TaskMetrics | None,
    spec: dict[str, Any],
    reason: Reason,
    words: str,
) -> None:
    """NoHeldOutData only where that is what all of them lack."""
    metrics = Metrics(entities=entities, relations=relations)
    found = rejection(judge(metrics, TASKS, Acceptance.model_validate(spec)))
    assert found[0] is reason
    assert words in found[1]
    assert bool(words) == bool(found[1])
