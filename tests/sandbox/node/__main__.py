"""The simulated node's program: `python -m tests.sandbox.node --help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path
from urllib.parse import urlsplit

from tests.sandbox import kubeconfig
from tests.sandbox.node.agent import Agent, Capacity, machine_capacity
from tests.sandbox.node.client import NodeApi
from tests.sandbox.node.containers import BACKOFF_SECONDS, Surroundings
from tests.sandbox.node.environment import parse_image
from tests.sandbox.node.launch import Place
from tests.sandbox.node.source import ApiSource


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the program."""
    machine = machine_capacity()
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.node", description=__doc__)
    parser.add_argument("--name", default="simulated-node-1", help="name of the Node, begins with simulated-")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="access as system:node:NAME")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for pods and volumes")
    parser.add_argument(
        "--certificates", type=Path, required=True, help="folder of ca.crt, node.crt, node.key"
    )
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        type=parse_image,
        metavar="PREFIX=PYTHON [WORD...]",
        help="what images with this prefix are: a Python interpreter and the entry point's words; repeatable",
    )
    parser.add_argument("--pythonpath", action="append", default=[], help="PYTHONPATH of pods; repeatable")
    parser.add_argument("--backoff", type=float, default=BACKOFF_SECONDS, help="first back-off in seconds")
    parser.add_argument("--cpu", default=machine.cpu, help="capacity (this machine's)")
    parser.add_argument("--memory", default=machine.memory, help="capacity (this machine's)")
    options = parser.parse_args(arguments)
    if not options.name.startswith("simulated-"):
        parser.error("--name: a simulated node's name begins with simulated-")
    return options


async def run(options: argparse.Namespace) -> None:
    """Runs the node until it is told to stop."""
    access = kubeconfig.read(options.kubeconfig)
    address = urlsplit(access.server)
    place = Place(str(address.hostname), str(address.port), options.pythonpath, options.state_dir.resolve())
    async with NodeApi(access) as api:
        around = Surroundings(ApiSource(api), options.image, place, access.authority, options.backoff)
        capacity = Capacity(cpu=options.cpu, memory=options.memory)
        await Agent(options.name, api, around, options.certificates, capacity).run()


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(run(parse_arguments()))


if __name__ == "__main__":
    main()
