"""Linking given names as the simulated model does: from the instruction and the demos of one prompt. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .instruction import qualities_of
from .knowledge import CAUSE_WORDS, STOP, kinds_hinted, name_words
from .prompt import Entity, Lesson, Sentence, Triple
from .shown import NONE, Shown
from .text import fraction, words_of

WEIGHTS = {
    "types": 4.0,
    "pair": 3.0,
    "between": 1.0,
    "phrase": 2.0,
    "gap": 1.5,
    "cue": 1.5,
    "order": 1.0,
    "before": 0.7,
    "after": 0.7,
}
_DEMO_VOTES = 2.5
_USUAL = 1.5
_NOISE = (0.14, 0.10, 0.07, 0.05, 0.04)
# Beginnings of the words in a relation's name, and the kinds of things it may hold between.
_THINGS = frozenset({"code", "compound"})
_PERSON, _PLACE, _ORG = frozenset({"person"}), frozenset({"place"}), frozenset({"org"})
_ENDS = (
    (("live", "born", "resid"), _PERSON, _PLACE),
    (("work", "employ", "member"), _PERSON, _ORG),
    (("orgbased", "based", "headquart"), _ORG, _PLACE),
    (("locat", "part"), _PLACE, _PLACE),
    (("kill", "murder"), _PERSON, _PERSON),
    (("use",), _THINGS, frozenset({"code"})),
    (("depend", "call", "require"), _THINGS, frozenset({"compound"})),
    (("own", "maintain"), _THINGS, _ORG),
    (("expos", "speak", "serv"), _THINGS, frozenset({"acronym"})),
    (("config", "set"), frozenset({"setting", "quantity"}), _THINGS),
)
_SIGNS = (
    {"use", "uses", "used", "using", "in", "on", "through", "with"},
    {"own", "owns", "owned", "maintain"},
    {"at", "for", "of"},
    {"in", "from", ","},
    CAUSE_WORDS,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two given entities in the order of the text, the words between them, and how many names lie between."""

    first: Entity
    second: Entity
    between: tuple[str, ...]
    gap: int
    before: str
    after: str

    def features(self) -> list[str]:
        """The features to compare pairs by; classes and weights are WEIGHTS."""
        said = [word for word in self.between if len(word) > 1 or word == ","][:8]
        signs = [str(number) for number, group in enumerate(_SIGNS) if group & set(self.between)]
        return [
            f"types:{self.first[1]} {self.second[1]}",
            f"pair:{self.first[0].lower()} {self.second[0].lower()}",
            "phrase:" + " ".join(said[:4]),
            f"gap:{min(self.gap, 2)}",
            "cue:" + " ".join(signs),
            f"order:{'near' if len(self.between) < 4 else 'far'}",
            "before:" + self.before,
            "after:" + self.after,
            *(f"between:{word}" for word in dict.fromkeys(said)),
        ]


def pairs_of(sentence: Sentence) -> Iterator[Pair]:
    """Every pair of given entities that stand in the text, in its order."""
    words = words_of(sentence.text)
    placed = sorted(
        (sentence.text.find(name), name, kind)
        for name, kind in dict.fromkeys(sentence.given)
        if name and name in sentence.text
    )
    for number, (at, name, kind) in enumerate(placed):
        for gap, (later, other, other_kind) in enumerate(placed[number + 1 :]):
            stop = at + len(name)
            between = tuple(word.lower for word in words if stop <= word.start < later)
            before = next((word.lower for word in reversed(words) if word.end <= at), "^")
            after = next((word.lower for word in words if word.start >= later + len(other)), "$")
            yield Pair((name, kind), (other, other_kind), between, gap, before, after)


