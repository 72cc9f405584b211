"""Divides samples into train, validation and held-out test; added samples don't reshuffle the others."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from hashlib import sha256
from typing import Final, NamedTuple

from domaintraining.api.reasons import Reason
from domaintraining.api.sample import Sample
from domaintraining.api.spec import Split, Task, TypeDefinition, Types
from domaintraining.errors import DomainTrainingError

MIN_TEST: Final = 10
"""Documents below which there is no test part."""
MAX_TEST: Final = 500
"""Most documents of the test part."""
MIN_LABELLED: Final = 6
"""Labelled samples that a task needs."""
MAX_TYPES: Final = 256
"""Most types of a closed list that comes from the data."""

Unit = tuple[Sample, ...]
"""Samples that stay together: of one group, or of equal text."""


class Parts(NamedTuple):
    """The samples, divided; each part in the order of the digests."""

    train: tuple[Sample, ...]
    """Demos are taken from these."""
    validation: tuple[Sample, ...]
    """Candidates are chosen by these."""
    test: tuple[Sample, ...]
    """Held out: they take part in no choice."""
    warnings: tuple[str, ...] = ()
    """Why there is no test part, where there is none."""


def split_samples(samples: Sequence[Sample], split: Split) -> Parts:
    """Deals samples to the parts by the SHA-256 of seed and group (or text), whatever their order.

    In the order of the digests the first samples are the test part, the next are validation, the rest is
    train; what stays together goes where its middle lies. Without groups 80 samples give exactly
    20/40/20 (train, validation, test) at the defaults. Test has at most 500 documents, and none where it
    would have fewer than 10, or where nothing would be left for train or validation: those two then share
    all samples in the proportion of their percentages. Both get some wherever there are two groups.
    """
    units = _units(samples, split.seed)
    test, rest = _test_units(units, len(samples), split.test_percent)
    held_out = sum(map(len, test))
    if held_out >= MIN_TEST and len(rest) > 1:
        aim = min(Fraction(len(samples) * split.test_percent, 100), Fraction(MAX_TEST))
        boundary = aim + Fraction(len(samples) * split.validation_percent, 100) - held_out
        warnings: tuple[str, ...] = ()
    else:
        warnings = (_no_test(split.test_percent, held_out),)
        test, rest = [], units
        boundary = Fraction(len(samples) * split.validation_percent, 100 - split.test_percent)
    cut = _cut(rest, boundary)
    return Parts(_flat(rest[cut:]), _flat(rest[:cut]), _flat(test), warnings)


def _units(samples: Sequence[Sample], seed: int) -> list[Unit]:
    """What stays together, in the order of the digests."""
    owner = _owners(samples)
    members: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        members[_root(owner, _key(sample))].append(sample)
    digests: dict[str, str] = {}
    for key in owner:
        root, digest = _root(owner, key), _digest(seed, key)
        digests[root] = min(digest, digests.get(root, digest))
    ordered = sorted(members, key=digests.__getitem__)
    return [tuple(sorted(members[root], key=lambda sample: _digest(seed, sample.text))) for root in ordered]


def _owners(samples: Sequence[Sample]) -> dict[str, str]:
    """A forest of keys (groups, or texts without group): those of equal texts stand in one tree."""
    owner: dict[str, str] = {}
    by_text: dict[str, str] = {}
    for sample in samples:
        key = _key(sample)
        owner.setdefault(key, key)
        first = by_text.setdefault(sample.text, key)
        owner[_root(owner, key)] = _root(owner, first)
    return owner


def _root(owner: dict[str, str], key: str) -> str:
    while owner[key] != key:
        owner[key] = owner[owner[key]]
        key = owner[key]
    return key


def _key(sample: Sample) -> str:
    return sample.group or sample.text


def _digest(seed: int, key: str) -> str:
    return sha256(f"{seed}\n{key}".encode()).hexdigest()


def _test_units(units: Sequence[Unit], samples: int, percent: int) -> tuple[list[Unit], list[Unit]]:
    """The test part and the others. What is too large to be in it at all doesn't close it either."""
    test: list[Unit] = []
    rest: list[Unit] = []
    aim = Fraction(samples * percent, 100)
    held_out, is_open = 0, True
    for unit in units:
        fits = _fits(held_out, len(unit), aim)
        if is_open and fits:
            test.append(unit)
            held_out += len(unit)
            continue
        is_open = is_open and not _fits(0, len(unit), aim)
        rest.append(unit)
    return test, rest


