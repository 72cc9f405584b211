"""The split is the contract's: by digest, stable, with groups whole, and a test part only where it counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.sample import Sample
from domaintraining.api.spec import Split, Task, Types
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data import split as splitting
from domaintraining.trainer.data.split import Parts, check_enough, closed_types, labelled, split_samples


def _samples(number: int, prefix: str = "text") -> list[Sample]:
    return [Sample(text=f"{prefix} {index}", entities=[], relations=[]) for index in range(number)]


def _grouped(sizes: Sequence[int], prefix: str = "g") -> list[Sample]:
    return [
        Sample(text=f"{prefix} {group} {index}", group=f"{prefix} {group}", entities=[], relations=[])
        for group, size in enumerate(sizes)
        for index in range(size)
    ]


def _sizes(parts: Parts) -> tuple[int, int, int]:
    return len(parts.train), len(parts.validation), len(parts.test)


def _part_of(parts: Parts) -> dict[str, str]:
    return {sample.text: name for name in ("train", "validation", "test") for sample in getattr(parts, name)}


@pytest.mark.parametrize(
    ("number", "split", "sizes"),
    [
        (80, Split(), (20, 40, 20)),
        (80, Split(seed=0), (20, 40, 20)),
        (120, Split(), (30, 60, 30)),
        (400, Split(), (100, 200, 100)),
        (40, Split(), (10, 20, 10)),
        (80, Split(test_percent=0, validation_percent=20), (64, 16, 0)),
        (80, Split(test_percent=50, validation_percent=45), (4, 36, 40)),
        (30, Split(), (10, 20, 0)),
        (38, Split(), (13, 25, 0)),
        (2000, Split(), (500, 1000, 500)),
        (2400, Split(), (700, 1200, 500)),
        (6, Split(), (2, 4, 0)),
        (6, Split(test_percent=0, validation_percent=5), (5, 1, 0)),
        (6, Split(test_percent=0, validation_percent=80), (1, 5, 0)),
        (2, Split(), (1, 1, 0)),
    ],
)
def test_parts_without_groups_have_exactly_these_sizes(
    number: int, split: Split, sizes: tuple[int, int, int]
) -> None:
    """80 give 20/40/20; test is capped at 500 and absent below 10; train and validation are never empty."""
    parts = split_samples(_samples(number), split)
    assert _sizes(parts) == sizes
    assert bool(parts.warnings) == (not sizes[2])


def test_the_order_is_that_of_sha256_of_seed_and_text() -> None:
    """Test, validation, train are the samples in the order of SHA-256 over seed, a line end, and text."""
    samples = _samples(80)
    ordered = sorted(samples, key=lambda sample: sha256(f"9\n{sample.text}".encode()).hexdigest())
    parts = split_samples(samples, Split())
    assert [*parts.test, *parts.validation, *parts.train] == ordered
    assert split_samples(samples, Split(seed=10)).test != parts.test


def test_the_order_in_the_file_does_not_matter() -> None:
    """Shuffled samples, with and without groups, give the same parts in the same order."""
    samples = [*_samples(50), *_grouped([3, 7, 1, 12])]
    parts = split_samples(samples, Split())
    for seed in range(5):
        shuffled = random.Random(seed).sample(samples, len(samples))
        assert split_samples(shuffled, Split()) == parts


def test_says_why_there_is_no_held_out_part() -> None:
    """The warning names the documents there would be and about how many samples would do."""
    (warning,) = split_samples(_samples(30), Split()).warnings
    assert "it would have 7 documents; 10 are needed" in warning
    assert "testPercent 25 gives from about 40 samples on" in warning
    (asked,) = split_samples(_samples(80), Split(test_percent=0)).warnings
    assert "testPercent is 0" in asked


@pytest.mark.parametrize("seed", range(40))
def test_parts_are_a_partition_that_keeps_groups_and_equal_texts_whole(seed: int) -> None:
    """Every sample is in one part, once; equal groups and equal texts are in one part."""
    source = random.Random(seed)
    groups = [None, *[f"group {index}" for index in range(source.randrange(1, 30))]]
    samples = [
        Sample(text=f"text {source.randrange(150)}", group=source.choice(groups))
        for _ in range(source.randrange(2, 200))
    ]
    percent = source.choice([0, 10, 25, 50])
    parts = split_samples(samples, Split(test_percent=percent, validation_percent=40, seed=seed))
    dealt = [*parts.train, *parts.validation, *parts.test]
    assert sorted(sample.text for sample in dealt) == sorted(sample.text for sample in samples)
    place = {id(sample): index for index in range(3) for sample in parts[index] if isinstance(sample, Sample)}
    for key in ("text", "group"):
        places: dict[str, set[int]] = {}
        for sample in samples:
            if getattr(sample, key):
                places.setdefault(getattr(sample, key), set()).add(place[id(sample)])
        assert all(len(indices) == 1 for indices in places.values())
    assert not 0 < len(parts.test) < 10


@pytest.mark.parametrize("seed", range(30))
def test_parts_with_groups_come_near_the_percentages(seed: int) -> None:
    """Each part is off by no more than the size of the largest group (half of it at each border)."""
    source = random.Random(seed)
    sizes = [source.choice([1, 1, 2, 5, 9, 14]) for _ in range(source.randrange(30, 90))]
    samples = _grouped(sizes)
    train, validation, test = _sizes(split_samples(samples, Split(seed=seed)))
    total, largest = len(samples), max(sizes)
    assert abs(test - total * 0.25) <= largest / 2
    assert abs(validation - total * 0.5) <= largest
    assert abs(train - total * 0.25) <= largest / 2


@pytest.mark.parametrize("seed", range(30))
def test_added_samples_move_only_what_lies_at_a_border(seed: int) -> None:
    """With k added samples at most k old ones cross each border, and none goes between test and train."""
    source = random.Random(seed)
    old = _samples(source.randrange(60, 150), prefix=f"old {seed}")
    added = _samples(source.randrange(1, 60), prefix=f"new {seed}")
    before, after = (_part_of(split_samples(samples, Split(seed=seed))) for samples in (old, old + added))
    moves = [(before[sample.text], after[sample.text]) for sample in old]
    for border in ({"test", "validation"}, {"validation", "train"}):
        assert sum(set(move) == border for move in moves) <= len(added)
    assert ("test", "train") not in moves
    assert ("train", "test") not in moves


def test_adding_half_again_moves_few_test_documents_into_train() -> None:
    """40 samples added to 80 move fewer than 2 of 20 test documents (mean of 100 seeds), none into train."""
    moved = 0
    for seed in range(100):
        old, added = _samples(80, f"old {seed}"), _samples(40, f"new {seed}")
        before = _part_of(split_samples(old, Split()))
        after = _part_of(split_samples(old + added, Split()))
        tested = [text for text, part in before.items() if part == "test"]
        moved += sum(after[text] != "test" for text in tested)
        assert all(after[text] != "train" for text in tested)
    assert moved / 100 < 2


@pytest.mark.parametrize(
    ("sizes", "total_test"),
    [([600] + [1] * 3400, 500), ([700, 800, 900] + [10] * 300, 500), ([300] * 20, 300)],
)
def test_a_group_that_is_too_large_does_not_keep_others_out_of_test(
    sizes: list[int], total_test: int
) -> None:
    """Test never has more than 500 documents, and groups too large for it are dealt to the other parts."""
    for seed in range(3):
        assert len(split_samples(_grouped(sizes), Split(seed=seed)).test) == total_test


@pytest.mark.parametrize("sizes", [[27, 27, 26], [60] + [1] * 20, [40, 40], [70, 5, 5], [1, 79]])
def test_few_large_groups_leave_no_part_for_training_empty(sizes: list[int]) -> None:
    """Wherever there are two groups, train and validation both have some, if need be without a test part."""
    for seed in range(20):
        parts = split_samples(_grouped(sizes), Split(seed=seed))
        assert parts.train
        assert parts.validation
        assert bool(parts.warnings) == (not parts.test)


def test_one_group_can_t_be_divided_and_is_refused() -> None:
    """All samples in one group: TooFewSamples, naming the empty part, instead of a leak between parts."""
    samples = _grouped([80])
    with pytest.raises(
        DomainTrainingError, match="of them 0 in the train and 80 in the validation"
    ) as caught:
        check_enough(samples, split_samples(samples, Split()), ["entities"])
    assert caught.value.reason is Reason.TOO_FEW_SAMPLES


def test_no_samples_make_no_parts() -> None:
    """Nothing to divide is no crash here; `check_enough` refuses it."""
    parts = split_samples([], Split())
    assert _sizes(parts) == (0, 0, 0)
    with pytest.raises(DomainTrainingError, match="entities: 0 labelled samples"):
        check_enough([], parts, ["entities"])


def test_labelled_counts_empty_lists_and_leaves_out_missing_ones() -> None:
    """`[]` is labelled, a missing key is not; relations need labelled entities as well."""
    both = Sample(text="a", entities=[], relations=[])
    entities = Sample(text="b", entities=[])
    relations = Sample(text="c", relations=[])
    none = Sample(text="d")
    assert labelled([both, entities, relations, none], "entities") == (both, entities)
    assert labelled([both, entities, relations, none], "relations") == (both,)


SHORT = (("entities", 3), ("relations", 0))


@pytest.mark.parametrize(
    ("with_entities", "with_relations", "tasks", "message"),
    [
        (6, 6, ["entities", "relations"], None),
        (5, 5, ["entities"], "entities: 5 labelled samples, at least 6 are needed"),
        (80, 5, ["entities", "relations"], "relations: 5 labelled samples, at least 6 are needed"),
        (80, 5, ["entities"], None),
        (
            3,
            0,
            ["entities", "relations"],
            "; ".join(f"{task}: {n} labelled samples, at least 6 are needed" for task, n in SHORT),
        ),
    ],
)
def test_fewer_than_six_labelled_samples_of_a_task_are_refused(
    with_entities: int, with_relations: int, tasks: list[Task], message: str | None
) -> None:
    """TooFewSamples names each task that is trained and its count; samples without its key don't count."""
    samples = [
        Sample(
            text=f"text {index}",
            entities=[] if index < with_entities else None,
            relations=[] if index < with_relations else None,
        )
        for index in range(80)
    ]
    sixths = Parts(tuple(samples[0:2]), tuple(samples[2:80]), ())
    if message is None:
        check_enough(samples, sixths, tasks)
        return
    with pytest.raises(DomainTrainingError) as caught:
        check_enough(samples, sixths, tasks)
    assert (caught.value.reason, caught.value.message) == (Reason.TOO_FEW_SAMPLES, message)


