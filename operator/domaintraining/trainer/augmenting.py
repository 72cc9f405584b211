"""Rewordings of the train samples: made by the model before the search, judged on validation after it.

The calls go where all calls go: journal, slots and budget, but for the calls that the search needs to score
what it starts from, without which a run has no result. A model that rewords badly makes no sample, and
the run goes on without. After the search the chosen prompt is compared with itself: the same prompt, where
each demo that is a rewording has the text of its original. Both answer the same validation samples; the
answers of the chosen one are there already.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import dspy
import numpy as np

from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.trainer.budget import BudgetSpent
from domaintraining.trainer.calls.connect import Connection
from domaintraining.trainer.calls.limited import Limited
from domaintraining.trainer.calls.wire import request_body
from domaintraining.trainer.data.augment import (
    MOST,
    SCHEMA,
    WORDS,
    Augmented,
    Judge,
    Wanted,
    messages_for,
    read_rewording,
    wanted,
)
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.data.split import labelled
from domaintraining.trainer.prompts.export import dump
from domaintraining.trainer.prompts.prompt import form_schema
from domaintraining.trainer.scoring.evaluate import Evaluator
from domaintraining.trainer.scoring.metrics import DECIMALS, f1
from domaintraining.trainer.search.engine import PROPOSAL_TEMPERATURE
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.program import Extraction, demonstrable, program_prompt
from domaintraining.trainer.session import Session

COMPARED: Final = 100
"""Most validation samples of a task that the chosen prompt is compared on, the first ones."""
RESAMPLES: Final = 10_000
SPENT: Final = "the budget was spent before it could be told whether they help"
ALONE: Final = "the chosen prompt shows none of them"


@dataclass(frozen=True)
class Gain:
    """What the rewordings in one task's chosen prompt are worth on validation."""

    demos: tuple[int, ...]
    """Which demos of the prompt are rewordings, from 1."""
    documents: int = 0
    """Validation samples that were compared."""
    chosen: float | None = None
    """Mean F1 by document of the chosen prompt; None: nothing was compared."""
    originals: float | None = None
    """The same with the originals in the place of their rewordings."""
    helped: bool | None = None
    """Whether they helped: True where the interval of the paired difference is above 0, False where there is
    no gain at all or the search chose none of them; None: it can't be told."""
    why: str = ""
    """Why nothing was compared."""

    def described(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {
            "usedInDemos": len(self.demos),
            "demos": list(self.demos),
            "documents": self.documents,
            "validationF1With": self.chosen,
            "validationF1Without": self.originals,
            "helped": self.helped,
            **({"why": self.why} if self.why else {}),
        }

    def words(self, task: Task) -> str:
        """In words, for status."""
        if self.chosen is None or self.originals is None:
            return f"{task}: {self.why}"
        told = {True: "they helped", False: "they did not help", None: "they gained less than chance may"}
        return (
            f"{task}: on validation {told[self.helped]} (F1 {self.chosen:.3f}; {self.originals:.3f} with the "
            "originals in their place)"
        )


@dataclass(frozen=True)
class Judged:
    """What rewordings are worth in a model's prompts."""

    described: dict[str, Any]
    """What the manifest says of them; empty where none were wanted."""
    line: str
    """What status says of them."""


class Augmenting:
    """The rewordings of a run, where its spec asks for them.

    Args:
        session: the attempt.
        material: its samples.
    """

    def __init__(self, session: Session, material: Material) -> None:
        self._session, self._material = session, material
        augment = material.run.data.augment
        train = [sample for sample in material.parts.train if demonstrable(sample)]
        self._wanted, self._left_out = wanted(train, augment.factor) if augment else ([], 0)
        self.line = ""
        """What status says of them."""

    @property
    def calls(self) -> int:
        """Calls that make them."""
        return len(self._wanted)

    @property
    def comparing(self) -> int:
        """Calls that compare them at most, in one model's prompts."""
        made = self._material.augmented
        if not self._wanted or (made is not None and not made.rewordings):
            return 0
        parts = (self._material.search(task).validation for task in self._material.run.tasks)
        return sum(min(COMPARED, len(validation)) for validation in parts)

    def make(self, connection: Connection, closing: Callable[[str], int]) -> Material:
        """The material with the rewordings that can be used; of a run that wants none, as it was.

        Args:
            connection: calls to the first model.
            closing: calls that end a model's turn behind its searches, by its name.

        Raises:
            GivenUp: the run is being ended.
        """
        if not self._wanted:
            return self._material
        run, parts = self._material.run, self._material.parts
        self._session.tally.enter("loading_data", "rewording train samples")
        texts = self._asked(connection, closing)
        known = [(one, text) for one, text in zip(self._wanted, texts, strict=True) if text is not _UNASKED]
        judge = Judge(parts.train, parts.validation, parts.test)
        used, refused = judge.judge((one, text or None) for one, text in known)
        unanswered = len(texts) - len(known)
        made = Augmented(len(known), tuple(used), dict(sorted(refused.items())), unanswered, self._left_out)
        self._material = replace(self._material, augmented=made)
        for task in run.tasks:
            self._session.tally.plan(task, self._material.search(task).plan(run))
        self.line = _told(made)
        counts = {"asked": made.asked, "made": made.made, "refused": dict(made.refused)}
        self._session.log.event("augmented", self.line, **counts)
        return self._material

    def judge(
        self, run: Run, found: Mapping[Task, Found], connection: Connection, measuring: Evaluator
    ) -> Judged:
        """What the rewordings are worth in the prompts that were found for a model.

        Args:
            run: as the model's searches had it.
            found: what they ended with.
            connection: calls to the model; the answers of the chosen prompts are there.
            measuring: counts the calls of this comparison.
        """
        made = self._material.augmented
        if made is None:
            return Judged({}, "")
        calls, letters = connection.task, run.metric.letters
        known = Evaluator(calls, calls.slots, letters, on_questions=calls.expect_all)
        gains = {task: self._gain(run, task, one, known, measuring) for task, one in found.items()}
        told = [gain.words(task) for task, gain in gains.items()] if made.made else []
        line = "; ".join([self.line, *told])
        self._session.log.event("augment_judged", line)
        tasks = {task: gain.described() for task, gain in gains.items()}
        return Judged({"augment": {**made.described(), "tasks": tasks}}, line)

    def _asked(self, connection: Connection, closing: Callable[[str], int]) -> list[str]:
        """The texts in the order of what is wanted; empty: unreadable, `_UNASKED`: the budget had no call."""
        run, counted = self._material.run, partial(self._session.tally.measured, "loading_data")
        bodies = [_body(run, one) for one in self._wanted]
        # of the calls in its slots the answers may be on their way when it ends
        needed = self._material.scoring_calls() + 2 * connection.task.slots
        needed += self._material.calls_behind(0, closing)
        with connection.limited(self._session.budget.leaving(needed)) as (calls, _):
            connection.task.expect_all(bodies)
            pool = ThreadPoolExecutor(max_workers=connection.task.slots, thread_name_prefix="reword")
            try:
                return list(pool.map(lambda body: _answer(calls, body, counted), bodies))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _gain(self, run: Run, task: Task, found: Found, known: Evaluator, measuring: Evaluator) -> Gain:
        made = self._material.augmented
        assert made is not None, "asked only where rewordings were made"
        originals = {one.sample.text: one.original.text for one in made.rewordings}
        (predictor,) = found.program.predictors()
        places = enumerate(predictor.demos, start=1)
        demos = tuple(place for place, demo in places if demo["text"] in originals)
        if found.cut:
            return Gain(demos, why=SPENT)
        if not demos:
            return Gain((), why=ALONE, helped=False if made.made else None)
        samples = labelled(self._material.parts.validation, task)[:COMPARED]
        other = with_originals(found.program, originals)
        chosen = known.measure(_request(found.program, run), task, samples)
        without = measuring.measure(_request(other, run), task, samples)
        return gain_of(
            demos, [f1(one) for one in chosen.counts], [f1(one) for one in without.counts], run.optimizer.seed
        )


_UNASKED: Final = "\0"
"""In the place of a text: the budget did not have the call."""


def gain_of(demos: tuple[int, ...], chosen: list[float], originals: list[float], seed: int) -> Gain:
    """The gain by the F1 of each document (at least one), of both prompts in the same order."""
    difference = np.asarray(chosen) - np.asarray(originals)
    draws = np.random.default_rng(seed).integers(len(difference), size=(RESAMPLES, len(difference)))
    low = float(np.percentile(difference[draws].mean(axis=1), 2.5))
    value = float(difference.mean())
    helped = True if low > 0 else False if value <= 0 else None
    with_them, without = (round(float(np.mean(scores)), DECIMALS) for scores in (chosen, originals))
    return Gain(demos, len(difference), with_them, without, helped)


def with_originals(program: Extraction, originals: Mapping[str, str]) -> Extraction:
    """The same program whose demos have the texts of the originals; one shown already only once."""
    (predictor,) = program.predictors()
    shown = {demo["text"] for demo in predictor.demos}
    demos = []
    for demo in predictor.demos:
        text = originals.get(demo["text"])
        if text is None:
            demos.append(demo)
        elif text not in shown:
            shown.add(text)
            demos.append(dspy.Example(**{**demo.toDict(), "text": text}))
    other = Extraction(program.adapter.form)
    (changed,) = other.predictors()
    changed.signature, changed.demos = predictor.signature, demos
    return other


def _request(program: Extraction, run: Run) -> str:
    """A program's request, as it would be published."""
    _, messages = program_prompt(program)
    schema = form_schema(program.adapter.form)
    return dump(request_body(run.model.name, messages, schema, run.options, seed=run.optimizer.seed))


def _body(run: Run, one: Wanted) -> dict[str, Any]:
    """A call for a rewording; each version of a sample has a seed of its own."""
    seed = run.optimizer.seed + one.version
    messages = messages_for(one.original)
    return request_body(
        run.model.name, messages, SCHEMA, run.options, seed=seed, temperature=PROPOSAL_TEMPERATURE
    )


def _answer(calls: Limited, body: Mapping[str, Any], counted: Any) -> str:
    try:
        answer = calls.chat(body)
    except BudgetSpent:
        return _UNASKED
    counted()
    return read_rewording(answer.content, answer.done_reason) or ""


def _told(made: Augmented) -> str:
    """The counts in one line, without sample text."""
    why = ", ".join(f"{count} {WORDS[reason]}" for reason, count in made.refused.items())
    refused = f" ({why})" if why else ""
    head = f"augment: {made.made} of {made.asked} rewordings are used for training{refused}"
    if not made.asked:
        head = "augment: no rewordings are made, and training goes on without"
    elif not made.made:
        head = f"augment: none of {made.asked} rewordings can be used{refused}; training goes on without"
    more = [
        *([f"the budget had no call for {made.unanswered} more"] if made.unanswered else []),
        *([f"{made.left_out} beyond the first {MOST} were not asked for"] if made.left_out else []),
    ]
    return "; ".join([head, *more])
