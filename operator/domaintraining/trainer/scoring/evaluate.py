"""Measures a published prompt: posts its own bytes, with the placeholders filled, for every document.

DSPy takes no part here. What is measured is what an application does that fills `<task>.request.json` and
posts it, so the F1 in status is the F1 of those bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task
from domaintraining.trainer.calls.server import ModelServer
from domaintraining.trainer.prompts.answers import Answered, read_answer
from domaintraining.trainer.prompts.prompt import entity_lines, filled_messages, item_keys
from domaintraining.trainer.scoring.metrics import Counts, Matching, counts, entity_items, relation_items

Items = Sequence[Mapping[str, Any]]
"""Entities or relations by their wire keys."""


class Question(NamedTuple):
    """What a prompt is asked about."""

    text: str
    entities: Items = ()
    """Given entities; for the task entities not used."""


@dataclass(frozen=True)
class Measurement:
    """What a prompt answered on some documents, in their order."""

    counts: list[Counts]
    answers: list[Answered]

    @property
    def readable(self) -> int:
        """Answers that could be read."""
        return sum(answer.readable for answer in self.answers)


class Evaluator:
    """Measures prompts on a model server.

    Args:
        server: where the calls go.
        threads: calls in flight at once.
        matching: how names are compared.
        on_answer: told after every answer.
        on_questions: told the bodies of all calls before the first one is made.
    """

    def __init__(
        self,
        server: ModelServer,
        threads: int,
        matching: Matching,
        on_answer: Callable[[], None] = lambda: None,
        on_questions: Callable[[Iterable[Mapping[str, Any]]], None] = lambda _: None,
    ) -> None:
        self._server = server
        self._threads = threads
        self._matching = matching
        self._on_answer, self._on_questions = on_answer, on_questions

    def ask(self, request: str, task: Task, questions: Sequence[Question]) -> list[Answered]:
        """The answers of a prompt, one for each question; `request` is a `<task>.request.json`."""
        body = json.loads(request)
        bodies = [_filled(body, question) for question in questions]
        self._on_questions(bodies)
        pool = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="evaluate")
        try:
            return list(pool.map(lambda asked: self._answer(asked, task), bodies))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def measure(
        self, request: str, task: Task, samples: Sequence[Sample], given: Sequence[Items] | None = None
    ) -> Measurement:
        """What a prompt answers on labelled samples.

        Args:
            request: a `<task>.request.json`.
            task: what it extracts; every sample must be labelled for it.
            samples: the documents.
            given: for relations the entities to give instead of the labelled ones, for each sample.
        """
        entities = given if given is not None else [labels(sample, "entities") for sample in samples]
        questions = [Question(sample.text, known) for sample, known in zip(samples, entities, strict=True)]
        answers = self.ask(request, task, questions)
        return Measurement(
            [
                counts(self._items(labels(sample, task), task), self._items(answer.items, task))
                for sample, answer in zip(samples, answers, strict=True)
            ],
            answers,
        )

    def _answer(self, body: Mapping[str, Any], task: Task) -> Answered:
        answer = self._server.chat(body)
        self._on_answer()
        fields = body["format"]["properties"]
        types = fields[task]["items"]["properties"]["type"]["enum"]
        return read_answer(
            answer.content, answer.done_reason, task, types, chain_of_thought="reasoning" in fields
        )

    def _items(self, items: Items, task: Task) -> frozenset[tuple[str, ...]]:
        if task == "entities":
            return entity_items(items, self._matching)
        return relation_items(items, self._matching)


def _filled(body: Mapping[str, Any], question: Question) -> dict[str, Any]:
    messages = filled_messages(body["messages"], question.text, entity_lines(question.entities))
    return {**body, "messages": messages}


def labels(sample: Sample, task: Task) -> list[dict[str, str]]:
    """What a sample is labelled with, by the wire keys; empty where it is not labelled."""
    items = sample.entities if task == "entities" else sample.relations
    return [{key: getattr(item, key) for key in item_keys(task)} for item in items or ()]
