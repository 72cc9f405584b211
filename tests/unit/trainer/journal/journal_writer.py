"""A process that keeps answers from many threads until it is killed: `python -m … <folder>`.

Each line of stdin is the seed of a child. The child opens the journal, prints `opened`, and then each key
once `keep` has returned. The forks save importing everything for each child.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from pathlib import Path

from domaintraining.api.run import Run, RunData
from domaintraining.api.status import ModelStatus
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.journal import Journal, call_key, open_journal

THREADS = 8
KEYS = 400
RUN = Run(
    name="norrsken",
    namespace="default",
    uid="u",
    domain="norrsken",
    number=1,
    hash="h",
    image="i",
    tasks=["entities", "relations"],
    data=RunData(file="samples.jsonl", source="configmap norrsken, key samples.jsonl"),
    model=ModelStatus(
        name="qwen3:8b", digest="sha256:" + "ab" * 32, endpoint="http://o:11434", source="spec"
    ),
)
FINGERPRINT = Fingerprint.of_run(RUN, "d" * 64)


def key_of(number: int) -> str:
    """The key of the call with a number."""
    return call_key({"model": "m", "messages": [{"role": "user", "content": str(number)}]}, None, "d")


def simulated_answer(key: str, length: int = 1500) -> ChatAnswer:
    """An answer whose content follows from its key."""
    return ChatAnswer((key * (length // 64 + 1))[:length], "stop", 7, 3, "simulated-m")


def keep_all(journal: Journal, numbers: list[int]) -> None:
    """Keeps the answers of all these calls and prints each key that was kept."""
    for number in numbers:
        key = key_of(number)
        journal.keep(key, simulated_answer(key, 100 + number * 37 % 20_000))
        os.write(1, f"{key}\n".encode())


def write(folder: Path, seed: int) -> None:
    """Keeps answers from many threads, each in an order of its own; equal calls on several threads."""
    journal = open_journal(folder, FINGERPRINT)
    os.write(1, f"opened {os.getpid()}\n".encode())
    draw = random.Random(seed)
    orders = [draw.sample(range(KEYS), KEYS) for _ in range(THREADS)]
    threads = [threading.Thread(target=keep_all, args=(journal, order)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """One child for each seed."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                write(Path(sys.argv[1]), int(line))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
