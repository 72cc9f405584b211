"""Rewordings of train samples: what is asked, and which answers may be used. Pure.

A rewording has the labels of its original, so it has to keep each of its names to the letter, and it may
name nothing that other train samples label and its original doesn't. One that is nearly a text of the
held-out or the validation part would bring into training what the run is measured or chosen by: it is
refused, whatever the original says.

Near-duplicates: the sets of runs of three characters, of both texts in lower case and without punctuation,
share seven tenths or more of all that are in either (Jaccard index, https://en.wikipedia.org/wiki/Jaccard_index).
One word in ten replaced, or the parts of a sentence exchanged, is still nearly the same text.
"""

import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from domaintraining.api.sample import MAX_TEXT, Sample
from domaintraining.trainer.data.dataset import CUSTOM_TYPE_MARKERS
from domaintraining.trainer.prompts.prompt import holds_placeholder

NEAR: Final = 0.7
"""Jaccard index from which on two texts are near-duplicates."""
MOST: Final = 500
"""Most rewordings that a run asks for: a search shows a few dozen samples, and the manifest names each."""
SHORTEST, LONGEST = 0.5, 2.0
"""How long a rewording may be, in parts of its original: what is left out or added has no labels."""
ROOM: Final = 80
"""Characters that it may always have more."""
MAX_ANSWER: Final = 8 * MAX_TEXT
RUN: Final = 3
HASHES: Final = 2**20
"""Values of a run's hash: of two texts with 1,000 runs each about one seems shared that isn't."""

Refusal = Literal[
    "unreadable",
    "length",
    "placeholder",
    "namesLost",
    "namesAdded",
    "sameAsOriginal",
    "nearHeldOut",
    "nearValidation",
    "twice",
]
"""Why a rewording is not used."""

WORDS: Final[Mapping[str, str]] = {
    "unreadable": "could not be read",
    "length": "left out or added too much",
    "placeholder": "held a placeholder or a marker",
    "namesLost": "lost a labelled name",
    "namesAdded": "brought in a name of another sample",
    "sameAsOriginal": "said nearly the same as their original",
    "nearHeldOut": "were nearly a text of the held-out part",
    "nearValidation": "were nearly a text of the validation part",
    "twice": "were there already",
}
"""The refusals in words."""

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}
INSTRUCTION: Final = (
    "Reword the text: other words and another order, the same meaning and about the same length. Keep every "
    "name in the list to the letter. Name nothing that the text doesn't name.\n\n"
    'Answer with one JSON object and nothing else. Its key:\n- "text": the reworded text'
)

_WORD: Final = re.compile(r"\w+")
_NO_WORD: Final = re.compile(r"[\W_]+")

Runs = NDArray[np.uint32]
"""The different runs of three characters of a text, hashed and sorted."""


@dataclass(frozen=True)
class Wanted:
    """One rewording to ask for."""

    original: Sample
    version: int
    """Which one of this sample, from 0: tells calls apart that are equal otherwise."""


@dataclass(frozen=True)
class Rewording:
    """A synthetic sample: another text with the labels of its original."""

    sample: Sample
    original: Sample


@dataclass(frozen=True)
class Augmented:
    """What came of the rewordings of a run."""

    asked: int
    """Rewordings that the model was asked for."""
    rewordings: tuple[Rewording, ...]
    """Those that are used, in the order in which they were asked for."""
    refused: Mapping[str, int]
    """How many are not used, by the reason, see `Refusal`."""
    unanswered: int = 0
    """Calls that the budget did not have."""
    left_out: int = 0
    """Rewordings beyond the 500 that were not asked for."""

    @property
    def made(self) -> int:
        """Rewordings that are used."""
        return len(self.rewordings)

    def described(self) -> dict[str, Any]:
        """The counts as the manifest has them."""
        return {
            "asked": self.asked,
            "made": self.made,
            "refused": dict(self.refused),
            "unanswered": self.unanswered,
            "leftOut": self.left_out,
        }


def wanted(train: Iterable[Sample], factor: int) -> tuple[list[Wanted], int]:
    """What to ask for: the first rewording of each sample, then the second; and how many are too many.

    Args:
        train: samples that may become demos; those without labelled entities are left out.
        factor: rewordings of each.
    """
    usable = [one for one in train if one.entities is not None]
    every = [Wanted(sample, version) for version in range(factor) for sample in usable]
    return every[:MOST], max(0, len(every) - MOST)


def messages_for(sample: Sample) -> list[dict[str, str]]:
    """The messages that ask for a rewording of a sample."""
    names = "\n".join(f"- {name}" for name in kept_names(sample)) or "(none)"
    question = f"Text:\n{sample.text}\n\nNames:\n{names}"
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": question}]


def kept_names(sample: Sample) -> list[str]:
    """Labelled names that stand in the text to the letter, each once: only those can be kept."""
    names = dict.fromkeys(entity.name for entity in sample.entities or ())
    return [name for name in names if name in sample.text]


