"""`python -m tests.sandbox.simulated_ollama`.

Listen until SIGTERM or SIGINT; the first line printed is the URL.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from dataclasses import fields

from .faults import Faults
from .models import Model
from .running import Listener
from .server import Options


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="simulated_ollama", description=__doc__)
    spec = "NAME[,thinking][,embedding][,context=TOKENS][,size=BYTES][,lapses=SHARE]"
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--slots", type=int, default=4, help="calls served at once, as OLLAMA_NUM_PARALLEL")
    parser.add_argument(
        "--time-scale", type=float, default=0.025, help="real seconds a model second; 0: no waiting"
    )
    parser.add_argument("--context", type=int, default=32_768, help="as OLLAMA_CONTEXT_LENGTH")
    parser.add_argument("--model", action="append", default=[], metavar=spec, help="a model that is there")
    parser.add_argument(
        "--pullable", action="append", default=[], metavar=spec, help="one that can be pulled"
    )
    for field in fields(Faults):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default, dest=f"fault_{field.name}")
    return parser.parse_args(given)


def options_of(given: argparse.Namespace) -> Options:
    """The server's options from the command line.

    Raises:
        ValueError: a model or a fault that cannot be.
    """
    return Options(
        models=tuple(map(Model.parsed, given.model or ([] if given.pullable else ["qwen3:32b"]))),
        pullable=tuple(map(Model.parsed, given.pullable)),
        slots=given.slots,
        time_scale=given.time_scale,
        context=given.context,
        faults=Faults(**{field.name: getattr(given, f"fault_{field.name}") for field in fields(Faults)}),
    )


async def listen(given: argparse.Namespace) -> None:
    """Listen until a signal comes."""
    listener = Listener(options_of(given), given.host, given.port)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await listener.start()
    print(listener.url, flush=True)
    await stop.wait()
    await listener.stop()


def main() -> None:
    asyncio.run(listen(arguments()))


if __name__ == "__main__":
    main()
