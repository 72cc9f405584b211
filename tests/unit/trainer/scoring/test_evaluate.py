"""Measuring a published prompt."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer, raise_given_up
from domaintraining.trainer.prompts.export import task_files
from domaintraining.trainer.scoring.evaluate import Evaluator, Question
from domaintraining.trainer.scoring.metrics import Counts
from domaintraining.trainer.search.program import Extraction
from tests.unit.trainer.scripted import answer, make_run, parsed
from tests.unit.trainer.search.test_program import make_form


def request(task: Task = "entities", *, thinks: bool = True) -> str:
    return task_files(Extraction(make_form(task, thinks=thinks)), make_run()).request


def test_the_published_bytes_are_sent_filled_and_nothing_else_changes() -> None:
    """The body of a call is request.json with the placeholders of the last message filled."""
    server = ScriptedServer(answer)
    text = "Ada wrote {entities} and {text}."
    Evaluator(server, 2, "normalized").ask(request("relations"), "relations", [Question(text)])
    published, (body,) = json.loads(request("relations")), server.bodies
    last = published["messages"].pop()
    assert body["messages"][:-1] == published["messages"]
    assert body["messages"][-1]["content"] == f"Text:\n{text}\n\nEntities:\n(none)"
    assert last["content"] == "Text:\n{text}\n\nEntities:\n{entities}"
    assert {**body, "messages": 0} == {**published, "messages": 0}


def test_counts_come_in_the_order_of_the_documents() -> None:
    """With several calls at once each document keeps its own counts."""
    samples = parsed(12)
    right = {sample.text: [entity.model_dump() for entity in sample.entities or []] for sample in samples}

    def knows_even(body: Mapping[str, Any]) -> str:
        text = body["messages"][-1]["content"].removeprefix("Text:\n")
        return json.dumps({"reasoning": "", "entities": right[text] if len(text) % 2 == 0 else []})

    measured = Evaluator(ScriptedServer(knows_even), 4, "exact").measure(request(), "entities", samples)
    assert measured.counts == [
        Counts(2, 2, 2) if len(sample.text) % 2 == 0 else Counts(0, 0, 2) for sample in samples
    ]
    assert measured.readable == 12


def test_an_unreadable_answer_counts_as_empty() -> None:
    """What is no answer of the schema has no items, and is told apart."""
    measured = Evaluator(ScriptedServer(lambda _: "sorry"), 1, "exact").measure(
        request(), "entities", parsed(1)
    )
    assert measured.counts == [Counts(0, 0, 2)]
    assert measured.readable == 0


@pytest.mark.parametrize(("thinks", "readable"), [(True, 0), (False, 1)])
def test_reasoning_is_required_where_the_schema_requires_it(thinks: bool, readable: int) -> None:  # noqa: FBT001
    """The published schema decides what an answer must hold."""
    server = ScriptedServer(lambda _: '{"entities": []}')
    measured = Evaluator(server, 1, "exact").measure(request(thinks=thinks), "entities", parsed(1))
    assert measured.readable == readable


def test_relations_are_given_other_entities_where_asked() -> None:
    """End to end: the predicted entities stand in the question instead of the labelled ones."""
    server = ScriptedServer(answer)
    Evaluator(server, 1, "exact").measure(
        request("relations"), "relations", parsed(1), [[{"name": "Ken", "type": "PERSON"}]]
    )
    assert server.bodies[0]["messages"][-1]["content"].endswith("Entities:\n- Ken (PERSON)")


def test_a_call_that_cannot_be_answered_ends_the_run() -> None:
    """No score is made of what the server gave up on."""

    def fails(_: Mapping[str, Any]) -> str:
        raise_given_up(DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "gone"))

    with pytest.raises(GivenUp):
        Evaluator(ScriptedServer(fails), 2, "exact").measure(request(), "entities", parsed(5))


def test_every_answer_is_told() -> None:
    """Progress counts each document once."""
    told: list[int] = []
    evaluator = Evaluator(ScriptedServer(answer), 3, "exact", on_answer=lambda: told.append(1))
    evaluator.measure(request(), "entities", parsed(7))
    assert len(told) == 7
