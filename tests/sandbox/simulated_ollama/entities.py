"""Finding and typing names as the simulated model does.

From the instruction and the demos of one prompt. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .cues import KINDS, WEIGHTS, features_of, kinds_of
from .instruction import meanings_in, qualities_of
from .knowledge import kinds_hinted
from .prompt import Demo, Entity, Lesson
from .shown import NONE, Shown
from .spans import Candidate, Habits, Span, candidates_of, habits_shown, occurrences
from .text import Word, fraction, words_of

_DEMO_VOTES = 4.0
_HINT = 2.5
_LEXICON_VOTE = 3.0
_SLIPS = (0.12, 0.05, 0.0)  # by how many of exact copies and full names an instruction asks for
_NOISE = (0.16, 0.08, 0.05, 0.03, 0.02)  # share of answers gone wrong with 0, 1, 2, 3, and more demos


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of one lesson: its habits, what it was shown, and what it takes each type for."""

    lesson: Lesson
    habits: Habits
    qualities: frozenset[str]
    shown: Shown
    lexicon: dict[tuple[str, ...], str]
    meaning: dict[str, dict[str, float]]

    def read(self, text: str, noise: Sequence[object], heat: float) -> list[Entity]:
        """The entities of a text, in its order, each name and type once.

        Args:
            text: the sentence.
            noise: what the answer's chance errors depend on: prompt, and seed where there is one.
            heat: temperature, 0 or more.
        """
        found: dict[Entity, None] = {}
        words = words_of(text)
        near = self.shown.nearness(frozenset(word.lower for word in words))
        for candidate in self._candidates(text):
            name = self._copied(text, candidate, noise)
            scores = self._scores(words, candidate, near)
            entity = self._settled(name, scores, len(found), fraction(*noise, name), heat)
            if entity is not None:
                found.setdefault(entity)
        return list(found)

    def _copied(self, text: str, candidate: Candidate, noise: Sequence[object]) -> str:
        """The candidate's text; who isn't told to copy it exactly, or in full, loses a word now and then."""
        words = words_of(text)
        stop = candidate.stop
        told = len({"exact", "boundary"} & self.qualities)
        if stop - candidate.start > 1 and fraction(*noise, candidate.start, "copy") < _SLIPS[told]:
            stop -= 1
        return text[words[candidate.start].start : words[stop - 1].end]

    def _candidates(self, text: str) -> list[Candidate]:
        words = words_of(text)
        found = candidates_of(text, self.habits)
        if not self.lexicon:
            return found
        lowers = [word.lower for word in words]
        longest = max(map(len, self.lexicon))
        for start in range(len(lowers)):
            for stop in range(min(start + longest, len(lowers)), start, -1):
                if tuple(lowers[start:stop]) in self.lexicon:
                    found = _placed(found, start, stop)
                    break
        return found

    def _scores(self, words: Sequence[Word], candidate: Candidate, near: Sequence[float]) -> dict[str, float]:
        careful = "context" in self.qualities or bool(self.lesson.demos)
        kinds = kinds_of(words, candidate, careful=careful)
        scores = self._guesses(candidate)
        for kind, strength in kinds.items():
            for label, share in self.meaning[kind].items():
                scores[label] = scores.get(label, 0.0) + strength * share
        for label, vote in self.shown.votes(features_of(words, candidate, kinds), near).items():
            scores[label] = scores.get(label, 0.0) + vote
        known = self.lexicon.get(tuple(word.lower for word in words[candidate.start : candidate.stop]))
        if known is not None:
            scores[known] = scores.get(known, 0.0) + _LEXICON_VOTE
        return scores

    def _guesses(self, candidate: Candidate) -> dict[str, float]:
        """What is as good as thrown dice: it decides only where nothing else speaks."""
        size = candidate.stop - candidate.start
        guess = {name: 0.2 * fraction("guess", name, candidate.form, size) for name, _ in self.lesson.types}
        nothing = (
            0.15 + (0.15 if "closed" in self.qualities else 0.0) - (0.4 if "eager" in self.qualities else 0.0)
        )
        return guess | {NONE: nothing}

    def _settled(
        self, name: str, scores: dict[str, float], place: int, chance: float, heat: float
    ) -> Entity | None:
        """The entity that an answer gets for its scores: the best one, but for heat and chance errors."""
        ranked = sorted(scores, key=lambda label: (-scores[label], label))
        limit = _NOISE[min(len(self.lesson.demos), len(_NOISE) - 1)] + 0.08 * heat
        label = ranked[0]
        if chance < limit / 3 and len(ranked) > 1:
            label = ranked[1]
        elif chance < limit:
            return None
        forgetful = 0.3 if place >= 3 else 0.1
        if "every" not in self.qualities and fraction(chance, "forget") < forgetful * (
            0.25 if self.lesson.demos else 1
        ):
            return None
        return None if label == NONE else (name, label)


