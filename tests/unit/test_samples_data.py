"""The shipped training set `crds/samples/tech-docs.jsonl` keeps what its labels promise.

People measure prompts with these labels, so they follow written definitions.

Entities, each name once per sample and copied from the text to the letter:

- SERVICE: a named program that the organisation itself builds and runs (`billing-api`).
- TECHNOLOGY: a named product, database, broker, library, tool or language made by others, without its
  version number (`PostgreSQL`).
- PROTOCOL: a named wire protocol, open standard or data format, with its version where the name holds one
  (`gRPC`, `HTTP/2`, `Parquet`).
- TEAM: a named group of people in the organisation, without the article and without the word team, squad,
  crew or group (`Payments`).
- SETTING: the literal name of a configuration key or environment variable, without its value
  (`RATE_BURST`).

Generic words (the database, the alert), companies, values, and names of hosts or metrics are no entities.
An entity is labelled also where it has no relation.

Relations, only what the sentence itself says and what holds now: nothing negated, past, planned or rejected:

- USES: a service, technology or team is built with, runs on, stores in or works with a technology.
- DEPENDS_ON: a service calls, asks or hands work to another service, or consumes what the other publishes;
  the source is the one that needs the other.
- OWNED_BY: a service or technology is run, maintained or on call by a team.
- EXPOSES: a service or technology offers, accepts or emits a protocol or format; the called side only, never
  the caller.
- CONFIGURES: a setting changes how a service or technology behaves.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "crds" / "samples" / "tech-docs.jsonl"

SOURCES_AND_TARGETS = {
    "USES": ({"SERVICE", "TECHNOLOGY", "TEAM"}, {"TECHNOLOGY"}),
    "DEPENDS_ON": ({"SERVICE"}, {"SERVICE"}),
    "OWNED_BY": ({"SERVICE", "TECHNOLOGY"}, {"TEAM"}),
    "EXPOSES": ({"SERVICE", "TECHNOLOGY"}, {"PROTOCOL"}),
    "CONFIGURES": ({"SETTING"}, {"SERVICE", "TECHNOLOGY"}),
}
ENTITY_TYPES = {"SERVICE", "TECHNOLOGY", "PROTOCOL", "TEAM", "SETTING"}

Sample = dict[str, Any]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]


def _types(sample: Sample) -> dict[str, str]:
    return {entity["name"]: entity["type"] for entity in sample["entities"]}


def _names_found(text: str, names: list[str]) -> set[str]:
    """Those of `names` that stand in `text` as whole words and not inside a longer one of them."""
    longest_first = sorted(names, key=len, reverse=True)
    return set(re.findall(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", text))


def test_every_line_is_a_fully_labelled_sample_and_nothing_else(samples: list[Sample]) -> None:
    """Both tasks are labelled in each line, and no key is there that a reader would warn about."""
    for sample in samples:
        assert list(sample) == ["text", "entities", "relations", "group"]
        assert all(list(entity) == ["name", "type"] for entity in sample["entities"])
        assert all(list(relation) == ["source", "type", "target"] for relation in sample["relations"])


def test_there_are_enough_samples_to_hold_some_out(samples: list[Sample]) -> None:
    """120 samples or more leave both validation and test with documents that tell prompts apart."""
    assert len(samples) >= 120


def test_samples_come_from_thirty_to_forty_documents_of_three_to_five_sentences(
    samples: list[Sample],
) -> None:
    """The split is by group, so groups are many and none is large."""
    sizes = Counter(sample["group"] for sample in samples)
    assert 30 <= len(sizes) <= 40
    assert set(sizes.values()) <= {3, 4, 5}


def test_sentences_of_a_document_stand_together(samples: list[Sample]) -> None:
    """A reader finds a document's sentences in one place."""
    groups = [sample["group"] for sample in samples]
    starts = [group for before, group in zip(["", *groups], groups, strict=False) if group != before]
    assert len(starts) == len(set(starts))


def test_no_text_is_given_twice(samples: list[Sample]) -> None:
    """An equal text would be skipped, so there is none, whatever its case and spacing."""
    assert len({" ".join(sample["text"].casefold().split()) for sample in samples}) == len(samples)