def _fits(before: int, size: int, aim: Fraction) -> bool:
    return before + Fraction(size, 2) < aim and before + size <= MAX_TEST


def _cut(units: Sequence[Unit], boundary: Fraction) -> int:
    """How many units have their middle before the boundary; some on either side where there are two."""
    before = cut = 0
    for unit in units:
        if before + Fraction(len(unit), 2) >= boundary:
            break
        before += len(unit)
        cut += 1
    return max(1, min(cut, len(units) - 1))


def _flat(units: Iterable[Unit]) -> tuple[Sample, ...]:
    return tuple(sample for unit in units for sample in unit)


def _no_test(percent: int, documents: int) -> str:
    if not percent:
        return "no held-out part, because testPercent is 0: F1 and verdict are not measured"
    needed = -(-MIN_TEST * 100 // percent)
    return (
        f"no held-out part, so F1 and verdict are not measured: it would have {documents} documents; "
        f"{MIN_TEST} are needed, which testPercent {percent} gives from about {needed} samples on, "
        "in several groups where they have groups"
    )


def labelled(samples: Iterable[Sample], task: Task) -> tuple[Sample, ...]:
    """The samples that count for a task; for relations also labelled entities, which the model is given."""
    return tuple(
        sample
        for sample in samples
        if sample.entities is not None and (task == "entities" or sample.relations is not None)
    )


def check_enough(samples: Sequence[Sample], parts: Parts, tasks: Iterable[Task]) -> None:
    """Refuses what can't be trained on.

    Raises:
        DomainTrainingError: TooFewSamples, naming the tasks with fewer than 6 labelled samples, or with
            none in train or validation, and the counts.
    """
    problems = [problem for task in tasks if (problem := _shortage(samples, parts, task))]
    if problems:
        raise DomainTrainingError(Reason.TOO_FEW_SAMPLES, "; ".join(problems))


def _shortage(samples: Sequence[Sample], parts: Parts, task: Task) -> str:
    count = len(labelled(samples, task))
    if count < MIN_LABELLED:
        return f"{task}: {count} labelled samples, at least {MIN_LABELLED} are needed"
    train, validation = len(labelled(parts.train, task)), len(labelled(parts.validation, task))
    if train and validation:
        return ""
    return (
        f"{task}: {count} labelled samples, of them {train} in the train and {validation} in the validation "
        "part, where each needs one; label more samples, or use more groups"
    )


def closed_types(parts: Parts, types: Types, task: Task) -> tuple[TypeDefinition, ...]:
    """The closed list of types for prompt and answer schema: the spec's, else those of train and validation.

    Types from the data are sorted by name, so that further samples don't change their order.

    Raises:
        DomainTrainingError: TooFewSamples where the data have no type; DatasetInvalid where they have
            more than 256.
    """
    given = types.entities if task == "entities" else types.relations
    if given:
        return tuple(given)
    samples = labelled((*parts.train, *parts.validation), task)
    if task == "entities":
        names = {entity.type for sample in samples for entity in sample.entities or ()}
    else:
        names = {relation.type for sample in samples for relation in sample.relations or ()}
    remedy = f"set spec.types.{task}"
    if not names:
        message = f"{task}: no {task} are labelled in train and validation, so there is no type; {remedy}"
        raise DomainTrainingError(Reason.TOO_FEW_SAMPLES, message)
    if len(names) > MAX_TYPES:
        message = (
            f"{task}: {len(names)} types in train and validation, at most {MAX_TYPES} are used; {remedy}"
        )
        raise DomainTrainingError(Reason.DATASET_INVALID, message)
    return tuple(TypeDefinition(name=name) for name in sorted(names))
