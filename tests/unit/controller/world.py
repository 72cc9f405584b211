"""A cluster in memory and all that acts on it but the controller: a person, a trainer, a model server.

The controller can be killed after any of its writes; what it knew is gone then.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from domaintraining.api.names import (
    ANNOTATION_RETRAIN,
    LABEL_ATTEMPT,
    LABEL_NAME,
    LABEL_RUN,
    record_name,
    report_name,
    run_name,
)
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY
from domaintraining.api.run import RUN_KEY
from domaintraining.controller.cluster import CONFIG_MAP, DOMAIN_TRAINING, JOB, POD, JsonObject
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.objects import Kind, address_of
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.reconcile import Reconciler
from domaintraining.controller.settings import Settings
from tests.unit.api.prompts import files, messages, prompts, task_prompt

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = ("team", "docs")
SAMPLES = [{"text": f"Loki stores logs of host {number}.", "entities": []} for number in range(6)]
SPEC: dict[str, Any] = {"dataset": {"inline": SAMPLES}, "tasks": ["entities"]}
BARE: dict[str, Any] = {
    "name": "docs",
    "namespace": "team",
    "uid": "u",
    "domain": "docs",
    "number": 3,
    "hash": "h",
    "image": "i",
    "tasks": ["entities"],
}
"""What every run has, without data and model."""
SAMPLED = "a" * 64
"""Digest of the samples as the trainers of runs read them."""
BETTER: dict[str, Any] = {"entities": {"verdict": "Improved", "f1": 0.8, "precision": 0.8, "recall": 0.8}}
WORSE: dict[str, Any] = {"entities": {"verdict": "Worse", "f1": 0.1, "precision": 0.1, "recall": 0.1}}


def prompt_of(task: str, run: int) -> dict[str, Any]:
    """A task's prompt, whose bytes say which run made it."""
    system = f"Extract the {task} as run {run} does."
    if task == "entities":
        chat = messages(min(run, 1), system=system)
        return task_prompt(run=run, files=files(chat), instruction=system, demos=min(run, 1))
    last = "Text:\n{text}\n\nEntities:\n{entities}"
    chat = messages(0, system=system, last=last)
    made = files(chat, prompt=f"{system}\n\n{last}")
    return task_prompt(run=run, files=made, instruction=system, demos=0)


Act = Callable[["World"], None]
"""Something that happens in the world between two rests of the controller."""


class Killed(Exception):  # noqa: N818 - it is an end, not an error
    """The controller's process is gone."""


class MortalCluster(MemoryCluster):
    """A cluster whose client dies after a number of writes, each of which has taken effect."""

    def __init__(self, *objects: JsonObject) -> None:
        super().__init__(*objects)
        self.dies_after: int | None = None

    def _merge(self, address: tuple[Kind, str, str], given: JsonObject, base: JsonObject) -> JsonObject:
        merged = super()._merge(address, given, base)
        self._end()
        return merged

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        await super().delete(kind, namespace, name, uid=uid)
        self._end()

    def _end(self) -> None:
        if self.dies_after is not None and len(self.writes) >= self.dies_after:
            self.dies_after = None
            raise Killed


