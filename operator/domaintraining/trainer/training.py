"""A run from its samples to its result, stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, MAX_PROMPTS_BYTES, RESULT_KEY, Prompts, TaskPrompt
from domaintraining.api.spec import Task
from domaintraining.api.status import DatasetStatus, Metrics, ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import PLAIN, Reach
from domaintraining.trainer.augmenting import Augmenting
from domaintraining.trainer.calls.connect import Connection, Serve, connected
from domaintraining.trainer.calls.store import Limited
from domaintraining.trainer.data.fetch import Fetching, fetched
from domaintraining.trainer.data.material import MAX_WARNINGS, Material, read_material
from domaintraining.trainer.doctor.words import advice
from domaintraining.trainer.progress import Measured as MeasuredStep
from domaintraining.trainer.prompts.export import check_size, digests, dump, manifest, task_prompt
from domaintraining.trainer.prompts.served import Served, read_served
from domaintraining.trainer.scoring.comparison import (
    Documents,
    Measured,
    baseline_metrics,
    compared_metrics,
    measure_prompts,
    own_metrics,
)
from domaintraining.trainer.scoring.evaluate import Evaluator
from domaintraining.trainer.scoring.semantic import Compared, Names, with_semantic
from domaintraining.trainer.search.engine import OllamaEngine
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.optimize import Means, Setting, configure_dspy, optimize
from domaintraining.trainer.search.program import Extraction
from domaintraining.trainer.search.rollouts import Rollouts
from domaintraining.trainer.session import Session

MAX_REPORT_BYTES: Final = 1_000_000
"""Most bytes of both revisions in the report; a ConfigMap holds 1,048,576 with everything."""
MANIFEST_BLANKS: Final = 50_000
"""What a manifest grows by where somebody writes it with blanks."""
INSIST_SECONDS: Final = 600.0
"""How long the result is tried to be written: it took hours to make."""


@dataclass(frozen=True)
class Folders:
    """What is mounted into the trainer's pod, and the way to what is not."""

    data: Path
    served: Path | None = None
    journal: Path | None = None
    credentials: Path | None = None
    """The Secret for the server of the data."""
    reach: Reach = PLAIN
    """The way to the server of the data."""


def train(session: Session, folders: Folders, serve: Serve) -> None:
    """Train the prompts of a run and report each stage.

    Args:
        session: the attempt.
        folders: what is mounted.
        serve: makes model servers.

    Raises:
        DomainTrainingError: what keeps the run from a result.
        GivenUp: the same, from a call.
    """
    material = _read(session, folders)
    served = read_served(folders.served, session.run)
    stages = _Stages(session, material, served)
    stages.plan()
    stages.tell_dataset()
    with connected(session, material.run, serve, folders.journal, material.samples.digest) as connection:
        baseline = stages.measure_baseline(connection)
        stages.augment(connection)
        found = stages.search(connection)
        stages.finish(connection, found, baseline)


def _read(session: Session, folders: Folders) -> Material:
    """The samples, fetched first where they are on a server."""
    session.tally.enter("loading_data", "reading samples")
    fetching = Fetching(
        folders.reach,
        folders.credentials,
        waiting=session.waiting_for_data,
        progress=partial(session.tally.enter, "loading_data"),
    )
    with fetched(session.run, fetching) as found:
        material = read_material(session.run, folders.data, found)
    session.reporter.update(data_version=material.version)
    return material


