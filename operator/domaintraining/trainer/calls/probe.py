"""How many calls a model server serves at once, where nobody says: Ollama's API does not tell.

So many equal calls are sent at once; those that the server has slots for come back together, the others wait
for a slot and take at least as long again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from domaintraining.api.spec import ModelOptions
from domaintraining.trainer.calls.server import ModelServer
from domaintraining.trainer.calls.wire import request_body

MOST: Final = 16
"""Slots that are looked for; a server with more of them is told by the operator's settings."""
TOGETHER: Final = 1.5
"""Times as long as the first answer of the same wave may take."""
TOKENS: Final = 24
PROBES: Final = 1 + 2 * MOST
"""Calls that the look takes at most."""
QUESTION: Final = "Count from 1 to 40, with nothing but the numbers."


def measure_slots(
    server: ModelServer, model: str, options: ModelOptions, clock: Callable[[], float] = time.monotonic
) -> int:
    """Calls that the server serves at once, 1 to 16.

    A first call, which is not measured, lets the server load the model.

    Args:
        server: the server.
        model: name of the model.
        options: options of task calls; an answer here has at most 24 tokens.
        clock: seconds that never fall.

    Raises:
        GivenUp: the server does not answer.
    """
    messages = [{"role": "user", "content": QUESTION}]
    short = options.model_copy(update={"max_tokens": TOKENS, "think": "Disabled"})
    body = request_body(model, messages, None, short, seed=1, temperature=0.0)
    server.chat(body)
    slots = _wave(server, body, clock)
    # an outage in between makes all answers come together: what looks like the most is looked at again
    return slots if slots < MOST else min(slots, _wave(server, body, clock))


def _wave(server: ModelServer, body: Mapping[str, Any], clock: Callable[[], float]) -> int:
    with ThreadPoolExecutor(max_workers=MOST, thread_name_prefix="probe") as pool:
        began = clock()
        return first_wave(list(pool.map(lambda _: _taken(server, body, began, clock), range(MOST))))


def first_wave(seconds: Sequence[float]) -> int:
    """How many of some equal calls, sent at once, were served together.

    Args:
        seconds: after how long each was answered.
    """
    return sum(one <= min(seconds) * TOGETHER for one in seconds)


def _taken(server: ModelServer, body: Mapping[str, Any], began: float, clock: Callable[[], float]) -> float:
    server.chat(body)
    return clock() - began
