"""Which domains are near, and what of their prompts may be used: others' ConfigMaps are hostile input."""

from typing import Any

import numpy as np
import pytest

from domaintraining.api.similar import DataVector, Offer, TaskOffer
from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.trainer.prompts.prompt import Form
from domaintraining.trainer.search.optimize import Search
from domaintraining.trainer.search.program import examples, program_prompt
from domaintraining.trainer.search.similar import alike_text, candidate, cosine, evaluated, packed, ranked
from tests.unit.trainer.scripted import make_run, parsed

TYPES: dict[Task, frozenset[str]] = {
    "entities": frozenset({"PERSON", "FIRM"}),
    "relations": frozenset({"WORKS_FOR"}),
}
KINDS = (TypeDefinition(name="PERSON"), TypeDefinition(name="FIRM"))
ENTITIES = Form("entities", KINDS, chain_of_thought=True, instruction="Extract.")
RELATIONS = Form(
    "relations", (TypeDefinition(name="WORKS_FOR"),), chain_of_thought=True, instruction="Extract."
)
DEMO: dict[str, Any] = {"text": "Ada joined Hooli.", "entities": [{"name": "Ada", "type": "PERSON"}]}
RELATED: dict[str, Any] = DEMO | {"relations": [{"source": "Ada", "type": "WORKS_FOR", "target": "Hooli"}]}


def vector(*values: float, digest: str = "sha256:1") -> DataVector:
    made = packed(np.asarray([values], dtype=np.float32), "bge-m3", digest)
    assert made
    return made


def offer(name: str, types: list[str], vector: DataVector | None = None) -> Offer:
    return Offer(
        name=name, revision=1, entities=TaskOffer(instruction="Look.", types=types, demos=[]), vector=vector
    )


def program(instruction: str = "Look.", *demos: dict[str, Any], form: Form = ENTITIES, **changes: Any) -> Any:
    offered = TaskOffer.model_validate({"instruction": instruction, "types": ["FIRM"], "demos": demos})
    values: dict[str, Any] = {"types": TYPES, "kept_apart": frozenset(), "most": 5} | changes
    return candidate(offered, form, **values)


def shown(found: Any) -> int:
    """Demos of a candidate."""
    return 0 if found is None else len(program_prompt(found)[1]) // 2 - 1


def test_types_decide_where_no_vectors_are_comparable() -> None:
    """By the part of all types that both have; with none in common a domain is not similar."""
    found = ranked(
        [offer("far", ["FIRM", "A", "B"]), offer("same", ["FIRM", "PERSON"]), offer("none", ["A"])],
        TYPES,
        None,
    )
    assert [(one.offer.name, one.distance["entities"]) for one in found] == [("same", 0.0), ("far", 0.75)]


def test_data_decide_between_those_of_the_same_types() -> None:
    """And one that can't be compared is taken for as far as the farthest."""
    own = vector(1, 0, 0)
    found = ranked(
        [
            offer("across", ["FIRM", "PERSON"], vector(0, 1, 0)),
            offer("near", ["FIRM", "PERSON"], vector(1, 0.1, 0)),
            offer("unknown", ["FIRM", "PERSON"], vector(1, 0, 0, digest="sha256:other")),
            offer("silent", ["FIRM", "PERSON"]),
        ],
        TYPES,
        own,
    )
    assert [one.offer.name for one in found] == ["near", "across", "silent", "unknown"]
    assert [one.cosine for one in found][1:] == [0.0, None, None]
    assert found[0].cosine == pytest.approx(0.995, abs=0.002)


def test_a_vector_of_a_few_bytes_keeps_its_direction() -> None:
    """One byte a value: cosines within a hundredth of those of the whole numbers."""
    rng = np.random.default_rng(9)
    one, other = rng.normal(size=(2, 1024)).astype(np.float32) + 0.5
    whole = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    made = packed(one[None], "m", "d"), packed(other[None], "m", "d")
    assert cosine(*made) == pytest.approx(whole, abs=0.01)
    assert made[0]
    assert len(made[0].values) < 1_400


def test_vectors_that_say_nothing_are_not_comparable() -> None:
    assert packed(np.zeros((2, 3), dtype=np.float32), "m", "d") is None
    assert cosine(vector(1, 0), vector(1, 0, 0)) is None
    assert cosine(vector(1, 0), DataVector(model="m", digest="sha256:1", values="AAA=")) is None


def test_a_candidate_is_the_others_instruction_with_its_demos() -> None:
    found = program("Look well.", DEMO | {"reasoning": "a name"})
    instruction, messages = program_prompt(found)
    assert instruction == "Look well."
    assert messages[1]["content"] == "Text:\nAda joined Hooli."
    assert (
        messages[2]["content"] == '{"reasoning": "a name", "entities": [{"name": "Ada", "type": "PERSON"}]}'
    )


def test_relations_are_shown_with_their_entities() -> None:
    _, messages = program_prompt(program("Look.", RELATED, form=RELATIONS))
    assert messages[1]["content"].endswith("Entities:\n- Ada (PERSON)")
    assert '"type": "WORKS_FOR"' in messages[2]["content"]


UNFIT: dict[str, dict[str, Any]] = {
    "another type": DEMO | {"entities": [{"name": "Ada", "type": "GHOST"}]},
    "a placeholder in the text": DEMO | {"text": "Ada {text}"},
    "a placeholder in a name": DEMO | {"entities": [{"name": "{entities}", "type": "FIRM"}]},
    "a placeholder in the reasoning": DEMO | {"reasoning": "{text}"},
    "a marker of DSPy's": DEMO | {"text": "<<CUSTOM-TYPE-START-IDENTIFIER>>"},
    "a marker in the reasoning": DEMO | {"reasoning": "<<CUSTOM-TYPE-END-IDENTIFIER>>"},
    "blanks": DEMO | {"text": "  \n"},
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_demo_that_no_sample_could_be_is_not_shown(what: str) -> None:
    """The instruction is still a candidate, with the demos that are fit."""
    assert shown(program("Look.", UNFIT[what], DEMO)) == 1


def test_relations_between_other_types_are_not_shown() -> None:
    other = DEMO | {"relations": [{"source": "Ada", "type": "OWNS", "target": "Hooli"}]}
    foreign = RELATED | {"entities": [{"name": "Ada", "type": "GHOST"}]}
    assert shown(program("Look.", other, foreign, RELATED, form=RELATIONS)) == 1


def test_texts_of_validation_and_held_out_part_are_never_demos() -> None:
    """However they are written."""
    apart = frozenset({alike_text("ADA  joined\nHooli.")})
    assert shown(program("Look.", DEMO, kept_apart=apart)) == 0


def test_no_more_demos_than_the_spec_allows() -> None:
    assert shown(program("Look.", *[DEMO] * 4, most=2)) == 2
    assert shown(program("Look.", DEMO, most=0)) == 0


@pytest.mark.parametrize("instruction", ["{text}", "Use <<CUSTOM-TYPE-START-IDENTIFIER>>", "   ", "Extract."])
def test_an_instruction_that_no_prompt_could_have_or_the_baseline_has_is_none(instruction: str) -> None:
    assert program(instruction) is None


@pytest.mark.parametrize("count", [30, 130])
def test_it_is_scored_on_the_samples_that_mipro_scores_on(count: int) -> None:
    """All of them, or those that MIPROv2 draws where there are more than it takes."""
    search = Search(ENTITIES, examples(parsed(20), "entities"), examples(parsed(count), "entities"))
    found = evaluated(search, make_run())
    assert len(found) == min(count, 100)
    assert len({example.text for example in found}) == len(found)
