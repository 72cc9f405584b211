"""Free answers.

The sections that DSPy's ChatAdapter asks for, as MIPROv2's proposer of instructions does. Pure.

The proposed instructions differ in what they ask for. Which one a prompt gets is decided by the prompt, the
temperature's seed and nothing else: some are good, some middling, some useless, so that there is something
to find.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from . import wordings
from .cues import kinds_of
from .knowledge import kinds_hinted
from .spans import Habits, candidates_of
from .text import fraction, words_of

Message = tuple[str, str]

_SECTION = re.compile(r"^\[\[ ## (\w+) ## \]\][ \t]*\n?", re.MULTILINE)
_WANTED = re.compile(r"Respond with the corresponding output fields(.*)", re.DOTALL)
_FIELD = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
_TYPES = re.compile(r"types: ([\w, /-]+)")
_ITEM = re.compile(r"\{'name': (?:'([^']*)'|\"([^\"]*)\"), 'type': '([^']*)'\}")
_GOOD, _MIDDLING = 0.45, 0.8


class Dice:
    """Choices that depend on the prompt, and above temperature 0 on the seed."""

    def __init__(self, *parts: object) -> None:
        self._parts, self._thrown = parts, 0

    def number(self) -> float:
        """The next number in [0, 1)."""
        self._thrown += 1
        return fraction(*self._parts, self._thrown)

    def one(self, choices: Sequence[str]) -> str:
        """One of the choices."""
        return choices[int(self.number() * len(choices))]

    def some(self, choices: Sequence[str], count: int) -> list[str]:
        """So many different ones, in their order."""
        ranked = sorted(range(len(choices)), key=lambda _: self.number())[:count]
        return [choices[place] for place in sorted(ranked)]


def reply_to(messages: Sequence[Message], temperature: float, seed: int | None) -> str:
    """The answer to a prompt without an answer schema.

    Args:
        messages: role and content of each message.
        temperature: above 0 another seed gives another answer.
        seed: of sampling; without one, 0.
    """
    prompt = hashlib.sha256("\x1e".join(content for _, content in messages).encode()).hexdigest()
    dice = Dice(prompt, seed or 0 if temperature > 0 else 0)
    last = messages[-1][1] if messages else ""
    asked = _WANTED.search(last)
    wanted = [name for name in _FIELD.findall(asked.group(1)) if name != "completed"] if asked else []
    if asked is None or not wanted:
        return dice.one(wordings.PLAIN)
    given = sections_of(last[: asked.start()])
    answers = [f"[[ ## {name} ## ]]\n{_section(name, given, dice)}" for name in wanted]
    return "\n\n".join([*answers, "[[ ## completed ## ]]"])


def sections_of(content: str) -> dict[str, str]:
    """The sections of a message by their names."""
    parts = _SECTION.split(content)
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


def _section(name: str, given: dict[str, str], dice: Dice) -> str:
    if name == "proposed_instruction":
        return instruction(given, dice)
    if name == "observations":
        return _observations(given, dice)
    if name == "summary":
        return " ".join(dice.some(wordings.SUMMARIES, 2))
    if name == "program_description":
        return dice.one(wordings.PROGRAM)
    return dice.one(wordings.MODULE if name == "module_description" else wordings.PLAIN)


def _observations(given: dict[str, str], dice: Dice) -> str:
    prior = given.get("prior_observations", "")
    new = [one for one in wordings.OBSERVATIONS if one not in prior]
    if prior and (not new or dice.number() < 0.25):
        return "COMPLETE"
    return " ".join(dice.some(new, 3))


def instruction(given: dict[str, str], dice: Dice) -> str:
    """A wording for the task that the sections describe.

    Args:
        given: sections of the proposer's prompt: basic_instruction, tip, module, task_demos, program_code …
        dice: what decides.
    """
    module, basic = given.get("module", ""), given.get("basic_instruction", "")
    task = "relations" if "relation" in f"{module} {basic}".lower() else "entities"
    tip = given.get("tip", "").lower()
    sentences = [basic if basic and dice.number() < 0.4 else dice.one(wordings.OPENINGS[task])]
    if "persona" in tip:
        sentences.insert(0, dice.one(wordings.PERSONAS))
    asked = [dice.one(choices) for choices in wordings.QUALITIES[task]]
    count = _how_many(dice, tip)
    sentences += dice.some(asked, count) if count else [dice.one(wordings.VAGUE)]
    if task == "entities" and count > 1:
        sentences += filter(None, [meanings(given)])
    if "stakes" in tip:
        sentences.append(dice.one(wordings.STAKES))
    if "creative" in tip:
        sentences.append(dice.one(wordings.FLOURISHES))
    return " ".join(sentences)


def _how_many(dice: Dice, tip: str) -> int:
    """How many things an instruction asks for: 4 to 6 in a good one, 2 or 3, or at most one."""
    level, more = dice.number(), dice.number()
    count = 4 + int(3 * more) if level < _GOOD else 2 + int(2 * more) if level < _MIDDLING else int(2 * more)
    if "concise" in tip:
        return min(count, 3)
    return count + 1 if "informative" in tip and count else count


def meanings(given: dict[str, str]) -> str:
    """What the types stand for, as far as their names and the examples of the prompt tell."""
    listed = _TYPES.search(given.get("program_code", "") + "\n" + given.get("module_description", ""))
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for single, double, kind in _ITEM.findall(given.get("task_demos", "")):
        for thing in _kinds_of_name(single or double):
            seen[kind][thing] += 1
    names = [name.strip() for name in listed.group(1).split(",")] if listed else list(seen)
    told = []
    for name in filter(None, names):
        things = kinds_hinted(name, "") or tuple(
            kind for kind, _ in seen[name].most_common() if kind in wordings.THINGS
        )
        told += (
            [f"{name} stands for {' and '.join(wordings.THINGS[thing] for thing in things[:2])}"]
            if things
            else []
        )
    return "; ".join(told) + "." if told else ""


def _kinds_of_name(name: str) -> list[str]:
    words = words_of(name)
    found = candidates_of(name, Habits(dates=True, lower=True))
    if not words or not found:
        return []
    kinds = kinds_of(words, found[0])
    return [max(kinds, key=lambda kind: kinds[kind])] if kinds else []
