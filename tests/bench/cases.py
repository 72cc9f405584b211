"""What is measured: data set sizes, modes of the search and slots of the server."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from domaintraining.api.spec import Auto

Side = Literal["plain", "trainer"]
SIDES: Final[tuple[Side, ...]] = ("plain", "trainer")
SLOTS: Final = (1, 4, 8, 16)
SAMPLES: Final = (60, 300)
MODES: Final[tuple[Auto, ...]] = ("light", "medium")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    samples: int
    """Train and validation together, 80/20."""
    auto: Auto
    slots: int
    """Calls that the server serves at once."""

    @property
    def name(self) -> str:
        """The case in a few words."""
        return f"{self.samples} {self.auto} P={self.slots}"


FULL: Final = tuple(Case(samples, auto, slots) for samples, auto, slots in product(SAMPLES, MODES, SLOTS))
QUICK: Final = tuple(Case(60, "light", slots) for slots in SLOTS)
