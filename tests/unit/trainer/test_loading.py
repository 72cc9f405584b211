"""A published prompt in an application's DSPy."""

from __future__ import annotations

import json

import dspy
import pytest
from dspy.utils.exceptions import LMUnexpectedError

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer import loading
from domaintraining.trainer.loading import load_lm, load_program
from domaintraining.trainer.prompts.export import task_files
from tests.unit.trainer.loopback import Loopback, Reply, answer
from tests.unit.trainer.prompts.test_export import trained
from tests.unit.trainer.scripted import make_run, parsed


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_options_and_schema_are_those_that_were_published(task: Task) -> None:
    """Model, schema, seed, context, think, keep-alive: nothing but the messages is the call's own."""
    run = make_run(options={"temperature": 0.3, "numCtx": 8192, "think": "Low", "keepAlive": "30m"})
    files = task_files(trained(task), run)
    inputs = {"text": "Ada.", "entities": [{"name": "Ada", "type": "PERSON"}]}
    given = inputs if task == "relations" else {"text": "Ada."}
    with Loopback([answer(json.dumps({"reasoning": "", task: []}))]) as server:
        with dspy.context(lm=load_lm(files.request, server.url)):
            assert load_program(files.dspy)(**given)[task] == []
        (call,) = server.received
    published = json.loads(files.request)
    assert call.json["messages"][:-1] == published["messages"][:-1]
    assert "Ada." in call.json["messages"][-1]["content"]
    assert {**call.json, "messages": 0} == {**published, "messages": 0}


def test_each_call_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached: an application decides about that itself."""
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.0)
    files = task_files(trained("entities"), make_run())
    with Loopback([answer(json.dumps({"reasoning": "", "entities": []}))]) as server:
        with dspy.context(lm=load_lm(files.request, server.url)):
            for _ in range(2):
                load_program(files.dspy)(text=parsed(1)[0].text)
        assert len(server.received) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply({"error": "busy"}, 503), Reason.MODEL_SERVER_UNAVAILABLE),
        (Reply({"error": "invalid option"}, 400), Reason.MODEL_UNSUITABLE),
    ],
)
def test_a_failing_server_is_an_error_that_can_be_caught(
    reply: Reply, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the end of the process, as in a trainer; every call says it anew."""
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.0)
    files = task_files(trained("entities"), make_run())
    program = load_program(files.dspy)
    with Loopback([reply]) as server, dspy.context(lm=load_lm(files.request, server.url)):
        for _ in range(2):
            with pytest.raises(LMUnexpectedError, match=r"busy|503|invalid option") as caught:
                program(text="Ada.")
            assert isinstance(caught.value.__cause__, DomainTrainingError)
            assert caught.value.__cause__.reason is reason


@pytest.mark.parametrize("request_", ["[]", "{}", "no JSON"])
def test_what_is_no_request_is_refused_at_once(request_: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ValueError, match=r"request\.json|Expecting"):
        load_lm(request_, "http://127.0.0.1:1")
