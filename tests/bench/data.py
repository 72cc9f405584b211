"""The benchmark's samples: the project's own 150, and as many again with names exchanged within a type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from domaintraining.api.sample import Sample
from domaintraining.trainer.data.split import Parts

SOURCE: Final = Path(__file__).parents[2] / "crds" / "samples" / "tech-docs.jsonl"
EVERY: Final = 5
"""One sample of so many is for validation."""
STATED: Final = (
    "samples: crds/samples/tech-docs.jsonl; beyond its 150 the same sentences with each name exchanged "
    "for another one of its type"
)


def own_samples() -> list[Sample]:
    """The project's samples, in the order of the file."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    return [Sample.model_validate(json.loads(line)) for line in lines]


def bench_samples(count: int) -> list[Sample]:
    """So many samples, every text once, the same in every run.

    Raises:
        ValueError: there are not so many.
    """
    own = own_samples()
    made: dict[str, Sample] = {}
    for sample in (*own, *exchanged(own, 1), *exchanged(own, 2)):
        made.setdefault(sample.text, sample)
    if len(made) < count:
        raise ValueError(f"{count} samples asked for, {len(made)} can be made")
    return list(made.values())[:count]


def divided(samples: Sequence[Sample]) -> Parts:
    """80 % to train with and 20 % to validate with, none held out."""
    validation = samples[EVERY - 1 :: EVERY]
    train = [sample for number, sample in enumerate(samples, 1) if number % EVERY]
    return Parts(tuple(train), tuple(validation), ())


def exchanged(samples: Sequence[Sample], step: int) -> Iterator[Sample]:
    """The samples with each name exchanged for the one `step` places on among the names of its type."""
    following = _following(samples, step)
    for sample in samples:
        names = {entity.name: following[entity.type, entity.name] for entity in sample.entities or ()}
        if not names:
            continue
        text = _replaced(sample.text, names)
        entities = [{"name": names[one.name], "type": one.type} for one in sample.entities or ()]
        relations = [
            {"source": names[one.source], "type": one.type, "target": names[one.target]}
            for one in sample.relations or ()
        ]
        if all(name in text for name in names.values()):
            yield Sample.model_validate({"text": text, "entities": entities, "relations": relations})


def _replaced(text: str, names: Mapping[str, str]) -> str:
    """A text with whole names replaced, the longest first, all at once."""
    longest = sorted(names, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in longest)
    return re.sub(pattern, lambda match: names[match.group()], text)


def _following(samples: Sequence[Sample], step: int) -> dict[tuple[str, str], str]:
    """For each type and name the name that takes its place."""
    named = sorted({(one.type, one.name) for sample in samples for one in sample.entities or ()})
    found: dict[tuple[str, str], str] = {}
    for kind in {kind for kind, _ in named}:
        names = [name for of, name in named if of == kind]
        found |= {(kind, name): names[(at + step) % len(names)] for at, name in enumerate(names)}
    return found
