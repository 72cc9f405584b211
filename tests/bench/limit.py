"""The least time that a server needs for a set of calls, whatever their order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

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
    return tree / speed.prefill + decoded * speed.step(slots) / slots


def floor_seconds(tree: int, decoded: int, chain: float, slots: int, speed: Speed) -> float:
    """Model seconds below which nobody can get, where some calls have to wait for others.

    With n streams the chain goes on at the speed of one of them, and all calls at n times that. Many
    streams are fast for all and slow for the chain, so the best is a mixture of two numbers of streams:
    the vertex of the linear program with these two conditions.

    Args:
        tree: as for the limit.
        decoded: as for the limit.
        chain: tokens of the longest chain of answers that wait for one another.
        slots: as for the limit.
        speed: as for the limit.
    """
    best = max(decoded * speed.step(slots) / slots, chain * speed.step(slots))
    for few, many in combinations(range(1, slots + 1), 2):
        # tokens made with each: x + y = chain for the chain, few x + many y = decoded for all
        y = (decoded - few * chain) / (many - few)
        x = chain - y
        if x >= 0 and y >= 0:
            best = min(best, x * speed.step(few) + y * speed.step(many))
    return tree / speed.prefill + best