class World:
    """One resource and what happens to it."""

    def __init__(self, spec: dict[str, Any] | None = None, name: str = "docs") -> None:
        self.name = name
        self.cluster = MortalCluster(
            {
                "apiVersion": DOMAIN_TRAINING.api_version,
                "kind": DOMAIN_TRAINING.kind,
                "metadata": {"namespace": "team", "name": name, "uid": f"uid-{name}"},
                "spec": spec or SPEC,
            }
        )
        self.models = ScriptedModels({"qwen3:32b": ModelInfo("sha256:1", frozenset({"completion"}))})
        self.settings = Settings(trainer_image="domaintraining:1")
        self.now = NOW
        self.controller = self.started()

    def started(self) -> Reconciler:
        """A controller that knows nothing yet."""
        return Reconciler(self.cluster, self.models, Pulls(), self.settings, now=lambda: self.now)

    def settle(self, meanwhile: list[Act] | None = None) -> float | None:
        """Reconcile until a look leaves everything as it is; gives when to look again.

        Args:
            meanwhile: where the controller is killed, what happens until it is started again, as far as
                there is a Job for it; what happened is taken off the list.
        """
        return asyncio.run(self._settled(meanwhile))

    def look(self) -> None:
        """Reconcile once."""
        asyncio.run(self.controller.reconcile(("team", self.name)))

    async def _settled(self, meanwhile: list[Act] | None) -> float | None:
        for _ in range(20):
            before = (self.cluster._version, len(self.cluster.objects))
            try:
                again = await self.controller.reconcile(("team", self.name))
            except Killed:
                while meanwhile and self.names(JOB):
                    meanwhile.pop(0)(self)
                self.controller = self.started()
                continue
            if (self.cluster._version, len(self.cluster.objects)) == before:
                return again
        raise AssertionError(f"no rest: {self.cluster.writes[-10:]}")

    # what a person does

    def change(self, **spec: Any) -> None:
        """Apply another spec."""
        body = {"spec": SPEC | spec} | {key: self.resource[key] for key in ("apiVersion", "kind", "metadata")}
        self._put(body | {"status": self.resource.get("status", {})})

    def ask(self, moment: str) -> None:
        """Ask for one more run, by the annotation."""
        body = self.resource
        body["metadata"]["annotations"] = {ANNOTATION_RETRAIN: moment}
        self._put(body)

    def restore(self, *, owners: bool = False) -> None:
        """The resource and its prompts are from a backup; nothing else is there.

        Args:
            owners: whether it kept the owner references, which name the uid of before.
        """
        metadata = {"namespace": "team", "name": self.name, "uid": "uid-restored"}
        resource = {key: self.resource[key] for key in ("apiVersion", "kind", "spec")} | {
            "metadata": metadata
        }
        prompts = [self.get(CONFIG_MAP, name) for name in self.names(CONFIG_MAP) if "-prompt" in name]
        self.cluster.objects.clear()
        for prompt in prompts:
            if not owners:
                del prompt["metadata"]["ownerReferences"]
            self._put(prompt)
        self._put(resource)

    # what a trainer does

    def run_pod(self) -> None:
        """The pod of the newest Job runs."""
        job = self.job()
        labels = job["metadata"]["labels"] | {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
        self._put(
            {
                "apiVersion": POD.api_version,
                "kind": POD.kind,
                "metadata": {"namespace": "team", "name": job["metadata"]["name"], "labels": labels},
                "status": {"phase": "Running"},
            }
        )

    def report(self, **parts: Any) -> None:
        """The trainer of the newest Job reports; parts are those of the report and `baseline_`, `result_`."""
        labels = self.job()["metadata"]["labels"]
        run, attempt = int(labels[LABEL_RUN]), int(labels[LABEL_ATTEMPT])
        data = {
            REPORT_KEY: json.dumps(
                {"run": run, "attempt": attempt}
                | {key: part for key, part in parts.items() if not key.endswith("_")}
            )
        }
        for key, part in ((BASELINE_KEY, "baseline_"), (RESULT_KEY, "result_")):
            if part in parts:
                data[key] = json.dumps(parts[part])
        found = self.get(CONFIG_MAP, report_name(self.name, run))
        self._put(found | {"data": found.get("data", {}) | data})

    def result(
        self,
        metrics: dict[str, Any],
        asked: dict[str, str] | None = None,
        seen: Sequence[str] = (),
    ) -> None:
        """The trainer reports its end with what was measured, and the Job is complete.

        Args:
            metrics: what was measured of each task.
            asked: the model that a task's prompt is for, where it is not the run's first.
            seen: digests of the texts that it had seen; empty: one of its own.
        """
        run = int(self.job()["metadata"]["labels"][LABEL_RUN])
        tasks = [task for task in ("entities", "relations") if task in metrics]
        seen = list(seen) or [f"text-{run}"]
        baseline = prompts(**{task: prompt_of(task, 0) for task in tasks})
        made = {task: prompt_of(task, run) for task in tasks}
        given = json.loads(self.record(run)["data"][RUN_KEY])
        models = [given["model"], *(rival["model"] for rival in given.get("compareWith", []))]
        names = {task: (asked or {}).get(task, models[0]["name"]) for task in tasks}
        chosen = next((one for one in models if one["name"] in names.values()), models[0])
        told: dict[str, Any] = {
            "model": {key: chosen[key] for key in ("name", "digest")},
            "dataset": {"digest": SAMPLED},
        }
        if len(models) > 1:
            told |= {"models": [{key: one[key] for key in ("name", "digest", "endpoint")} for one in models]}
        for task, prompt in made.items():
            request = json.loads(prompt["files"]["request"])
            request["model"] = names[task]
            prompt["files"]["request"] = json.dumps(request)
        result = prompts(**made, metrics=metrics, manifest={"seed": run, "seen": seen} | told)
        self.report(progress={"percent": 95}, baseline_=baseline, result_=result)
        self.end_job("Complete")

    def train(self, metrics: dict[str, Any], asked: dict[str, str] | None = None) -> None:
        """The current run goes from its Job to its end, see `result`."""
        self.settle()
        self.run_pod()
        self.settle()
        self.result(metrics, asked)
        self.settle()

    def end_job(self, kind: str, **condition: str) -> None:
        """The newest Job ends; kind is Complete or Failed."""
        job = self.job()
        self._put(job | {"status": {"conditions": [{"type": kind, "status": "True"} | condition]}})
        self.cluster.objects.pop((POD, "team", job["metadata"]["name"]), None)

    # what is there

    @property
    def resource(self) -> JsonObject:
        """The DomainTraining."""
        return self.get(DOMAIN_TRAINING, self.name)

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition."""
        listed = self.resource["status"]["conditions"]
        return {one["type"]: (one["status"], one["reason"]) for one in listed}

    def says(self, kind: str) -> str:
        """Message of a condition."""
        listed = self.resource["status"]["conditions"]
        return next(str(one["message"]) for one in listed if one["type"] == kind)

    @property
    def told(self) -> list[str]:
        """Reasons of the events, in order."""
        return [one["reason"] for one in self.cluster.events]

    def get(self, kind: Kind, name: str) -> JsonObject:
        """An object that is there."""
        return copy.deepcopy(self.cluster.objects[kind, "team", name])

    def names(self, kind: Kind) -> list[str]:
        """Names of all objects of a kind."""
        return sorted(name for own, _, name in self.cluster.objects if own == kind)

    def job(self) -> JsonObject:
        """The Job of the highest run and attempt."""
        jobs = [copy.deepcopy(obj) for (kind, *_), obj in self.cluster.objects.items() if kind == JOB]
        mine = [job for job in jobs if job["metadata"]["labels"][LABEL_NAME] == self.name]
        found = [job for job in mine if LABEL_RUN in job["metadata"]["labels"]]  # a check's is of no run

        def order(job: JsonObject) -> tuple[int, int]:
            labels = job["metadata"]["labels"]
            return int(labels[LABEL_RUN]), int(labels[LABEL_ATTEMPT])

        return max(found, key=order)

    def record(self, run: int) -> JsonObject:
        """The run ConfigMap of a run, whichever version made it."""
        name = record_name(self.name, run)
        return self.get(CONFIG_MAP, name if name in self.names(CONFIG_MAP) else run_name(self.name, run))

    def made(self, kind: Kind) -> list[str]:
        """Names of objects that the controller created, each as often as it did."""
        start = f"create {kind.kind} team/"
        return [entry.removeprefix(start) for entry in self.cluster.writes if entry.startswith(start)]

    def content(self) -> dict[str, JsonObject]:
        """All objects without what only tells which write made them."""
        content = {}
        for (kind, namespace, name), obj in self.cluster.objects.items():
            one = copy.deepcopy(obj)
            for key in ("uid", "resourceVersion"):
                one["metadata"].pop(key)
            content[f"{kind.kind} {namespace}/{name}"] = one
        return content

    def _put(self, obj: JsonObject) -> None:
        """Write past the controller, as somebody else."""
        self.cluster._store(address_of(obj), copy.deepcopy(obj))
