"""The least time that a server needs for a set of calls, whatever their order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.sandbox.simulated_ollama.latency import Message, Speed, prompt_tokens, shared_tokens

Prompt = tuple[Message, ...]


def tree_tokens(prompts: Iterable[Prompt]) -> int:
    """Tokens of all prompts in one prefix tree: what several share at their start counts once.

    Counted as the server's cache counts, so that a prompt adds at least the one token that is always read.
    In sorted order each prompt shares most with the one before it.
    """
    ordered: Sequence[Prompt] = sorted(set(prompts))
    shared = sum(shared_tokens(before, prompt) for before, prompt in pairwise(ordered))
    return sum(map(prompt_tokens, ordered)) - shared


def limit_seconds(tree: int, decoded: int, slots: int, speed: Speed) -> float:
    """Model seconds in which `slots` slots can do it at best.

    Args:
        tree: prompt tokens, shared ones counted once; prompts are read one at a time.
        decoded: tokens of all answers.
        slots: streams that share the decoder, all of them always busy.
        speed: tokens a second, and what a further stream costs.
    """
    together = speed.decode * slots / (1 + speed.crowding * (slots - 1))
    return tree / speed.prefill + decoded / together