def read_rewording(content: str, done_reason: str) -> str | None:
    """The text of an answer; None: it can't be read, is empty, or was cut. Never raises."""
    if done_reason != "stop" or len(content) > MAX_ANSWER:
        return None
    try:
        answer = json.loads(content)
        text = answer["text"].strip() if isinstance(answer, dict) else ""
        text.encode()
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None
    return text if 0 < len(text) <= MAX_TEXT else None


class Judge:
    """Says which rewordings may be used.

    Args:
        train: samples that are reworded.
        validation: texts that candidates are chosen by.
        held_out: texts that the result is measured on.
    """

    def __init__(
        self, train: Sequence[Sample], validation: Iterable[Sample], held_out: Iterable[Sample]
    ) -> None:
        self._names = _Names(name for sample in train for name in kept_names(sample))
        self._held_out = _Texts(sample.text for sample in held_out)
        self._validation = _Texts(sample.text for sample in validation)
        self._texts = {sample.text for sample in train}
        self._made: dict[str, list[Runs]] = {}

    def judge(self, answers: Iterable[tuple[Wanted, str | None]]) -> tuple[list[Rewording], Counter[str]]:
        """The rewordings that may be used, and the reasons of the others.

        Args:
            answers: each with its text; None: it could not be read. Of two that are alike the first counts.
        """
        used: list[Rewording] = []
        refused: Counter[str] = Counter()
        for asked, text in answers:
            refusal = "unreadable" if text is None else self._refusal(asked.original, text)
            if refusal:
                refused[refusal] += 1
            elif text is not None:
                used.append(Rewording(asked.original.model_copy(update={"text": text}), asked.original))
        return used, refused

    def _refusal(self, original: Sample, text: str) -> Refusal | Literal[""]:
        """Why a rewording may not be used; empty: it may, and is remembered."""
        if not SHORTEST * len(original.text) <= len(text) <= LONGEST * len(original.text) + ROOM:
            return "length"
        if holds_placeholder(text) or any(marker in text for marker in CUSTOM_TYPE_MARKERS):
            return "placeholder"
        if any(not _keeps(name, original.text, text) for name in kept_names(original)):
            return "namesLost"
        if self._names.found_in(text) - self._names.found_in(original.text):
            return "namesAdded"
        return self._likeness(original, text)

    def _likeness(self, original: Sample, text: str) -> Refusal | Literal[""]:
        runs = runs_of(text)
        if self._held_out.near(runs):
            return "nearHeldOut"
        if self._validation.near(runs):
            return "nearValidation"
        if likeness(runs, runs_of(original.text)) >= NEAR:
            return "sameAsOriginal"
        before = self._made.setdefault(original.text, [])
        if text in self._texts or any(likeness(runs, other) >= NEAR for other in before):
            return "twice"
        before.append(runs)
        self._texts.add(text)
        return ""


def runs_of(text: str) -> Runs:
    """The runs of three characters of a text in lower case, its words with one space between."""
    plain = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text
    padded = f" {plain} "
    runs = {padded[at : at + RUN] for at in range(max(1, len(padded) - RUN + 1))}
    hashed = {zlib.crc32(run.encode(errors="surrogatepass")) % HASHES for run in runs}
    return np.sort(np.fromiter(hashed, dtype=np.uint32, count=len(hashed)))


def likeness(one: Runs, other: Runs) -> float:
    """The Jaccard index of two texts, 0 to 1."""
    if min(one.size, other.size) < NEAR * max(one.size, other.size):
        return min(one.size, other.size) / max(one.size, other.size)  # it can't be more
    shared = int(np.intersect1d(one, other, assume_unique=True).size)
    return shared / (one.size + other.size - shared)


class _Texts:
    """The texts of a part: their runs one after the other, so that one look-up compares them all."""

    def __init__(self, texts: Iterable[str]) -> None:
        rows = [runs_of(text) for text in texts]
        self._sizes = np.fromiter((row.size for row in rows), dtype=np.int64, count=len(rows))
        self._begins = np.cumsum(self._sizes) - self._sizes
        self._runs = np.concatenate(rows) if rows else np.empty(0, dtype=np.uint32)

    def near(self, runs: Runs) -> bool:
        """Whether one of them is a near-duplicate."""
        if not self._sizes.size:
            return False
        held = np.zeros(HASHES, dtype=np.bool_)
        held[runs] = True
        shared = np.add.reduceat(held[self._runs], self._begins, dtype=np.int64)
        return bool((shared >= NEAR * (self._sizes + runs.size - shared)).any())


class _Names:
    """Labelled names, found in texts as whole words."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {words for name in names if (words := tuple(_WORD.findall(name)))}
        self._lengths = sorted({len(words) for words in self._names})

    def found_in(self, text: str) -> set[tuple[str, ...]]:
        """Those of them that a text has."""
        words = _WORD.findall(text)
        return {
            found
            for length in self._lengths
            for at in range(len(words) - length + 1)
            if (found := tuple(words[at : at + length])) in self._names
        }


def _keeps(name: str, original: str, text: str) -> bool:
    """Whether a name stands in the text as it does in the original: as a word of its own, or within one."""
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return bool(whole.search(text)) if whole.search(original) else name in text
