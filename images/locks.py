"""The lock files of the two images, as parts of requirements.lock: `python -m images.locks` writes them.

Who needs what is read from the `# via` lines that pip-compile leaves behind each pin, so nothing has to be
installed or asked for. A distribution that is needed on one platform only stays in, as in requirements.lock.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WHOLE: Final = "requirements.lock"


@dataclass(frozen=True)
class Part:
    """What one image imports itself (`roots`), and what its libraries ask for that it never reaches."""

    roots: frozenset[str]
    left_out: frozenset[str] = frozenset()

    def header(self) -> str:
        """The first lines of its lock file."""
        lines = [f"# What one image installs of {WHOLE}. Made by `python -m images.locks`."]
        if self.left_out:
            lines.append(
                f"# Left out, and needed by nothing that is imported: {', '.join(sorted(self.left_out))}"
            )
        return "\n".join(lines) + "\n"


PARTS: Final[Mapping[str, Part]] = {
    "requirements-controller.lock": Part(
        frozenset({"aiohttp", "kopf", "kubernetes", "neo4j", "pydantic", "pyyaml"})
    ),
    "requirements-trainer.lock": Part(
        frozenset({"dspy", "minio", "neo4j", "numpy", "optuna", "pydantic", "pyyaml", "urllib3"}),
        # DSPy loads LiteLLM and the OpenAI client only where an LM has no engine of its own, as ours has;
        # Optuna loads SQLAlchemy and Alembic only for a study in a database.
        frozenset({"alembic", "litellm", "openai", "sqlalchemy"}),
    ),
}


@dataclass(frozen=True)
class Pin:
    """One distribution of a lock file: its lines as they stand there, and who needs it."""

    name: str
    text: str
    needed_by: frozenset[str]


def pins_of(lock: str) -> dict[str, Pin]:
    """The pins of pip-compile's file by the name of the distribution; ValueError for one without version."""
    pins: dict[str, Pin] = {}
    # Everything before the first pin is the file's header.
    for text in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        named = re.match(r"([A-Za-z0-9._-]+)==", text)
        if not named:
            raise ValueError(f"{WHOLE}: {text.splitlines()[0]!r} pins no version; make the file anew")
        needed_by = re.findall(r"^    #(?: via|  ) +([A-Za-z0-9._-]+)", text, re.MULTILINE)
        pins[named[1]] = Pin(named[1], text, frozenset(needed_by))
    return pins


def needed(part: Part, pins: Mapping[str, Pin]) -> AbstractSet[str]:
    """The names of everything that is installed for a part. Raises ValueError for a root without a pin."""
    absent = (part.roots | part.left_out) - pins.keys()
    if absent:
        raise ValueError(f"{WHOLE} does not pin {', '.join(sorted(absent))}")
    found = set(part.roots)
    while True:
        more = {pin.name for pin in pins.values() if pin.needed_by & found} - part.left_out - found
        if not more:
            return found
        found |= more


def part_of(lock: str, file: str) -> str:
    """The text of one of the PARTS, from the text of the whole lock file."""
    pins = pins_of(lock)
    chosen = needed(PARTS[file], pins)
    return PARTS[file].header() + "".join(pin.text for name, pin in pins.items() if name in chosen)


def main() -> int:
    """Writes every part beside the whole."""
    root = Path(__file__).parents[1]
    whole = (root / WHOLE).read_text(encoding="utf-8")
    for file in PARTS:
        (root / file).write_text(part_of(whole, file), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