def test_a_part_for_training_without_labels_is_refused() -> None:
    """Labels that all fell into one part are named with the counts of both."""
    bare, full = Sample(text="bare"), _samples(8)
    with pytest.raises(
        DomainTrainingError, match="entities: 8 labelled samples, of them 0 in the train and 8"
    ):
        check_enough([bare, *full], Parts((bare,), tuple(full), ()), ["entities"])
    with pytest.raises(DomainTrainingError, match="of them 8 in the train and 0 in the validation part"):
        check_enough([bare, *full], Parts(tuple(full), (bare,), ()), ["entities"])


def _typed(text: str, entity: str, relation: str) -> Sample:
    return Sample.model_validate(
        {
            "text": text,
            "entities": [{"name": "a", "type": entity}],
            "relations": [{"source": "a", "type": relation, "target": "a"}],
        }
    )


PARTS = Parts(
    (_typed("1", "B", "R"), Sample.model_validate({"text": "4", "entities": [{"name": "a", "type": "D"}]})),
    (_typed("2", "A", "Q"), _typed("5", "B", "R")),
    (_typed("3", "C", "S"),),
)


def test_types_are_those_of_train_and_validation() -> None:
    """The closed list comes sorted from train and validation; what only the test part has stays out."""
    assert [kind.name for kind in closed_types(PARTS, Types(), "entities")] == ["A", "B", "D"]
    assert [kind.name for kind in closed_types(PARTS, Types(), "relations")] == ["Q", "R"]


def test_types_of_the_spec_win() -> None:
    """A list in the spec is taken as it is, in its order and with its descriptions, for its task only."""
    types = Types.model_validate({"entities": [{"name": "Z", "description": "last"}, {"name": "A"}]})
    assert types.entities is not None
    assert closed_types(PARTS, types, "entities") == tuple(types.entities)
    assert [kind.name for kind in closed_types(PARTS, types, "relations")] == ["Q", "R"]


def test_no_type_and_too_many_types_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer fits an empty closed list, and no prompt holds an endless one: both name the remedy."""
    empty = Parts(tuple(_samples(3)), tuple(_samples(3, "b")), ())
    with pytest.raises(DomainTrainingError, match=r"set spec\.types\.relations") as caught:
        closed_types(empty, Types(), "relations")
    assert caught.value.reason is Reason.TOO_FEW_SAMPLES
    monkeypatch.setattr(splitting, "MAX_TYPES", 2)
    with pytest.raises(DomainTrainingError, match=r"entities: 3 types .* at most 2") as caught:
        closed_types(PARTS, Types(), "entities")
    assert caught.value.reason is Reason.DATASET_INVALID
