"""Free answers: every section that DSPy asks for, and a real variety of proposed instructions."""

import dspy
import pytest
from dspy.propose.dataset_summary_generator import (
    DatasetDescriptor,
    DatasetDescriptorWithPriorObservations,
    ObservationSummarizer,
)
from dspy.propose.grounded_proposer import TIPS, DescribeModule, DescribeProgram, generate_instruction_class
from dspy.propose.utils import strip_prefix

from tests.sandbox.simulated_ollama import wordings
from tests.sandbox.simulated_ollama.cues import KINDS
from tests.sandbox.simulated_ollama.instruction import qualities_of
from tests.sandbox.simulated_ollama.knowledge import HINTS
from tests.sandbox.simulated_ollama.proposals import meanings, reply_to
from tests.unit.simulated_ollama.lessons import GENERAL

INSTRUCT = generate_instruction_class().signature
BASE = {
    "dataset_description": "sentences",
    "program_code": "a list; types: BODY, DAY",
    "program_description": "one call",
    "module": "ChainOfThought(text) -> reasoning, entities",
    "module_description": "asks",
    "previous_instructions": "",
    "task_demos": "Entities: [{'name': 'June 3', 'type': 'DAY'}]",
    "basic_instruction": GENERAL["entities"],
    "tip": "",
}


def asked(signature: type[dspy.Signature], inputs: dict[str, str]) -> list[tuple[str, str]]:
    """The messages that DSPy sends for a signature."""
    turns = dspy.ChatAdapter().format(signature, [], inputs)
    return [(turn["role"], turn["content"]) for turn in turns]


def proposed(changes: dict[str, str], seed: int = 1) -> str:
    """A proposed instruction, as MIPROv2 reads it."""
    completion = reply_to(asked(INSTRUCT, BASE | changes), 1.0, seed)
    fields = dspy.ChatAdapter().parse(INSTRUCT, completion)
    text: str = strip_prefix(fields["proposed_instruction"])
    return text


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        (DatasetDescriptor, {"examples": "[...]"}),
        (DatasetDescriptorWithPriorObservations, {"examples": "[...]", "prior_observations": "Short."}),
        (ObservationSummarizer, {"observations": "Short."}),
        (DescribeProgram, {"program_code": "code", "program_example": "example"}),
        (
            DescribeModule,
            dict.fromkeys(("program_code", "program_example", "program_description", "module"), "x"),
        ),
        (INSTRUCT, BASE),
    ],
)
def test_dspy_reads_every_answer_of_its_proposer(
    signature: type[dspy.Signature], inputs: dict[str, str]
) -> None:
    """Each section once and not empty; the mark at the end."""
    completion = reply_to(asked(signature, inputs), 1.0, 9)
    fields = dspy.ChatAdapter().parse(signature, completion)
    assert all(fields.values())
    assert completion.endswith("[[ ## completed ## ]]")


def test_proposed_instructions_differ_from_useless_to_good() -> None:
    """MIPROv2 has something to find."""
    wordings_seen = {proposed({"dataset_description": f"set {n}"}) for n in range(60)}
    counts = [len(qualities_of(wording)) for wording in wordings_seen]
    assert len(wordings_seen) > 40
    assert min(counts) <= 1
    assert max(counts) >= 5
    assert 15 <= sum(count >= 4 for count in counts) <= 45


def test_another_seed_gives_another_instruction_and_a_repeat_the_same() -> None:
    """Sampling that can be repeated."""
    assert proposed({}, seed=1) == proposed({}, seed=1)
    assert len({proposed({}, seed=seed) for seed in range(8)}) > 4


def test_tips_are_followed() -> None:
    """A persona, high stakes, few words."""
    for n in range(12):
        prompt = {"dataset_description": str(n)}
        assert proposed(prompt | {"tip": TIPS["persona"]}).startswith(wordings.PERSONAS)
        assert "eager" in qualities_of(proposed(prompt | {"tip": TIPS["high_stakes"]}))
        assert len(proposed(prompt | {"tip": TIPS["simple"]}).split(". ")) <= 6


def test_a_task_gets_instructions_of_its_own() -> None:
    """Relations are told about direction, entities never."""
    module = {"module": "ChainOfThought(text, entities) -> reasoning, relations"}
    relations = [
        proposed(module | {"basic_instruction": GENERAL["relations"], "tip": str(n)}) for n in range(20)
    ]
    entities = [proposed({"tip": str(n)}) for n in range(20)]
    assert any("direction" in qualities_of(one) for one in relations)
    assert not any("direction" in qualities_of(one) for one in entities)


def test_types_are_explained_from_names_and_examples_only() -> None:
    """DAY is explained by a demo; of BODY nothing is known."""
    assert meanings(BASE) == "DAY stands for dates and times."
    assert meanings({"task_demos": "No task demos provided."}) == ""
    assert set(HINTS) <= set(wordings.THINGS) & set(KINDS)


def test_observations_end_when_there_is_nothing_to_add() -> None:
    """`COMPLETE` now and then, and always when all is said."""
    everything = {"examples": "[...]", "prior_observations": " ".join(wordings.OBSERVATIONS)}
    completion = reply_to(asked(DatasetDescriptorWithPriorObservations, everything), 1.0, 1)
    assert "COMPLETE" in completion


@pytest.mark.parametrize(
    "content", ["hi", "", "Respond with the corresponding output fields", "[[ ## a ## ]]"]
)
def test_a_plain_chat_is_told_that_nobody_real_answers(content: str) -> None:
    """A sentence, and it says simulated."""
    assert "simulated" in reply_to([("user", content)], 0.8, None)
