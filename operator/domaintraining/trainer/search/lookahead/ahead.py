"""The look-ahead of one search: says what MIPROv2 is certain to ask, as soon as it is certain."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import dspy

from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.slots import CERTAIN, CRITICAL, FIRST, Wish
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.prompts.prompt import entity_lines, filled_messages
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.lookahead.demos import Collecting
from domaintraining.trainer.search.lookahead.draws import Draws
from domaintraining.trainer.search.lookahead.proposals import Proposals, examples_in_sight
from domaintraining.trainer.search.program import Extraction

NOW: Final = Wish(CERTAIN, -1)
"""The evaluation that the search waits for goes before those it will come to."""
START: Final = Wish(CERTAIN, 0)

Examples = Sequence[dspy.Example]


@dataclass(frozen=True)
class Ground:
    """What a search starts from."""

    program: Extraction
    train: Examples
    """Samples for demos."""
    validation: Examples
    """Samples that score."""
    draws: Draws
    labels: int
    """Demos of both kinds that a set may hold."""
    metric: Callable[..., float]
    """Says with a trace whether an answer may become a demo."""


class LookAhead:
    """What one search is going to ask.

    Args:
        ground: what the search starts from.
        engine: builds the calls.
        calls: where they are expected.
        proposals: proposes instructions.
        hurried: whether what the search starts from is scored before anything else.
    """

    def __init__(
        self,
        ground: Ground,
        engine: OllamaEngine,
        calls: Calls,
        proposals: Proposals,
        *,
        hurried: bool = False,
    ) -> None:
        self._adapter, self._engine, self._calls = ground.program.adapter, engine, calls
        self._proposals, self._draws = proposals, ground.draws
        (predictor,) = ground.program.predictors()
        self._signature: type[dspy.Signature] = predictor.signature
        self._train, self._metric = ground.train, ground.metric
        self._validation = [ground.validation[at] for at in ground.draws.validation]
        self._collecting = [Collecting(one, ground.train, ground.labels) for one in ground.draws.demo_sets]
        self._demos: list[list[dspy.Example] | None] = [None] * len(self._collecting)
        self._instructions: dict[int, str] = {0: self._signature.instructions}
        self._asked_proposals: set[int] = set()
        self._asked_trials: set[int] = set()
        self._keys: set[str] = set()
        self._start = Wish(FIRST) if hurried else START
        self._start_keys: frozenset[str] = frozenset()
        self._start_scores: list[float] = []
        self._lock = threading.RLock()
        self._busy = self._again = self._stopped = False

    def expect_start(self) -> None:
        """Say that what the search starts from will be scored: the first thing that is certain."""
        body = self._body(self._signature, [])
        for example in self._validation:
            self._expect(body, example, self._start, partial(self._scored, example))
        self._start_keys = frozenset(self._keys)

    def start(self, batch: int) -> None:
        """Say all else that is certain from the start; the rest follows from answers.

        Args:
            batch: samples that the proposer is shown at once.
        """
        self._proposals.summarize(self._train, batch)
        self._advance()

    def start_f1(self) -> float | None:
        """Mean F1 by document of what the search starts from; None where answers are missing.

        Those that are on their way are waited for: they are paid.
        """
        self._calls.settle(self._start_keys)
        with self._lock:
            whole = len(self._start_scores) == len(self._validation)
            return sum(self._start_scores) / len(self._validation) if whole else None

    def evaluation(self, program: Extraction, examples: Examples) -> None:
        """The search evaluates a program now."""
        (predictor,) = program.predictors()
        self._expect_all(predictor.signature, predictor.demos, examples, NOW)

    def stop(self) -> None:
        """The search is over: what it did not ask is not wanted."""
        with self._lock:
            self._stopped = True
            keys = list(self._keys)
        self._proposals.stop()
        for key in keys:
            self._calls.drop(key)

    def _advance(self) -> None:
        """Go on wherever that is possible; an answer that is there at once is met by the same loop."""
        with self._lock:
            self._again = True
            if self._busy:
                return
            self._busy = True
            try:
                while self._again and not self._stopped:
                    self._again = False
                    self._collect()
                    self._propose()
                    self._try()
            finally:
                self._busy = False

    def _collect(self) -> None:
        for number, one in enumerate(self._collecting):
            for attempt, example in one.attempts():
                then = partial(self._attempted, one, attempt, example)
                demos, wish = one.prompt_demos(example), Wish(CRITICAL, 1 + number)
                self._expect(self._body(self._signature, demos), example, wish, then)
            if one.complete and self._demos[number] is None:
                self._demos[number] = one.demos()

    def _attempted(self, one: Collecting, attempt: int, example: dspy.Example, answer: ChatAnswer) -> None:
        fields = self._adapter.read(answer.content, answer.done_reason)
        good = self._metric(example, fields, [])
        with self._lock:
            demo = dspy.Example(augmented=True, **example.inputs(), **fields) if good else None
            one.ended(attempt, demo)
            self._advance()

    def _scored(self, example: dspy.Example, answer: ChatAnswer) -> None:
        score = self._metric(example, self._adapter.read(answer.content, answer.done_reason))
        with self._lock:
            self._start_scores.append(score)

    def _propose(self) -> None:
        for number, draw in enumerate(self._draws.proposals):
            if number in self._asked_proposals or not self._in_sight(number):
                continue
            self._asked_proposals.add(number)
            known = [one or [] for one in self._demos]
            self._proposals.propose(number, draw, known, partial(self._proposed, number))

    def _in_sight(self, number: int) -> bool:
        return not self._proposals.aware or examples_in_sight(number, self._demos)

    def _proposed(self, number: int, instruction: str) -> None:
        with self._lock:
            self._instructions.setdefault(number, instruction)
            self._advance()

    def _try(self) -> None:
        for number, trial in enumerate(self._draws.trials):
            demos = [] if trial.demo_set is None else self._demos[trial.demo_set]
            instruction = self._instructions.get(trial.instruction)
            if number in self._asked_trials or demos is None or instruction is None:
                continue
            self._asked_trials.add(number)
            examples = [self._validation[at] for at in trial.batch]
            wish = Wish(CERTAIN, 1 + number)
            self._expect_all(self._signature.with_instructions(instruction), demos, examples, wish)

    def _expect_all(
        self, signature: type[dspy.Signature], demos: Examples, examples: Examples, wish: Wish
    ) -> None:
        body = self._body(signature, demos)
        for example in examples:
            self._expect(body, example, wish)

    def _body(self, signature: type[dspy.Signature], demos: Examples) -> dict[str, Any]:
        template = self._adapter.template(signature, demos)
        return self._engine.body(self._adapter.request(self._engine.name, template, self._engine.temperature))

    def _expect(
        self,
        body: dict[str, Any],
        example: dspy.Example,
        wish: Wish,
        then: Callable[[ChatAnswer], None] | None = None,
    ) -> None:
        lines = entity_lines(example.get("entities") or [])
        messages = filled_messages(body["messages"], example["text"], lines)
        key = self._calls.expect({**body, "messages": messages}, wish, then=then)
        with self._lock:
            self._keys.add(key)