@dataclass(frozen=True, slots=True)
class Linker:
    """A reader of one lesson of relations; `usual` has the labels' shares for each pair of types."""

    lesson: Lesson
    qualities: frozenset[str]
    shown: Shown
    usual: dict[tuple[str, str], dict[str, float]]

    def link(self, sentence: Sentence, noise: Sequence[object], heat: float) -> list[Triple]:
        """The relations of a text between its given entities, each once.

        Args:
            sentence: the text with the entities given with it.
            noise: what the answer's chance errors depend on: prompt, and seed where there is one.
            heat: temperature, 0 or more.
        """
        near = self.shown.nearness(frozenset(word.lower for word in words_of(sentence.text)))
        found: dict[Triple, None] = {}
        for pair in pairs_of(sentence):
            label = self._label(pair, near, fraction(*noise, *pair.first, *pair.second), heat)
            if label != NONE:
                found.setdefault(_triple(pair, label))
        return list(found)

    def _label(self, pair: Pair, near: Sequence[float], chance: float, heat: float) -> str:
        scores = self._before_demos(pair)
        for label, share in self.usual.get((pair.first[1], pair.second[1]), {}).items():
            scores[label] = scores.get(label, 0.0) + _USUAL * share
        for label, vote in self.shown.votes(pair.features(), near).items():
            scores[label] = scores.get(label, 0.0) + vote
        ranked = sorted(scores, key=lambda label: (-scores[label], label))
        limit = _NOISE[min(len(self.lesson.demos), len(_NOISE) - 1)] + 0.08 * heat
        if chance < limit / 2 and len(ranked) > 1:
            return ranked[1]
        return NONE if chance < limit else ranked[0]

    def _before_demos(self, pair: Pair) -> dict[str, float]:
        far = 0.2 if "pairs" in self.qualities else 0.35
        scores = {NONE: 0.42 + far * min(pair.gap, 3) + (0.1 if "stated" in self.qualities else 0.0)}
        for name, _ in self.lesson.types:
            forward, backward = _fits(name, pair)
            knows = "direction" in self.qualities or len(self.lesson.demos) > 1
            guess = 0.3 * fraction("guess", name, pair.first[1], pair.second[1])
            if knows:
                scores[name + ">"], scores[name + "<"] = 0.5 * guess + 0.7 * forward, 0.7 * backward
            else:
                scores[name + ">"] = guess + 0.7 * max(forward, backward)
        return scores


def _fits(name: str, pair: Pair) -> tuple[float, float]:
    """How well a relation's name suits a pair, from its first to its second and the other way."""
    stems = name_words(name)
    spoken = 0.6 if _overlap(stems, pair.between) else 0.0
    ends = next((ends for starts, *ends in _ENDS if any(word.startswith(starts) for word in stems)), None)
    if ends is None:
        return spoken, spoken
    first, second = set(kinds_hinted(pair.first[1], "")), set(kinds_hinted(pair.second[1], ""))
    peaceful = ends == [_PERSON, _PERSON] and CAUSE_WORDS.isdisjoint(pair.between)
    size = 0.1 if peaceful else 0.5
    forward = size if ends[0] & first and ends[1] & second else 0.0
    backward = size if ends[0] & second and ends[1] & first else 0.0
    return spoken + forward, spoken + backward


def _overlap(stems: Sequence[str], between: Sequence[str]) -> bool:
    starts = tuple(stem[:4] for stem in stems if len(stem) > 2 and stem not in STOP)
    return bool(starts) and any(word.startswith(starts) for word in between)


def _triple(pair: Pair, label: str) -> Triple:
    source, target = (pair.first, pair.second) if label.endswith(">") else (pair.second, pair.first)
    return source[0], label[:-1], target[0]


def linker_of(lesson: Lesson) -> Linker:
    """The linker that a lesson makes."""
    shown = Shown(WEIGHTS, _DEMO_VOTES)
    counts: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for number, demo in enumerate(lesson.demos):
        shown.vocabularies.append(frozenset(word.lower for word in words_of(demo.sentence.text)))
        golden = {(source, target): kind for source, kind, target in demo.triples}
        for pair in pairs_of(demo.sentence):
            label = _shown_label(pair, golden)
            shown.add(pair.features(), label, number)
            types = pair.first[1], pair.second[1]
            counts[types][label] += 1.0 if pair.gap == 0 or label != NONE else 0.5
            counts[types[::-1]][_mirrored(label)] += 0.5
    shown.weigh()
    usual = {
        types: {label: n / (sum(row.values()) + 0.5) for label, n in row.items()}
        for types, row in counts.items()
    }
    return Linker(lesson, qualities_of(lesson.instruction), shown, usual)


def _shown_label(pair: Pair, golden: Mapping[tuple[str, str], str]) -> str:
    ends = pair.first[0], pair.second[0]
    forward, backward = golden.get(ends), golden.get(ends[::-1])
    return f"{forward}>" if forward else f"{backward}<" if backward else NONE


def _mirrored(label: str) -> str:
    return label and label[:-1] + ("<" if label.endswith(">") else ">")
