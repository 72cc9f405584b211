"""Finding and typing names as the simulated model does: from the instruction and the demos of one prompt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .cues import WEIGHTS, features_of, kinds_of
from .instruction import meanings_in, qualities_of
from .knowledge import kinds_hinted
from .prompt import Entity, Lesson
from .shown import NONE, Shown
from .spans import Candidate, Habits, Span, candidates_of, habits_shown, occurrences
from .text import Word, fraction, words_of

_DEMO_VOTES = 4.0
_LEXICON_VOTE = 3.0
_NOISE = (0.16, 0.10, 0.07, 0.05, 0.04)  # share of answers gone wrong with 0, 1, 2, 3, and more demos


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of one lesson: its habits, what it was shown, and what it takes each type for."""

    lesson: Lesson
    habits: Habits
    qualities: frozenset[str]
    shown: Shown
    lexicon: dict[tuple[str, ...], str]
    hints: dict[str, tuple[str, ...]]

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
            name = text[words[candidate.start].start : words[candidate.stop - 1].end]
            scores = self._scores(words, candidate, near)
            entity = self._settled(name, scores, len(found), fraction(*noise, name), heat)
            if entity is not None:
                found.setdefault(entity)
        return list(found)

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
        kinds = kinds_of(words, candidate)
        scores = self._before_demos(candidate, kinds, "context" in self.qualities or bool(self.lesson.demos))
        votes = self.shown.votes(features_of(words, candidate, kinds), near)
        for label, vote in votes.items():
            scores[label] = scores.get(label, 0.0) + vote
        known = self.lexicon.get(tuple(word.lower for word in words[candidate.start : candidate.stop]))
        if known is not None:
            scores[known] = scores.get(known, 0.0) + _LEXICON_VOTE
        return scores

    def _before_demos(self, candidate: Candidate, kinds: dict[str, float], careful: bool) -> dict[str, float]:
        told = "numbers" in self.qualities
        nothing = {"date": 0.4 if told else 1.6, "amount": 0.5 if told else 1.6, "small": 1.2, "code": 0.3}
        scores = {NONE: nothing.get(candidate.form, 0.35)}
        for name, hinted in self.hints.items():
            fit = max((kinds.get(kind, 0.0) for kind in hinted), default=0.0)
            guess = 0.3 * fraction("guess", name, candidate.form, candidate.stop - candidate.start)
            scores[name] = guess + (fit if careful or fit >= 2.0 else 0.3 * fit)
        return scores

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
        if "every" not in self.qualities and fraction(chance, "forget") < forgetful * (0.4 if self.lesson.demos else 1):
            return None
        return None if label == NONE else (name, label)


def reader_of(lesson: Lesson) -> Reader:
    """The reader that a lesson makes."""
    qualities = qualities_of(lesson.instruction)
    names = tuple(name for name, _ in lesson.types)
    told = dict(lesson.types) | dict(meanings_in(lesson.instruction, names))
    careful = "boundary" in qualities
    habits = Habits(of=careful, title=not careful, opener="exact" not in qualities and not careful,
                    dates=careful or "numbers" in qualities, lower="lower" in qualities)  # fmt: skip
    golden = [(demo.sentence.text, _spans(demo.sentence.text, demo.entities)) for demo in lesson.demos]
    shown_habits = habits_shown(golden, habits)
    return Reader(
        lesson=lesson,
        habits=shown_habits,
        qualities=qualities,
        shown=_shown(lesson, shown_habits),
        lexicon={_key(name): label for demo in lesson.demos for name, label in demo.entities if _key(name)},
        hints={name: kinds_hinted(name, told.get(name, "")) for name in names},
    )


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
        text = demo.sentence.text
        words = words_of(text)
        shown.vocabularies.append(frozenset(word.lower for word in words))
        golden = {span: label for name, label in demo.entities for span in occurrences(text, name)}
        for candidate in _with_golden(candidates_of(text, habits), golden):
            span = (candidate.start, candidate.stop)
            kinds = kinds_of(words, candidate)
            shown.add(features_of(words, candidate, kinds), golden.get(span, NONE), number)
    shown.weigh()
    return shown


def _with_golden(found: Sequence[Candidate], golden: dict[Span, str]) -> list[Candidate]:
    """The candidates of a demo: its names, and what lies beside them and is no name."""
    named = []
    for start, stop in golden:
        same = [one for one in found if (one.start, one.stop) == (start, stop)]
        near = [one.form for one in found if one.start < stop and start < one.stop]
        named.append(same[0] if same else Candidate(start, stop, near[0] if near else "small"))
    apart = [one for one in found if all(one.stop <= start or stop <= one.start for start, stop in golden)]
    return [*named, *apart]
