"""The files of a prompt and its manifest."""

import json

import dspy
import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.prompts.export import (
    digests,
    input_lengths,
    load_program,
    manifest,
    task_files,
    task_prompt,
    text_digest,
    whole_prompts,
)
from domaintraining.trainer.prompts.prompt import Form
from domaintraining.trainer.search.program import Extraction, examples, program_prompt
from tests.unit.trainer.scripted import make_run, parsed
from tests.unit.trainer.search.test_program import ask, make_form


def trained(task: Task, form: Form | None = None) -> Extraction:
    """A program as MIPROv2 leaves it: an instruction of its own, a bootstrapped and a labelled demo."""
    program = Extraction(form or make_form(task))
    (predictor,) = program.predictors()
    first, second = examples(parsed(2), task)
    own = dspy.Example(augmented=True, **first.toDict(), reasoning="I looked at {text}")
    predictor.demos = [own, second]
    predictor.signature = predictor.signature.with_instructions("  Do it well: {text}.\n    - indented  ")
    return program


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_files_are_one_prompt(task: Task) -> None:
    """messages, schema, request and plain prompt say the same; the API accepts them."""
    files = task_files(trained(task), make_run())
    request = json.loads(files.request)
    assert request["messages"] == json.loads(files.messages)
    assert request["format"] == json.loads(files.schema_)
    assert request["options"] == {"temperature": 0.0, "seed": 9, "num_predict": 2048}
    assert all(message["content"] in files.prompt for message in request["messages"])


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_a_call_in_the_search_sends_the_published_bytes(task: Task) -> None:
    """The body DSPy's engine sends equals request.json with its placeholders filled."""
    program = trained(task)
    (example,) = examples(parsed(5)[4:], task)
    _, body = ask(program, "{}", **example.inputs())
    published = json.loads(task_files(program, make_run()).request)
    last = published["messages"][-1]
    lines = "\n".join(f"- {entity['name']} ({entity['type']})" for entity in example["entities"])
    last["content"] = last["content"].replace("{text}", example["text"]).replace("{entities}", lines)
    assert json.dumps(body, sort_keys=True) == json.dumps(published, sort_keys=True)


@pytest.mark.parametrize("task", ["entities", "relations"])
@pytest.mark.parametrize("thinks", [True, False])
def test_a_saved_program_has_the_published_messages(task: Task, thinks: bool) -> None:  # noqa: FBT001
    """load_program gives a program whose messages are those of messages.json."""
    wording = "In use today:\n    - {text}"
    for program in (
        trained(task, make_form(task, thinks=thinks)),
        Extraction(make_form(task, thinks=thinks, instruction=wording)),
    ):
        files = task_files(program, make_run())
        loaded = load_program(files.dspy)
        assert program_prompt(loaded)[1] == json.loads(files.messages)
        assert task_files(loaded, make_run()) == files


def test_a_saved_program_is_dspys_own_state() -> None:
    """DSPy's load_state reads the file, demos and instruction included."""
    program = Extraction(make_form())
    program.load_state(json.loads(task_files(trained("entities"), make_run()).dspy))
    assert program_prompt(program)[1] == program_prompt(trained("entities"))[1]


def test_status_is_told_what_the_prompt_says() -> None:
    """Instruction as it stands in the system message, number of demos, run."""
    prompt = task_prompt(trained("entities"), make_run(), 3)
    assert (prompt.run, prompt.demos) == (3, 2)
    assert prompt.instruction == "Do it well: (text).\n- indented"
    assert json.loads(prompt.files.messages)[0]["content"].startswith(prompt.instruction + "\n\n")


def test_the_manifest_says_whether_a_measurement_can_be_repeated() -> None:
    """Repeatable only at temperature 0; what was scored are the messages."""
    cold = manifest(make_run(), {}, {})
    warm = manifest(make_run(options={"temperature": 0.5}), {}, {})
    assert (cold["repeatable"], warm["repeatable"]) == (True, False)
    assert cold["scored"] == "messages"
    assert set(cold["versions"]) == {"domaintraining", "dspy", "optuna", "python"}


def test_texts_stand_in_the_manifest_as_digests() -> None:
    """SHA-256 of the text, each once; no text."""
    assert digests(["b", "a", "b"]) == sorted([text_digest("a"), text_digest("b")])
    assert text_digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("lengths", "told"),
    [
        ([3], {"median": 3, "p95": 3, "max": 3}),
        (list(range(1, 101)), {"median": 50, "p95": 95, "max": 100}),
    ],
)
def test_input_lengths_are_characters(lengths: list[int], told: dict[str, int]) -> None:
    """Median, 95th percentile and longest text."""
    assert input_lengths(["x" * length for length in lengths]) == told


def test_a_manifest_that_is_not_taken_is_told_as_such() -> None:
    """Not as an error of the program, which would be tried again."""
    prompt = task_prompt(trained("entities"), make_run(), 1)
    described = {"seen": [text_digest(str(number)) for number in range(6_700)]}
    with pytest.raises(DomainTrainingError) as refused:
        whole_prompts({"entities": prompt}, Metrics(), described)
    assert refused.value.reason is Reason.RESULT_TOO_LARGE
    fitting = {"seen": described["seen"][:6_600]}
    assert whole_prompts({"entities": prompt}, Metrics(), fitting).manifest == fitting
