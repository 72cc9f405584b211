"""Rewordings as the simulated model makes them: other small words, clauses exchanged, names kept. Pure.

It knows a few dozen small words that can stand for each other and some turns of speech. Now and then it
loses a name, as models do; which time, the prompt and the seed decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .text import fraction

_ASKED = re.compile(r"^Text:\n(.*)\n\nNames:\n(.*)\Z", re.DOTALL)
_NAME = re.compile(r"^- (.+)$", re.MULTILINE)
_SLIPS = 0.06

_OPENINGS = (
    "According to what is written there, ",
    "As the source puts it, ",
    "The following holds: ",
    "What is reported is this: ",
)
_CLOSINGS = ("", " - so much is known", " - at least by this account", "")
_INSTEAD: Mapping[str, tuple[str, ...]] = {
    "worked": ("was employed", "had a job"),
    "works": ("is employed", "has a job"),
    "said": ("stated", "declared"),
    "is": ("remains", "happens to be"),
    "was": ("used to be", "had been"),
    "were": ("used to be", "had been"),
    "has": ("possesses", "comes with"),
    "had": ("possessed", "came with"),
    "and": ("as well as", "together with"),
    "but": ("however", "although"),
    "because": ("since", "given that"),
    "in": ("within", "inside of"),
    "on": ("upon", "over"),
    "at": ("near", "close to"),
    "for": ("on behalf of", "in favour of"),
    "with": ("along with", "by means of"),
    "from": ("out of", "coming from"),
    "to": ("towards", "in order to"),
    "by": ("through", "thanks to"),
    "the": ("this", "that"),
    "a": ("one", "some"),
    "an": ("one", "some"),
    "that": ("which", "as to what"),
    "it": ("this thing", "the same"),
    "can": ("is able to", "may"),
    "will": ("is going to", "shall"),
    "uses": ("makes use of", "employs"),
    "used": ("made use of", "employed"),
    "runs": ("operates", "executes"),
    "after": ("following", "later than"),
    "before": ("prior to", "earlier than"),
    "first": ("initial", "earliest"),
    "new": ("recent", "novel"),
    "when": ("once", "as soon as"),
    "who": ("the one who", "a person that"),
    "also": ("in addition", "besides"),
    "more": ("further", "additional"),
    "about": ("concerning", "regarding"),
}


def asks_for_rewording(schema: Mapping[str, Any]) -> bool:
    """Whether an answer schema wants a text and nothing else."""
    properties = schema.get("properties")
    return isinstance(properties, Mapping) and set(properties) == {"text"}


def reworded(content: str, noise: Sequence[object]) -> str:
    """The JSON object with another wording of the text that a user message holds.

    Args:
        content: `Text:`, the text, `Names:` and a line for each name; of another form it is all text.
        noise: what its choices depend on: the prompt, and the seed where there is one.
    """
    asked = _ASKED.match(content)
    text, names = (asked.group(1), _NAME.findall(asked.group(2))) if asked else (content, [])
    if names and fraction(*noise, "slip") < _SLIPS:
        text = text.replace(names[0], "somebody or something")
    kept = [*_exchanged(list(_pieces(text.strip(), names)))]
    body = "".join(
        piece if whole else _other_words(piece, (*noise, at)) for at, (piece, whole) in enumerate(kept)
    )
    mark = body[-1:] if body[-1:] in ".!?" else ""
    opening = _OPENINGS[int(fraction(*noise, "opening") * len(_OPENINGS))]
    closing = _CLOSINGS[int(fraction(*noise, "closing") * len(_CLOSINGS))]
    whole = f"{opening}{body.removesuffix(mark)}{closing}{mark}"
    return json.dumps({"text": whole}, ensure_ascii=False)


def _pieces(text: str, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The text in parts, names whole; each part with whether it is one."""
    known = sorted(set(names), key=len, reverse=True)
    if not known:
        yield text, False
        return
    for piece in re.split(f"({'|'.join(map(re.escape, known))})", text):
        if piece:
            yield piece, piece in known


def _exchanged(pieces: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The first clause behind the others, where a comma ends it outside of any name."""
    for at, (piece, whole) in enumerate(pieces):
        head, comma, tail = piece.partition(", ")
        if comma and not whole:
            first, rest = [*pieces[:at], (head, False)], [(tail, False), *pieces[at + 1 :]]
            last, is_name = rest[-1]
            mark = last[-1:] if last[-1:] in ".!?" and not is_name else ""
            return [*rest[:-1], (last.removesuffix(mark), is_name), (", ", False), *first, (mark, False)]
    return pieces


def _other_words(piece: str, noise: Sequence[object]) -> str:
    def instead(found: re.Match[str]) -> str:
        choices = _INSTEAD.get(found.group().lower())
        if choices is None:
            return found.group()
        return choices[int(fraction(*noise, found.start()) * len(choices))]

    return re.sub(r"\b\w+\b", instead, piece)