def reader_of(lesson: Lesson) -> Reader:
    """The reader that a lesson makes."""
    qualities = qualities_of(lesson.instruction)
    names = tuple(name for name, _ in lesson.types)
    told = dict(lesson.types) | dict(meanings_in(lesson.instruction, names))
    careful = "boundary" in qualities or len(lesson.demos) > 1
    habits = Habits(
        of=careful,
        title=not careful,
        opener="exact" not in qualities and not careful,
        conjunction=not careful,
        possessive=not careful,
        dates=careful or "numbers" in qualities,
        lower=False,
        compound="lower" in qualities,
    )
    golden = [(demo.sentence.text, _spans(demo.sentence.text, demo.entities)) for demo in lesson.demos]
    shown_habits = habits_shown(golden, habits)
    hints = {name: kinds_hinted(name, told.get(name, "")) for name in names}
    return Reader(
        lesson=lesson,
        habits=shown_habits,
        qualities=qualities,
        shown=_shown(lesson, shown_habits),
        lexicon={_key(name): label for demo in lesson.demos for name, label in demo.entities if _key(name)},
        meaning=_meanings(lesson, shown_habits, qualities, hints),
    )


def _meanings(
    lesson: Lesson, habits: Habits, qualities: frozenset[str], hints: dict[str, tuple[str, ...]]
) -> dict[str, dict[str, float]]:
    """For each kind of thing the share of each type: told by the types' own words, then by the demos."""
    told = "numbers" in qualities
    unsaid = {
        "date": 0.3 if told else 1.0,
        "quantity": 0.3 if told else 1.0,
        "bare": 0.2,
        "term": 0.8,
        "code": 0.2,
        "setting": 0.2,
        "compound": 0.5,
        "opening": 0.6,
        "adjective": 0.8,
    }
    counts = {kind: {NONE: unsaid.get(kind, 0.1)} for kind in KINDS}
    for name, kinds in hints.items():
        for kind in kinds:
            counts[kind][name] = counts[kind].get(name, 0.0) + _HINT
    for demo in lesson.demos:
        for candidate, label, words in _cases(demo, habits):
            seen = kinds_of(words, candidate)
            whole = sum(seen.values())
            for kind, strength in seen.items():
                counts[kind][label] = counts[kind].get(label, 0.0) + min(strength, 1.5) * strength / whole
    return {kind: _shares(row) for kind, row in counts.items()}


def _shares(counts: dict[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {label: count / total for label, count in counts.items()}


def _key(name: str) -> tuple[str, ...]:
    return tuple(word.lower for word in words_of(name))


def _spans(text: str, entities: Sequence[Entity]) -> list[Span]:
    return [span for name in dict.fromkeys(name for name, _ in entities) for span in occurrences(text, name)]


def _placed(found: list[Candidate], start: int, stop: int) -> list[Candidate]:
    """The candidates with a known name put in, unless a longer candidate holds it already."""
    if any(one.start <= start and stop <= one.stop for one in found):
        return found
    apart = [one for one in found if one.stop <= start or stop <= one.start]
    return sorted([*apart, Candidate(start, stop, "name")], key=lambda one: one.start)


def _shown(lesson: Lesson, habits: Habits) -> Shown:
    shown = Shown(WEIGHTS, _DEMO_VOTES)
    for number, demo in enumerate(lesson.demos):
        shown.vocabularies.append(frozenset(word.lower for word in words_of(demo.sentence.text)))
        for candidate, label, words in _cases(demo, habits):
            shown.add(features_of(words, candidate, kinds_of(words, candidate)), label, number)
    shown.weigh()
    return shown


def _cases(demo: Demo, habits: Habits) -> Iterator[tuple[Candidate, str, Sequence[Word]]]:
    """The candidates of a demo with their types; NONE for what is no name in it."""
    text = demo.sentence.text
    words = words_of(text)
    golden = {span: label for name, label in demo.entities for span in occurrences(text, name)}
    for candidate in _with_golden(candidates_of(text, habits), golden):
        yield candidate, golden.get((candidate.start, candidate.stop), NONE), words


def _with_golden(found: Sequence[Candidate], golden: dict[Span, str]) -> list[Candidate]:
    """The candidates of a demo: its names, and what lies beside them and is no name."""
    named = []
    for start, stop in golden:
        same = [one for one in found if (one.start, one.stop) == (start, stop)]
        near = [one.form for one in found if one.start < stop and start < one.stop]
        named.append(same[0] if same else Candidate(start, stop, near[0] if near else "small"))
    apart = [one for one in found if all(one.stop <= start or stop <= one.start for start, stop in golden)]
    return [*named, *apart]
