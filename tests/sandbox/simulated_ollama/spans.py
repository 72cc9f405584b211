"""Where names may stand in a sentence, by rules that a reader is told or picks up from examples. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from .knowledge import DAYS, MONTHS, NUMBER_WORDS, PLACES, STOP, TITLES, UNITS, VERBS
from .text import Word, words_of

Span = tuple[int, int]
_PARTICLES = frozenset({"de", "da", "del", "di", "du", "la", "van", "von", "der", "bin", "al"})
_SERIAL = re.compile(r"[A-Za-z]*\d{5,}|\d+[A-Z]+\d+[A-Z]$")
_COMPANY = frozenset({"inc", "corp", "co", "ltd", "company"})
_STUBBORN = frozenset({"comma", "title", "conjunction", "numbered"})


@dataclass(frozen=True, slots=True)
class Habits:
    """How far a name reaches. Each is a choice that one data set makes and another doesn't."""

    of: bool = False  # University of Texas: one name
    conjunction: bool = False  # Crime Victim and Witness Council: one name
    comma: bool = False  # Salisbury , N.C: one name
    possessive: bool = False  # Ford 's Theatre: one name
    title: bool = True  # the title belongs to the name
    opener: bool = True  # a capital at the start of the sentence begins a name
    dates: bool = False  # June 20 , 1994: one name
    numbered: bool = True  # TLS 1.3, Boeing 747: the number belongs to the name
    amounts: bool = False  # 12 billion crowns: a name
    lower: bool = False  # names may be written small
    compound: bool = False  # and so may words with a hyphen


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run of words [start, stop) that may be a name, and the form it has."""

    start: int
    stop: int
    form: str  # name, code, date, amount, small


def is_title(word: Word) -> bool:
    """Whether a word is a form of address or an office that stands before a name."""
    return word.lower.rstrip(".") in TITLES and word.shape in {"title", "upper"}


def candidates_of(text: str, habits: Habits) -> list[Candidate]:
    """The candidates of a sentence from left to right; none overlaps another."""
    words = words_of(text)
    found: list[Candidate] = []
    at = 0
    while at < len(words):
        stop, form = _longest(words, at, habits)
        if form:
            found.append(Candidate(at, stop, form))
        at = max(stop, at + 1)
    return found


def _longest(words: Sequence[Word], at: int, habits: Habits) -> tuple[int, str]:
    word = words[at]
    if _is_month(word) or word.lower in DAYS or _is_day_of_month(words, at):
        return _date(words, at, habits), "date"
    if word.shape == "number" or (word.lower in NUMBER_WORDS and word.shape == "lower"):
        return _amount(words, at), "amount"
    if _begins_name(words, at, habits):
        return _name(words, at, habits), "code" if word.shape == "code" else "name"
    if habits.compound and word.shape == "compound":
        return at + 1, "compound"
    if habits.lower and _is_small(word):
        return _small(words, at), "small"
    return at + 1, ""


def _is_month(word: Word) -> bool:
    return word.shape == "title" and word.lower.rstrip(".") in MONTHS


def _is_day_of_month(words: Sequence[Word], at: int) -> bool:
    return (
        words[at].shape == "number"
        and len(words[at].text) < 3
        and at + 1 < len(words)
        and _is_month(words[at + 1])
    )


def _begins_name(words: Sequence[Word], at: int, habits: Habits) -> bool:
    word = words[at]
    if not _is_capital(word) or (is_title(word) and not habits.title and at + 1 < len(words)):
        return False
    opens = at == 0 or words[at - 1].text in {".", "``", '"', ":", "--"}
    common = word.lower in STOP or word.lower in VERBS
    return habits.opener if common and opens else not common


def _is_capital(word: Word) -> bool:
    return word.shape in {"title", "upper", "code"}


def _is_small(word: Word) -> bool:
    return word.shape == "lower" and word.lower not in STOP and word.lower not in VERBS and len(word.text) > 2


def _name(words: Sequence[Word], at: int, habits: Habits) -> int:
    stop = at + 1
    while stop < len(words):
        step = 1 if _goes_on(words, stop, habits) else _joint(words, stop, habits)
        if not step:
            break
        stop += step
    return stop


def _goes_on(words: Sequence[Word], at: int, habits: Habits) -> bool:
    """Whether a word continues the name before it."""
    word, before = words[at], words[at - 1]
    if word.shape == "number":
        counts = at + 1 < len(words) and (_is_month(words[at + 1]) or words[at + 1].lower in UNITS)
        return habits.numbered and before.shape in {"title", "upper"} and not counts
    if not _is_capital(word) or _is_month(word) or word.lower in DAYS or _SERIAL.match(word.text):
        return False
    shouted = word.shape == "upper" and len(word.text) > 2 and "." not in word.text
    apart = before.lower in {"u.s.", "u.n."} or _SERIAL.match(before.text)
    return not is_title(word) and not (shouted and before.shape == "title") and not apart


def _joint(words: Sequence[Word], at: int, habits: Habits) -> int:
    """How many words the name reaches on over a joining word at `at`, 0 where it ends there."""
    word = words[at].lower
    joins = {
        "of": habits.of,
        "for": habits.of,
        "and": habits.conjunction,
        "&": True,
        ",": habits.comma,
        "'s": habits.possessive,
        "\u2019s": habits.possessive,
        "-": True,
    }
    if not (joins.get(word, False) or word in _PARTICLES):
        return 0
    if word == "of" and words[at - 1].lower.rstrip(".") in _COMPANY:
        return 0
    if word == "," and not (at + 1 < len(words) and words[at + 1].lower in PLACES):
        return 0
    if at + 1 < len(words) and _is_capital(words[at + 1]):
        return 2
    if word == "of" and at + 2 < len(words) and words[at + 1].lower == "the":
        return 3 if _is_capital(words[at + 2]) else 0
    return 0


def _date(words: Sequence[Word], at: int, habits: Habits) -> int:
    stop = at + (2 if words[at].shape == "number" else 1)
    if not habits.dates:
        return at + 1
    if stop < len(words) and words[stop].shape == "number" and words[stop - 1].lower not in DAYS:
        stop += 1
    if stop + 1 < len(words) and words[stop].text == "," and _is_year(words[stop + 1]):
        stop += 2
    return stop


def _is_year(word: Word) -> bool:
    return len(word.text) == 4 and word.text.isdigit()


def _amount(words: Sequence[Word], at: int) -> int:
    stop = at + 1
    while stop < len(words) and stop - at < 5:
        word = words[stop]
        thousands = word.text == "," and stop + 1 < len(words) and len(words[stop + 1].text) == 3
        if not thousands and word.shape != "number" and word.lower not in UNITS | NUMBER_WORDS:
            break
        stop += 1
    return stop


def _small(words: Sequence[Word], at: int) -> int:
    stop = at + 1
    while stop < len(words) and stop - at < 3 and (_is_small(words[stop]) or words[stop].shape == "code"):
        stop += 1
    return stop


def occurrences(text: str, name: str) -> Iterator[Span]:
    """Every place of a name in a text, as words [start, stop); a place that cuts a word is none."""
    words = words_of(text)
    starts = {word.start: number for number, word in enumerate(words)}
    stops = {word.end: number + 1 for number, word in enumerate(words)}
    stops |= {word.end - 1: number + 1 for number, word in enumerate(words) if word.text.endswith(".")}
    at = text.find(name) if name else -1
    while at >= 0:
        first, last = starts.get(at), stops.get(at + len(name.rstrip(" ")))
        if first is not None and last is not None:
            yield first, last
        at = text.find(name, at + 1)


def habits_shown(texts: Sequence[tuple[str, Sequence[Span]]], told: Habits) -> Habits:
    """The habits that worked examples show, `told` where they show nothing.

    Args:
        texts: each example's text with the spans of its names.
        told: what the instruction asks for, or the model's own habit.
    """
    votes = dict.fromkeys((field.name for field in fields(Habits)), 0)
    for text, golden in texts:
        words = words_of(text)
        inside = {place for start, stop in golden for place in range(start, stop)}
        firsts = {start for start, _ in golden}
        for at, word in enumerate(words):
            for habit, shown in _shown_at(words, at, word, inside, firsts):
                votes[habit] += 1 if shown else -1
    enough = {habit: 2 if habit in _STUBBORN else 1 for habit in votes}
    return Habits(
        **{
            habit: votes[habit] > 0 if abs(votes[habit]) >= enough[habit] else getattr(told, habit)
            for habit in votes
        }
    )


def _shown_at(
    words: Sequence[Word], at: int, word: Word, inside: set[int], firsts: set[int]
) -> Iterator[tuple[str, bool]]:
    after = words[at + 1] if at + 1 < len(words) else None
    between = at > 0 and after is not None and _is_capital(words[at - 1]) and _is_capital(after)
    joins = {"of": "of", "and": "conjunction", ",": "comma", "'s": "possessive"}
    if between and word.lower in joins and (at - 1 in inside or at + 1 in inside):
        yield joins[word.lower], at in inside
    if is_title(word) and after is not None and at + 1 in inside:
        yield "title", at in inside
    if at == 0 and _is_capital(word) and (word.lower in STOP or word.lower in VERBS):
        yield "opener", 0 in firsts
    if word.lower.rstrip(".") in MONTHS and after is not None and after.shape == "number":
        yield "dates", at + 1 in inside
    if word.shape == "number" and at and words[at - 1].shape in {"title", "upper"} and at - 1 in inside:
        yield "numbered", at in inside
    if word.shape == "number" and (at == 0 or at - 1 not in inside):
        yield "amounts", at in inside
    if word.shape == "compound":
        yield "compound", at in inside
    if word.shape == "lower" and at in firsts and word.lower not in NUMBER_WORDS:
        yield "lower", True
