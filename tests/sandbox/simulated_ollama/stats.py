"""What the server was asked and what it did. Prompts are kept as digests, never as text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from .latency import Timing, Use

_TRACE = 20_000
_ASKED = ("model", "messages", "format", "think", "options")


class Stats:
    """Counters since the start, and a trace of the last 20,000 chat calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self._prompts: set[bytes] = set()
        self._trace: deque[dict[str, Any]] = deque(maxlen=_TRACE)

    def count_prompt(self, body: Mapping[str, Any]) -> str:
        """Count the prompt of a chat call, all that its answer depends on; returns its digest in hex."""
        asked = {key: body.get(key) for key in _ASKED}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()
        self._prompts.add(digest)
        return digest.hex()[:16]

    def note(self, prompt: str, timing: Timing, decoded: int, end: str) -> None:
        """Add a finished chat call to the trace."""
        self._trace.append(
            {
                "prompt": prompt,
                "promptTokens": timing.prompt_tokens,
                "prefilled": timing.prefilled,
                "decoded": decoded,
                "waitedSeconds": round(timing.waited, 6),
                "end": end,
            }
        )

    def as_json(self, use: Use, *, trace: bool) -> dict[str, Any]:
        """All of it as one JSON object; token and second counters come from the slots."""
        body: dict[str, Any] = {
            "simulated": True,
            "calls": dict(self.calls),
            "statuses": {str(code): count for code, count in self.statuses.items()},
            "faults": dict(self.faults),
            "uniquePrompts": len(self._prompts),
            "promptTokens": use.prompt_tokens,
            "prefilledTokens": use.prefilled,
            "decodedTokens": use.decoded,
            "busySlotSeconds": round(use.busy_seconds, 6),
            "maxInFlight": use.max_in_flight,
            "waiting": use.waiting,
        }
        return body | ({"trace": list(self._trace)} if trace else {})
