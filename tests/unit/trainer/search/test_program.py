"""The DSPy side of a prompt."""

import inspect
from collections.abc import Mapping
from typing import Any

import dspy
import pytest
from dspy.propose.utils import get_dspy_source_code

from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.trainer.calls.server import Answering, ScriptedServer
from domaintraining.trainer.prompts.prompt import GENERAL_INSTRUCTIONS, Form
from domaintraining.trainer.search.engine import OllamaEngine, task_lm
from domaintraining.trainer.search.optimize import configure_dspy
from domaintraining.trainer.search.program import (
    Extraction,
    PromptAdapter,
    demonstrable,
    examples,
    program_prompt,
)
from tests.unit.trainer.scripted import make_run, parsed

TYPES = {"entities": ("FIRM", "PERSON"), "relations": ("WORKS_FOR",)}


def make_form(task: Task = "entities", *, thinks: bool = True, instruction: str | None = None) -> Form:
    types = tuple(TypeDefinition(name=name) for name in TYPES[task])
    return Form(task, types, thinks, instruction or GENERAL_INSTRUCTIONS[task])


def make_lm(server: Answering) -> dspy.LM:
    configure_dspy()
    run = make_run()
    return task_lm(OllamaEngine(server, run.model.name, run.options, run.optimizer.seed))


def ask(program: Extraction, content: str, **inputs: Any) -> tuple[dspy.Prediction, Mapping[str, Any]]:
    server = ScriptedServer(lambda _: content)
    with dspy.context(lm=make_lm(server)):
        prediction = program(**inputs)
    (body,) = server.bodies
    return prediction, body


def test_a_call_has_the_messages_and_the_schema_of_the_prompt() -> None:
    """What is sent for a text are the program's own messages, filled, and nothing else."""
    program = Extraction(make_form())
    prediction, body = ask(program, '{"reasoning": "r", "entities": []}', text="a {text} b")
    _, messages = program_prompt(program)
    assert body["messages"] == [*messages[:-1], {"role": "user", "content": "Text:\na {text} b"}]
    assert body["format"]["required"] == ["reasoning", "entities"]
    assert prediction.toDict() == {"reasoning": "r", "entities": []}


@pytest.mark.parametrize("content", ["", "no JSON", '{"entities": []}', '{"entities": 1}', "[]"])
def test_an_unreadable_answer_is_none_and_costs_one_call(content: str) -> None:
    """Whatever the model writes: no exception, no second try in another form, items None."""
    prediction, _ = ask(Extraction(make_form()), content, text="Ada.")
    assert prediction.entities is None


def test_reasoning_is_read_only_where_it_is_asked_for() -> None:
    """Without chain of thought an answer without reasoning is whole; with it, it is none (see above)."""
    prediction, body = ask(Extraction(make_form(thinks=False)), '{"entities": []}', text="Ada.")
    assert body["format"]["required"] == ["entities"]
    assert prediction.toDict() == {"entities": []}


def test_relations_are_asked_with_the_given_entities() -> None:
    """The entities of a sample stand as lines in the question about its relations."""
    (example,) = examples(parsed(1), "relations")
    _, body = ask(Extraction(make_form("relations")), "{}", **example.inputs())
    assert body["messages"][-1]["content"] == (
        "Text:\nIn year 0, Ada worked for Acme.\n\nEntities:\n- Ada (PERSON)\n- Acme (FIRM)"
    )


def test_the_wording_in_use_today_is_kept_to_the_letter() -> None:
    """DSPy takes indents out of instructions; the baseline has them as they were given."""
    wording = "Find names:\n    - people\n    - firms"
    program = Extraction(make_form(instruction=wording))
    assert program_prompt(program)[1][0]["content"].startswith(wording + "\n\nAnswer")


def test_an_error_goes_to_its_listener_before_dspy_can_score_it() -> None:
    """An exception in a call is told to on_error, which may raise what Evaluate does not catch."""
    seen: list[Exception] = []
    program = Extraction(make_form(), PromptAdapter(make_form(), on_error=seen.append))
    with dspy.context(lm=make_lm(ScriptedServer(lambda _: "{}"))), pytest.raises(KeyError):
        program(wrong="input")
    assert [type(error) for error in seen] == [KeyError]


def test_other_predictors_keep_dspys_own_adapter() -> None:
    """Proposals of instructions are asked in DSPy's stock form, without a schema."""
    server = ScriptedServer(lambda _: "[[ ## tip ## ]]\nbe brief\n\n[[ ## completed ## ]]")
    with dspy.context(lm=make_lm(server)):
        assert dspy.Predict("examples -> tip")(examples="x").tip == "be brief"
    assert "format" not in server.bodies[0]


def test_copies_of_a_program_share_the_adapter() -> None:
    """MIPROv2 copies programs all the time; all copies send the same bytes."""
    program = Extraction(make_form())
    assert program.deepcopy().adapter is program.adapter
    assert program.deepcopy().predictors()[0] is not program.predictors()[0]


@pytest.mark.parametrize(
    "sample",
    [
        {"text": "a {text} b", "entities": []},
        {"text": "a {entities}", "entities": []},
        {"text": "a", "entities": [{"name": "{text}", "type": "FIRM"}]},
        {"text": "a", "relations": [{"source": "a", "type": "IS", "target": "{entities}"}]},
    ],
)
def test_a_sample_with_a_placeholder_is_never_a_demo(sample: dict[str, Any]) -> None:
    """Neither a text nor a name with a placeholder gets into a prompt."""
    assert not demonstrable(Sample.model_validate(sample))
    assert demonstrable(parsed(1)[0])


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_the_proposer_reads_short_code_and_all_types(task: Task) -> None:
    """What MIPROv2 shows of the program to the prompt model: signature, types, a module of a few lines."""
    code = get_dspy_source_code(Extraction(make_form(task)))
    assert inspect.getsource(Extraction) in code
    assert all(name in code for name in TYPES[task])
    assert len(code.splitlines()) < 30
    assert not {"import", "server", "http", "open("} & set(code.split())
