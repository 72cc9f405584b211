"""One set of demos being collected, as dspy's BootstrapFewShot does, but with several attempts at once. Pure.

BootstrapFewShot tries one sample after the other until it has enough demos. An attempt is certain to be made
while those before it cannot fill the set even if all succeed; so that many are in flight, none is wasted.
"""

from collections.abc import Sequence
from random import Random

import dspy

from domaintraining.trainer.search.lookahead.draws import DemoSet

Examples = Sequence[dspy.Example]


class Collecting:
    """The attempts of one set.

    Args:
        draw: in which order samples are tried, and how many demos are wanted.
        train: train samples.
        labels: demos of both kinds that a set may hold.
    """

    def __init__(self, draw: DemoSet, train: Examples, labels: int) -> None:
        self._tried = [train[at] for at in draw.order]
        self._size, self._labels = draw.size, labels
        self._plain = draw.size == 0
        self._labels_only = draw.labels_only
        self.teacher = _sample(self._tried, labels)
        """Demos in the prompt of an attempt; its own sample is left out there."""
        self._next = 0
        self._flying = 0
        self._made: dict[int, dspy.Example] = {}

    def attempts(self) -> list[tuple[int, dspy.Example]]:
        """Attempts that are certain now: their numbers and samples; each is given once."""
        room = self._size - len(self._made) - self._flying
        end = min(self._next + max(0, room), len(self._tried))
        certain = [(number, self._tried[number]) for number in range(self._next, end)]
        self._next = end
        self._flying += len(certain)
        return certain

    def prompt_demos(self, example: dspy.Example) -> list[dspy.Example]:
        """Demos in the prompt of the attempt at a sample."""
        return [demo for demo in self.teacher if demo != example]

    def ended(self, number: int, demo: dspy.Example | None) -> None:
        """An attempt was answered: with a demo, or not well enough."""
        self._flying -= 1
        if demo is not None:
            self._made[number] = demo

    @property
    def complete(self) -> bool:
        """Whether no attempt will follow."""
        full = len(self._made) >= self._size or self._next >= len(self._tried)
        return not self._flying and full

    def demos(self) -> list[dspy.Example]:
        """The whole set: the model's own in the order they were tried, then labels."""
        if self._plain:
            return self.teacher if self._labels_only else []
        own = [self._made[number] for number in sorted(self._made)]
        rest = [example for number, example in enumerate(self._tried) if number not in self._made]
        Random(0).shuffle(rest)  # noqa: S311 - BootstrapFewShot's own
        return own + _sample(rest, self._labels - len(own))


def _sample(examples: Examples, count: int) -> list[dspy.Example]:
    """As dspy's LabeledFewShot and BootstrapFewShot sample labels."""
    return Random(0).sample(list(examples), max(0, min(count, len(examples))))  # noqa: S311 - theirs
