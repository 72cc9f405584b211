"""What a search ended with, kept in the journal beside the answers: a finished search is not made again.

The result of a search follows from the answers in its journal, so that it may stand there as they do: under
the run's fingerprint, with a checksum, the first one for ever. It says which samples are demos and what the
model answered to them, not what the samples are. A record that gives no program is none: the search is made
again, from the answers.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import dspy
from pydantic import Field, ValidationError

from domaintraining.api.base import ApiModel
from domaintraining.api.spec import Task
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.doctor.trials import Scores
from domaintraining.trainer.journal.journal import Journal, call_key
from domaintraining.trainer.prompts.answers import MAX_ANSWER
from domaintraining.trainer.prompts.prompt import Form
from domaintraining.trainer.search.program import INPUTS, Extraction

MAX_DEMOS: Final = 256
MAX_RECORD: Final = 4 * 1024 * 1024
"""Most characters of a record; a revision holds less."""
MAX_SCORES: Final = 100_000
"""Most scores in a record; a search with more is kept without them."""
SEARCH: Final = "search"
"""How a record ended, where an answer says `stop` or `length`."""

Examples = Sequence[dspy.Example]


@dataclass(frozen=True)
class Found:
    """The best program of a search."""

    program: Extraction
    validation_f1: float
    """Mean F1 by document on the validation part, 0 to 1."""
    cut: bool = False
    """Whether the budget ended the search: it is the best so far."""
    evaluations: int = 0
    """Evaluations that ended: that of the start, the trials and the full ones in between."""
    scores: Scores = ()
    """What each candidate scored on each validation sample."""


class _Demo(ApiModel):
    sample: Annotated[int, Field(ge=0)]
    """Number of the train sample, from 0."""
    answer: Annotated[str, Field(max_length=MAX_ANSWER)] | None = None
    """What the model answered to it; None: it is shown as it is labelled."""


_Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Row = Annotated[list[_Score | None], Field(max_length=MAX_SCORES)]


class _Record(ApiModel):
    instruction: Annotated[str, Field(max_length=MAX_ANSWER)]
    demos: Annotated[list[_Demo], Field(max_length=MAX_DEMOS)]
    validation_f1: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    evaluations: Annotated[int, Field(ge=0)]
    scores: Annotated[list[_Row], Field(max_length=MAX_SCORES)] = []


class Finished:
    """The searches of a run that have ended, in its journal.

    Args:
        journal: of the run.
        fingerprint: hash of the run's fingerprint.
        told: told the task of a search that is found finished.
    """

    def __init__(
        self, journal: Journal, fingerprint: str, told: Callable[[Task], None] = lambda _: None
    ) -> None:
        self._journal, self._fingerprint, self._told = journal, fingerprint, told

    def find(self, form: Form, train: Examples) -> Found | None:
        """What the search for a task ended with; None: it has to be made.

        Args:
            form: of the task's prompts.
            train: samples that demos are taken from.

        Raises:
            DomainTrainingError: the volume failed (JournalUnusable).
        """
        answer = self._journal.find(self._key(form, train))
        found = _read(answer, form, train) if answer is not None else None
        if found is not None:
            self._told(form.task)
        return found

    def keep(self, found: Found, form: Form, train: Examples) -> None:
        """Keep what a whole search ended with, if it can be read again to the letter.

        Raises:
            DomainTrainingError: it can't be kept (JournalUnusable).
        """
        record = None if found.cut else _record(found, form, train)
        answer = None if record is None else ChatAnswer(record, SEARCH, 0, 0, "")
        again = None if answer is None else _read(answer, form, train)
        if answer is not None and again is not None and _state(again.program) == _state(found.program):
            self._journal.keep(self._key(form, train), answer)

    def _key(self, form: Form, train: Examples) -> str:
        """Of the samples as well: a record numbers them, and rewordings may be others another time."""
        asked = json.dumps([_asked(example, form) for example in train]).encode(errors="surrogatepass")
        digest = hashlib.sha256(asked).hexdigest()
        return call_key({SEARCH: form.task, "train": digest}, None, self._fingerprint)


def _record(found: Found, form: Form, train: Examples) -> str | None:
    """A search's end in writing; None: a demo is none of the samples."""
    (predictor,) = found.program.predictors()
    numbers = {_asked(example, form): number for number, example in reversed(list(enumerate(train)))}
    demos: list[dict[str, Any]] = []
    for demo in predictor.demos:
        number = numbers.get(_asked(demo, form))
        if number is None:
            return None
        demos.append({"sample": number, "answer": _answer(demo, form) if "augmented" in demo else None})
    values = {
        "instruction": predictor.signature.instructions,
        "demos": demos,
        "validationF1": found.validation_f1,
        "evaluations": found.evaluations,
        "scores": found.scores if sum(map(len, found.scores)) <= MAX_SCORES else [],
    }
    return json.dumps(values, separators=(",", ":"))


def _read(answer: ChatAnswer, form: Form, train: Examples) -> Found | None:
    """What a record says; None: nothing that a search could have ended with."""
    if answer.done_reason != SEARCH or len(answer.content) > MAX_RECORD:
        return None
    try:
        record = _Record.model_validate_json(answer.content, strict=True)
    except ValidationError:
        return None
    program = Extraction(form)
    demos = [_demo(demo, program, train) for demo in record.demos]
    known = [demo for demo in demos if demo is not None]
    if len(known) < len(demos):
        return None
    (predictor,) = program.predictors()
    predictor.demos = known
    predictor.signature = predictor.signature.with_instructions(record.instruction)
    scores = tuple(map(tuple, record.scores))
    return Found(program, record.validation_f1, evaluations=record.evaluations, scores=scores)


def _demo(demo: _Demo, program: Extraction, train: Examples) -> dspy.Example | None:
    """The demo that a record means; None: no such sample, or not an answer of the form."""
    if demo.sample >= len(train):
        return None
    example = train[demo.sample]
    if demo.answer is None:
        return example
    fields = program.adapter.read(demo.answer, "stop")
    if fields[program.adapter.form.task] is None:
        return None
    return dspy.Example(augmented=True, **example.inputs(), **fields)


def _asked(example: dspy.Example, form: Form) -> str:
    return json.dumps([example[name] for name in INPUTS[form.task]])


def _answer(demo: dspy.Example, form: Form) -> str:
    names = ["reasoning", form.task] if form.chain_of_thought else [form.task]
    return json.dumps({name: demo[name] for name in names})


def _state(program: Extraction) -> str:
    return json.dumps(program.dump_state())
