"""Which mode `auto: adaptive` stands for: one rule on one number. Pure; the README has the same table."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from domaintraining.api.spec import Mode


class Choice(NamedTuple):
    """A mode and the rule that chose it."""

    mode: Mode
    reason: str
    """In the words of status."""


BELOW: Final[tuple[tuple[int, Mode], ...]] = ((50, "light"), (200, "medium"))
"""Fewer validation samples than this: this mode. Below 50 every trial sees all samples, and the interval of
their F1 is wider than what more candidates differ by: more of them would choose noise. Light never looks at
more than 100 samples and medium at 300, so that from 200 on heavy alone has use for all labels to come."""


def choose_mode(validation: Iterable[int]) -> Choice:
    """The mode for the numbers of labelled validation samples of each task; the smallest one decides."""
    fewest = min(validation)
    for limit, mode in BELOW:
        if fewest < limit:
            return Choice(mode, f"fewer than {limit} validation samples")
    return Choice("heavy", f"{BELOW[-1][0]} validation samples or more")