def test_texts_have_eight_to_thirty_five_words_and_no_loose_space(samples: list[Sample]) -> None:
    """Each text is one short passage, trimmed."""
    for sample in samples:
        assert 8 <= len(sample["text"].split()) <= 35, sample["text"]
        assert sample["text"] == " ".join(sample["text"].split())


def test_no_text_holds_a_placeholder_or_a_type_marker(samples: list[Sample]) -> None:
    """No demo can be taken for the place where the published prompt puts its input."""
    for sample in samples:
        assert not [
            mark for mark in ("{text}", "{entities}", "<<", ">>", "[[", "]]") if mark in sample["text"]
        ]


def test_every_name_stands_in_its_text_as_a_whole_word(samples: list[Sample]) -> None:
    """A name is copied from the text to the letter."""
    for sample in samples:
        for name in _types(sample):
            assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sample["text"]), (name, sample["text"])


def test_no_sample_labels_a_name_twice(samples: list[Sample]) -> None:
    """Names are unique in a sample, so that a relation's ends are too."""
    for sample in samples:
        assert len(_types(sample)) == len(sample["entities"]), sample["text"]


def test_a_name_has_one_type_in_the_whole_set(samples: list[Sample]) -> None:
    """Two documents never disagree about what a name is."""
    pairs = {pair for sample in samples for pair in _types(sample).items()}
    assert [name for name, count in Counter(name for name, _ in pairs).items() if count > 1] == []


def test_a_name_labelled_once_is_labelled_wherever_it_stands(samples: list[Sample]) -> None:
    """No known name is left out of a sample, which would count a right answer as wrong."""
    names = sorted({name for sample in samples for name in _types(sample)})
    for sample in samples:
        assert _names_found(sample["text"], names) == set(_types(sample)), sample["text"]


def test_entity_types_are_the_five_defined_ones_and_each_has_twenty_labels(samples: list[Sample]) -> None:
    """The list of types is closed, and no type is too rare to be learned."""
    counts = Counter(kind for sample in samples for kind in _types(sample).values())
    assert set(counts) == ENTITY_TYPES
    assert min(counts.values()) >= 20


def test_relation_types_are_the_five_defined_ones_and_each_has_twenty_labels(samples: list[Sample]) -> None:
    """The list of types is closed, and no type is too rare to be learned."""
    counts = Counter(relation["type"] for sample in samples for relation in sample["relations"])
    assert counts.keys() == SOURCES_AND_TARGETS.keys()
    assert min(counts.values()) >= 20


def test_both_ends_of_a_relation_are_entities_of_the_types_its_definition_names(
    samples: list[Sample],
) -> None:
    """An end that is no entity of the sample is an error to the reader; a wrong type breaks a definition."""
    for sample in samples:
        types = _types(sample)
        for relation in sample["relations"]:
            sources, targets = SOURCES_AND_TARGETS[relation["type"]]
            assert types[relation["source"]] in sources, relation
            assert types[relation["target"]] in targets, relation


def test_no_relation_is_given_twice_or_from_a_name_to_itself(samples: list[Sample]) -> None:
    """Every labelled relation counts once."""
    for sample in samples:
        triples = [tuple(relation.values()) for relation in sample["relations"]]
        assert len(set(triples)) == len(triples)
        assert all(source != target for source, _, target in triples)


def test_about_a_tenth_has_no_relation_and_a_handful_no_entity(samples: list[Sample]) -> None:
    """A prompt that always answers with something is found out."""
    without_relation = sum(not sample["relations"] for sample in samples)
    without_entity = sum(not sample["entities"] for sample in samples)
    assert 0.07 <= without_relation / len(samples) <= 0.15
    assert 3 <= without_entity <= 10


def test_names_recur_across_documents(samples: list[Sample]) -> None:
    """Demos can help with held-out documents: a quarter of the names is met in more than one."""
    groups: dict[str, set[str]] = {}
    for sample in samples:
        for name in _types(sample):
            groups.setdefault(name, set()).add(sample["group"])
    assert sum(len(where) > 1 for where in groups.values()) >= len(groups) / 4