class _Stages:
    def __init__(self, session: Session, material: Material, served: Served) -> None:
        self._session = session
        self._run, self._tally, self._log = material.run, session.tally, session.log
        self._material, self._served = material, served
        self._augmenting = Augmenting(session, material)
        self._attached: list[str] = []
        self._documents = Documents(
            {
                task: [one for one in material.held_out(task) if not served.has_seen(one.text)]
                for task in ("entities", "relations")
            }
        )

    def plan(self) -> None:
        """Tell how many calls are expected."""
        tasks = self._run.tasks
        for task in tasks:
            self._tally.plan(task, self._material.search(task).plan(self._run))
        baseline = self._documents.calls(tasks)
        self._tally.expect("loading_data", baseline + self._augmenting.calls)
        measured = baseline + self._documents.calls(list(self._served.requests))
        self._tally.expect("validation", measured + self._augmenting.comparing)

    def tell_dataset(self) -> None:
        """Report the samples before the first call."""
        dataset = self._dataset()
        auto, why = self._run.auto, self._material.auto_reason
        self._session.reporter.update(dataset=dataset, auto=auto, auto_reason=why)
        self._session.announce()
        counts = dataset.model_dump(mode="json", include={"samples", "train", "validation", "test"})
        self._log.event("dataset_read", "all samples are valid", **counts, warnings=dataset.warnings)

    def measure_baseline(self, connection: Connection) -> Measured:
        """The prompts without training, published with their numbers before the first trial."""
        run = self._run
        prompts = {task: task_prompt(Extraction(form), run, 0) for task, form in self._material.forms.items()}
        self._tally.enter("loading_data", "measuring the baseline")
        measured = measure_prompts(
            self._evaluator(connection, "loading_data"), _requests(prompts), self._documents
        )
        metrics = baseline_metrics(measured)
        tasks = {task: {"run": 0, "demos": prompt.demos} for task, prompt in prompts.items()}
        described = manifest(run, tasks, self._data(seen=[]))
        published = _prompts(prompts, own_metrics(measured, run.optimizer.seed), described)
        self._attach(BASELINE_KEY, published)
        self._session.reporter.update(baseline=metrics)
        self._session.announce()
        self._tell("baseline_measured", "the baseline is measured", measured, metrics)
        return measured

    def augment(self, connection: Connection) -> None:
        """Further train samples, where the spec asks for them."""
        self._material = self._augmenting.make(connection)
        self._session.reporter.update(dataset=self._dataset())

    def search(self, connection: Connection) -> dict[Task, Found]:
        """The best programs that MIPROv2 finds."""
        run, budget = self._run, self._session.budget
        self._tally.enter("search")
        rollouts = configure_dspy()
        searches = [self._material.search(task) for task in run.tasks]
        self._log.event("search_started", f"MIPROv2, auto {run.auto}", tasks=list(run.tasks))
        with connection.limited(budget) as (task, proposals):
            engine = self._engine(task, run.model, rollouts)
            proposer = self._engine(proposals, run.prompt_model or run.model, rollouts)
            setting = Setting(run, engine, proposer, connection.task.slots, hurried=budget.limited)
            give_up = self._session.ending.give_up
            means = Means(setting, connection.task, self._tally, give_up, connection.finished)
            found = optimize(searches, means)
        cut = any(one.cut for one in found.values())
        self._session.reporter.update(budget_exhausted=cut)
        self._log.event(
            "search_done",
            "the budget is spent: the best so far is kept" if cut else "MIPROv2 is through",
            validation_f1={task: round(one.validation_f1, 3) for task, one in found.items()},
        )
        return found

    def _engine(self, calls: Limited, model: ModelStatus, rollouts: Rollouts) -> OllamaEngine:
        run, give_up = self._run, self._session.ending.give_up
        options = run.options, run.optimizer.seed
        rollout = rollouts.current
        return OllamaEngine(
            calls, model.name, *options, digest=model.digest, give_up=give_up, rollout=rollout
        )

    def finish(self, connection: Connection, found: Mapping[Task, Found], baseline: Measured) -> None:
        """The prompts found, measured on the held-out documents and written."""
        run = self._run
        self._tally.enter("prompt_extraction")
        prompts = {task: task_prompt(one.program, run, run.number) for task, one in found.items()}
        new, served = self._measure_result(connection, _requests(prompts))
        validation = {task: one.validation_f1 for task, one in found.items()}
        metrics = compared_metrics(new, baseline, served, run.optimizer.seed, validation)
        metrics = self._with_semantic(connection, metrics, Compared(self._documents, new, baseline, served))
        self._tell("result_measured", "the result is measured", new, metrics)
        augmented = self._augmenting.judge(found, connection, self._evaluator(connection, "validation"))
        self._session.reporter.update(dataset=self._dataset())
        self._tally.enter("saving")
        tasks = {
            task: {"run": run.number, "demos": prompt.demos, "validationF1": round(validation[task], 3)}
            for task, prompt in prompts.items()
        }
        data = self._data(seen=digests(self._material.seen())) | {"doctor": self._doctor(found)} | augmented
        described = manifest(run, tasks, data)
        self._attach(RESULT_KEY, _prompts(prompts, metrics, described))
        self._tally.finish("the result is written")
        self._session.reporter.insist(INSIST_SECONDS)
        self._log.event("result_written", "the result is written")

    def _doctor(self, found: Mapping[Task, Found]) -> dict[str, Any]:
        """What the answers of the search say about data and model; told in status, whole in the manifest."""
        findings = {task: self._material.findings(task, one.scores) for task, one in found.items()}
        told = advice(findings)
        self._session.reporter.update(advice=list(told))
        self._log.event("examined", "what the answers say about data and model", advice=list(told))
        return {task: one.described() for task, one in findings.items()}

    def _measure_result(
        self, connection: Connection, requests: Mapping[Task, str]
    ) -> tuple[Measured, Measured]:
        self._tally.enter("validation", "measuring on the held-out documents")
        evaluator = self._evaluator(connection, "validation")
        new = measure_prompts(evaluator, requests, self._documents)
        if new.answers and new.unreadable == new.answers:
            message = f"none of {new.answers} answers on the held-out documents can be read"
            raise DomainTrainingError(Reason.MODEL_OUTPUT_INVALID, message)
        return new, measure_prompts(evaluator, self._served.requests, self._documents)

    def _with_semantic(self, connection: Connection, metrics: Metrics, compared: Compared) -> Metrics:
        """The number by embeddings, where it is asked for; last, so that the models don't take turns."""
        run, model = self._run, self._run.embedding_model
        if model is None:
            return metrics
        self._tally.enter("validation", "comparing names by their embeddings")
        calls = connection.task
        names = Names(calls, model.name, run.metric.threshold, calls.expect_all)
        names.learn(compared.names())
        return with_semantic(metrics, compared, names.alike, run.optimizer.seed)

    def _attach(self, key: str, prompts: Prompts) -> None:
        """Add a revision to the report, which holds two."""
        self._attached.append(prompts.model_dump_json(by_alias=True, exclude_none=True))
        check_size("the report", self._attached, MAX_REPORT_BYTES)
        self._session.reporter.attach(key, prompts)

    def _evaluator(self, connection: Connection, step: MeasuredStep) -> Evaluator:
        counted = partial(self._tally.measured, step)
        calls = connection.task
        return Evaluator(calls, calls.slots, self._run.metric.letters, counted, calls.expect_all)

    def _dataset(self) -> DatasetStatus:
        status = self._material.status()
        before = sum(len(self._material.held_out(task)) for task in self._run.tasks)
        left = sum(len(self._documents.of[task]) for task in self._run.tasks)
        seen = (
            f"{before - left} of {before} held-out labels are left out of the comparison: "
            f"revision {self._run.served}, which is served now, was trained with their texts"
        )
        notes = [*([] if left == before else [seen]), *filter(None, [self._augmenting.line])]
        return status.model_copy(update={"warnings": [*notes, *status.warnings][:MAX_WARNINGS]})

    def _data(self, seen: list[str]) -> dict[str, Any]:
        held_out = digests(self._documents.texts(self._run.tasks))
        return {**self._material.described(), "heldOut": held_out, "seen": seen}

    def _tell(self, event: str, message: str, measured: Measured, metrics: Metrics) -> None:
        numbers = metrics.model_dump(mode="json", by_alias=True, exclude_none=True)
        self._log.event(
            event, message, metrics=numbers, answers=measured.answers, unreadable=measured.unreadable
        )


def _requests(prompts: Mapping[Task, TaskPrompt]) -> dict[Task, str]:
    return {task: prompt.files.request for task, prompt in prompts.items()}


def _prompts(prompts: Mapping[Task, TaskPrompt], metrics: Metrics, described: dict[str, Any]) -> Prompts:
    files = [text for task, prompt in prompts.items() for text in prompt.files.files(task).values()]
    check_size("the revision", [*files, dump(described)], MAX_PROMPTS_BYTES - MANIFEST_BLANKS)
    return Prompts(
        entities=prompts.get("entities"),
        relations=prompts.get("relations"),
        metrics=metrics,
        manifest=described,
    )
