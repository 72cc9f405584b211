"""The findings in at most 5 lines for status, without a word of any sample. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from domaintraining.api.spec import Task
from domaintraining.trainer.doctor.examine import FEW, Curve, Findings

LONGEST: Final = 1024
MOST_NAMED: Final = 10
GOOD: Final = 0.95
"""F1 from which on there is little to gain."""
RISING: Final = 0.01
"""What twice as many samples must gain to be worth more of them."""
NEAR: Final = 0.1
"""What a ceiling may lack before the model is too small."""


def advice(findings: Mapping[Task, Findings]) -> tuple[str, ...]:
    """The findings of all tasks, at most 5 lines: for each task its labels and its curve, and all types."""
    lines = (
        *(line for task, found in findings.items() for line in _labels(task, found)),
        *_types(findings),
        *(f"{task}: {_outlook(found)}" for task, found in findings.items()),
    )
    return tuple(line[:LONGEST] for line in lines)


def _labels(task: Task, found: Findings) -> Iterator[str]:
    if found.labels_look_wrong:
        places = [str(one.place) for one in found.suspects]
        word = found.suspects_by if len(places) == 1 else f"{found.suspects_by}s"
        yield (f"{task}: nearly every candidate got {word} {_listed(places)} wrong: look at the labels there")
    elif found.suspects:
        yield (
            f"{task}: nearly every candidate got {len(found.suspects)} of {found.judged} validation samples "
            "wrong; so many are hardly wrong labels: describe the types, or try a larger model"
        )


def _types(findings: Mapping[Task, Findings]) -> Iterator[str]:
    parts = [
        f"{task}: {_listed(f'{name} ({count})' for name, count in found.few.items())}"
        for task, found in findings.items()
        if found.few
    ]
    if parts:
        yield f"types that fewer than {FEW} train and validation samples have: {'; '.join(parts)}"


def _outlook(found: Findings) -> str:
    if found.curve is None:
        return f"whether more samples or a larger model would help can't be told: {found.lacking}"
    curve = found.curve
    if curve.best >= GOOD:
        return (
            f"the best candidate has F1 {curve.best:.3f} on validation: neither more samples nor a larger "
            "model would gain much"
        )
    return f"{_more_samples(curve)}; {_larger_model(curve)}, by {curve.candidates} candidates"


def _more_samples(curve: Curve) -> str:
    before, last = curve.points[-2:]
    told = f"F1 {before.f1:.3f} when {before.samples} choose, {last.f1:.3f} when {last.samples} do"
    if last.f1 - before.f1 >= RISING:
        return f"more validation samples would help ({told})"
    return f"more validation samples would change little ({told})"


def _larger_model(curve: Curve) -> str:
    """By what no candidate gets right, and by what some candidate does."""
    told = (
        f"the best of all candidates for each sample gives F1 {curve.ceiling:.3f}, one alone {curve.best:.3f}"
    )
    if 1 - curve.ceiling > max(NEAR, curve.ceiling - curve.best):
        return f"a larger model may help ({told})"
    return f"better prompts before a larger model ({told})"


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    more = len(all_names) - MOST_NAMED
    return ", ".join(all_names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
