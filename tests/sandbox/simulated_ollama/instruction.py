"""What a wording makes the simulated model careful about. Pure.

Each quality is one thing an instruction can ask for; a model that is told does it, one that isn't told
doesn't.
"""

from __future__ import annotations

import re
from functools import lru_cache

_QUALITIES = {
    "exact": (
        r"exact(ly)?\b|verbatim|to the letter|character for character|copied|copy ",
        r"(as|the way) (it|they) (appears?|stands?|is written|are written)",
    ),
    "boundary": (
        r"full(est)? (name|span|form)|complete (name|span|phrase)|whole (name|phrase|span)|bound(s|ar)",
        r"multi-?word|longest|without (its |the |any )?(article|title|punctuation|leading)",
        r"leave out (the )?(article|title)",
    ),
    "every": (
        r"\b(every|all) (the |single |of the )?(\w+ )?(mention|entit|name|occurrence|relation|pair|item)",
        r"each (mention|entity|name|occurrence)|(do not|don't|never) (miss|skip|leave out)|exhaustive",
    ),
    "closed": (
        r"only (the |these |those )?(\w+ )?(types|categories|labels)|(listed|given|allowed) types",
        r"no other type|types? (from|in|of) the list|one of the (listed|given|types)",
    ),
    "numbers": (r"\b(dates?|numbers?|quantit\w*|amounts?|percent\w*|figures|measures?|versions?)\b",),
    "context": (
        r"context|role (it|they|the \w+) (has|have|plays?)|surrounding|neighbou?ring|around it|sentence says",
    ),
    "lower": (r"lower.?case|not capitali[sz]ed|common nouns?|technical terms?",),
    "direction": (
        r"direction|from (the )?(source|subject)|(source|subject)\b.{0,60}\b(target|object)|who does",
        r"acts? on|points? (from|to)",
    ),
    "stated": (
        r"(explicit|state[sd]|supported|express|say)\w*.{0,40}(text|sentence)|evidence",
        r"(text|sentence).{0,30}(states?|says?|supports?|expresses)",
        r"(do not|don't|never) (guess|infer|invent|assume)",
    ),
    "pairs": (r"(each|every|all|any) (\w+ )?pairs?\b|one by one|pair by pair|far apart",),
    "eager": (r"\b(lives|catastroph\w*|disaster\w*|life.or.death|critical(ly)?|vital|stake|fired)\b",),
}
_COMPILED = {name: re.compile("|".join(patterns), re.IGNORECASE) for name, patterns in _QUALITIES.items()}
_LONG = 220


@lru_cache(maxsize=512)
def qualities_of(instruction: str) -> frozenset[str]:
    """The qualities an instruction shows; one of more than 220 words shows only its first 220."""
    words = instruction.split()
    heard = " ".join(words[:_LONG])
    return frozenset(name for name, pattern in _COMPILED.items() if pattern.search(heard))


@lru_cache(maxsize=512)
def meanings_in(instruction: str, types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What an instruction says of each type: the words that follow its name, to the end of the sentence."""
    found = []
    for name in types:
        match = re.search(
            re.escape(name) + r"\b['\"`)]*\s*(?::|\(|=|is|are|means|stands for|for)\s*([^.;\n)]{3,120})",
            instruction,
        )
        found += [(name, match.group(1))] if match else []
    return tuple(found)
