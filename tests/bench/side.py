"""The client of one side, in a process of its own: `python -m tests.bench.side DESCRIPTOR CASE`.

On the descriptor it writes a line when it begins (imports are done, samples are read) and one JSON object
when it has its programs.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import dspy

from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import OllamaServer, raise_given_up
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.data.dataset import Samples
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.data.split import closed_types
from domaintraining.trainer.journal.fingerprint import Fingerprint
from domaintraining.trainer.journal.journal import open_journal
from domaintraining.trainer.progress import Tally
from domaintraining.trainer.prompts.prompt import GENERAL_INSTRUCTIONS, Form
from domaintraining.trainer.search import optimize
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.program import Extraction, PromptAdapter
from tests.bench.cases import Side
from tests.bench.data import bench_samples, divided

PLAIN_THREADS: Final = 8
PLAIN_PERMITS: Final = 64
"""Plain MIPROv2 has no limit of its own; its threads are one."""
OUTAGE_SECONDS: Final = 600.0

Programs = Mapping[Task, Extraction]


def make_run(auto: str, slots: int, url: str, model: str) -> Run:
    """The run of a case, with the options that the CRD has as defaults."""
    values = {
        "name": "bench",
        "namespace": "bench",
        "uid": "0",
        "domain": "tech_docs",
        "number": 1,
        "hash": "0",
        "image": "bench",
        "tasks": ["entities", "relations"],
        "data": {"file": "samples.jsonl", "source": "bench"},
        "model": {"name": model, "digest": "sha256:0", "endpoint": url, "source": "spec"},
        "namedServers": [url],
        "maxConcurrentRequests": slots,
        "auto": auto,
    }
    return Run.model_validate(values)


def make_material(run: Run, samples: int) -> Material:
    """The samples of a case as the trainer would have read and divided them."""
    read = bench_samples(samples)
    parts = divided(read)
    forms = {
        task: Form(
            task=task,
            types=closed_types(parts, run.types, task),
            chain_of_thought=run.optimizer.chain_of_thought,
            instruction=GENERAL_INSTRUCTIONS[task],
        )
        for task in run.tasks
    }
    return Material(run, Samples(tuple(read), 0, (), "sha256:0"), parts, forms)


class Straight:
    """Calls straight to the server, as DSPy makes them; its own cache answers equal ones."""

    def __init__(self, server: OllamaServer) -> None:
        self._server = server

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:  # noqa: ARG002
        """The server's answer."""
        return self._server.chat(body)


def run_plain_side(run: Run, material: Material, url: str) -> Programs:
    """MIPROv2 the usual way: one task after the other, eight threads, straight at the server."""
    optimize.configure_dspy()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    server = OllamaServer(url, permits=PLAIN_PERMITS, outage_seconds=OUTAGE_SECONDS)
    found: dict[Task, Extraction] = {}
    for task in run.tasks:
        search = material.search(task)
        engine = OllamaEngine(Straight(server), run.model.name, run.options, run.optimizer.seed)
        metric = optimize.sample_metric(search.form, run.metric.letters, run.optimizer.metric_threshold)
        student = Extraction(search.form, PromptAdapter(search.form))
        setting = optimize.Setting(run, engine, engine, PLAIN_THREADS)
        found[task] = optimize.compile_search(search, student, metric, setting)
    return found


def run_trainer_side(run: Run, material: Material, url: str) -> Programs:
    """The search as a trainer's pod makes it, with its journal on a disk."""
    rollouts, slots = optimize.configure_dspy(), run.max_concurrent_requests or 1
    server = OllamaServer(url, permits=slots, outage_seconds=OUTAGE_SECONDS)
    fingerprint = Fingerprint.of_run(run, material.samples.digest)
    with TemporaryDirectory() as folder:
        journal = open_journal(Path(folder), fingerprint)
        calls = Calls(server, journal, slots, {run.model.name: run.model.digest})
        options = run.options, run.optimizer.seed
        engine = OllamaEngine(calls, run.model.name, *options, rollout=rollouts.current)
        tally = Tally()
        searches = [material.search(task) for task in run.tasks]
        for search in searches:
            tally.plan(search.form.task, search.plan(run))
        setting = optimize.Setting(run, engine, engine, slots)
        found = optimize.optimize(searches, optimize.Means(setting, calls, tally, raise_given_up))
        calls.close()
        journal.close()
    return {task: one.program for task, one in found.items()}


RUN_SIDE: Final[Mapping[Side, Callable[[Run, Material, str], Programs]]] = {
    "plain": run_plain_side,
    "trainer": run_trainer_side,
}


def trial_scores(program: Extraction) -> list[list[float | None]]:
    """Each trial's number, score on all validation samples and score on a part of them."""
    logs: Mapping[int, Mapping[str, Any]] = program.trial_logs
    return [
        [number, logs[number].get("full_eval_score"), logs[number].get("mb_score")] for number in sorted(logs)
    ]


def program_hash(program: Extraction) -> str:
    """SHA-256 of the state that DSPy would save."""
    state = json.dumps(program.dump_state(), sort_keys=True, default=repr)
    return hashlib.sha256(state.encode()).hexdigest()


def peak_bytes() -> int:
    """Most memory of this process so far, by the kernel's VmHWM."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(given: Sequence[str]) -> None:
    """Run the side that the second argument describes."""
    case = json.loads(given[1])
    run = make_run(case["auto"], case["slots"], case["url"], case["model"])
    material = make_material(run, case["samples"])
    before = _cpu_seconds()
    with os.fdopen(int(given[0]), "w", encoding="utf-8") as words:
        words.write("begin\n")
        words.flush()
        programs = RUN_SIDE[case["side"]](run, material, case["url"])
        said = {
            "programs": {task: program_hash(program) for task, program in programs.items()},
            "trials": {task: trial_scores(program) for task, program in programs.items()},
            "best": {task: program.score for task, program in programs.items()},
            "cpuSeconds": _cpu_seconds() - before,
            "peakBytes": peak_bytes(),
            "dspy": dspy.__version__,
        }
        words.write(json.dumps(said) + "\n")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(sys.argv[1:])
