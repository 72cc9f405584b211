"""A run from its samples to its result, stage by stage."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, RESULT_KEY
from domaintraining.api.spec import Task
from domaintraining.api.status import Metrics
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.augmenting import Augmenting
from domaintraining.trainer.calls.connect import Connection, Serve, connected
from domaintraining.trainer.calls.embedding import REQUESTS
from domaintraining.trainer.calls.server import GivenUp
from domaintraining.trainer.compare import Table, Tried, Turn, chosen, turns
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.doctor.words import advice
from domaintraining.trainer.progress import Measured as MeasuredStep
from domaintraining.trainer.prompts.export import (
    check_room,
    digests,
    manifest,
    requests_of,
    task_prompt,
    whole_prompts,
)
from domaintraining.trainer.prompts.served import Served, read_served
from domaintraining.trainer.reading import Folders, read
from domaintraining.trainer.scoring.comparison import (
    Measured,
    baseline_metrics,
    compared_metrics,
    measure_prompts,
    own_metrics,
)
from domaintraining.trainer.scoring.evaluate import Evaluator
from domaintraining.trainer.scoring.semantic import MOST_NAMES, Compared, Names, too_many, with_semantic
from domaintraining.trainer.scoring.unseen import told_dataset, unseen_documents
from domaintraining.trainer.search.finished import Found
from domaintraining.trainer.search.program import Extraction
from domaintraining.trainer.searching import search_prompts
from domaintraining.trainer.session import Session
from domaintraining.trainer.similar import SimilarDomains

INSIST_SECONDS: Final = 600.0
"""How long the result is tried to be written: it took hours to make."""


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
    material = read(session, folders)
    served = read_served(folders.served, session.run)
    connect = partial(_connect, serve, folders, material.samples.digest)
    stages = _Stages(session, material, served, connect, SimilarDomains(session, material, folders.similar))
    stages.plan()
    stages.tell_dataset()
    stages.meet()
    for turn in turns(session, material.run):
        stages.take(turn)
    stages.finish()


def _connect(
    serve: Serve, folders: Folders, data: str, session: Session
) -> AbstractContextManager[Connection]:
    return connected(session, session.run, serve, folders.journal, data)


class _Stages:
    def __init__(
        self,
        session: Session,
        material: Material,
        served: Served,
        connect: Callable[[Session], AbstractContextManager[Connection]],
        similar: SimilarDomains,
    ) -> None:
        self._session, self._connect, self._similar = session, connect, similar
        self._run, self._tally, self._log = material.run, session.tally, session.log
        self._material, self._served = material, served
        self._augmenting = Augmenting(session, material)
        self._documents = unseen_documents(material, served)
        self._table = Table(session, material.run)
        self._baseline: Measured | None = None
        self._before = Measured()
        self._tried: list[Tried] = []
        self._notes: dict[str, str] = {}
        self._failure: DomainTrainingError | None = None
        self._exhausted = False

    def plan(self) -> None:
        """Tell how many calls are expected."""
        for task in self._run.tasks:
            self._tally.plan(task, self._material.search(task).plan(self._run))
        models = [self._run.model, *(one.model for one in self._run.compare_with)]
        self._tally.expect("loading_data", self._documents.calls(self._run.tasks) + self._augmenting.calls)
        self._tally.expect("prompt_extraction", self._similar.calls * len(models))
        self._tally.expect("validation", sum(self._closing(model.name) for model in models))

    def tell_dataset(self) -> None:
        """Report the samples before the first call."""
        check_room(self._data(digests(self._material.seen())), self._augmenting.calls)
        dataset = told_dataset(self._material, self._documents)
        auto, why = self._run.auto, self._material.auto_reason
        self._session.reporter.update(dataset=dataset, auto=auto, auto_reason=why)
        self._session.announce()
        counts = dataset.model_dump(mode="json", include={"samples", "train", "validation", "test"})
        self._log.event("dataset_read", "all samples are valid", **counts, warnings=dataset.warnings)

    def meet(self) -> None:
        """Choose the similar domains whose prompts are tried; what these had seen is left out."""
        self._similar.meet(self._connect)
        self._documents = self._similar.unseen(self._documents)
        for about, words in self._similar.notes.items():
            self._note(about, words)
        self.plan()

    def take(self, turn: Turn) -> None:
        """One model's turn: prompts for it, their measurement, and that of what is served on it."""
        try:
            with self._connect(turn.session) as connection:
                if self._baseline is None:
                    self._baseline = self._measure_baseline(connection)
                    self._augment(connection)
                self._table.begun(turn)
                with self._session.costs.of(turn.run.model.name):
                    tried = self._try(connection, turn)
                self._table.compared(turn, tried.found, own_metrics(tried.measured, self._seed))
                self._measure_served(connection, turn)
            self._tried.append(tried)
        except GivenUp as given_up:
            if turn.ending.error is None or self._baseline is None:
                raise
            self._failed(turn, given_up.error)

    def _failed(self, turn: Turn, error: DomainTrainingError) -> None:
        """A model that takes no part in the choice; the others may still lead to a result."""
        self._failure = self._failure or error
        self._exhausted |= error.reason is Reason.BUDGET_EXHAUSTED
        self._table.failed(turn, error)
        if not turn.last or self._tried:
            with self._connect(turn.again().session) as connection:
                self._measure_served(connection, turn)

    def _measure_baseline(self, connection: Connection) -> Measured:
        """The prompts without training, published with their numbers before the first trial."""
        run = self._run
        prompts = {task: task_prompt(Extraction(form), run, 0) for task, form in self._material.forms.items()}
        self._tally.enter("loading_data", "measuring the baseline")
        evaluator = self._evaluator(connection, "loading_data")
        measured = measure_prompts(evaluator, requests_of(prompts), self._documents)
        metrics = baseline_metrics(measured)
        tasks = {task: {"run": 0, "demos": prompt.demos} for task, prompt in prompts.items()}
        described = manifest(run, tasks, self._data(seen=[]))
        published = whole_prompts(prompts, own_metrics(measured, run.optimizer.seed), described)
        self._session.reporter.attach(BASELINE_KEY, published)
        self._session.reporter.update(baseline=metrics)
        self._session.announce()
        self._tell("baseline_measured", "the baseline is measured", measured, metrics)
        return measured

    def _augment(self, connection: Connection) -> None:
        """Further train samples, where the spec asks for them; made by the first model, for all of them."""
        self._material = self._augmenting.make(connection, self._closing)
        self._note("augment", self._augmenting.line)

    def _try(self, connection: Connection, turn: Turn) -> Tried:
        """The prompts found for a model, and what they answer on the held-out documents."""
        found, run = self.search(connection, turn), turn.run
        if turn.last:
            self._tally.enter("prompt_extraction")
        prompts = {task: task_prompt(one.program, run, run.number) for task, one in found.items()}
        measuring = "measuring on the held-out documents"
        if turn.last:
            self._tally.enter("validation", measuring)
        else:
            self._tally.tell(turn.words + measuring)
        evaluator = self._evaluator(connection, "validation")
        measured = measure_prompts(evaluator, requests_of(prompts), self._documents)
        return Tried(run, found, prompts, measured, self._augmenting.judge(run, found, connection, evaluator))

    def search(self, connection: Connection, turn: Turn) -> dict[Task, Found]:
        """The best programs for a model."""
        self._tally.enter("search")
        found = search_prompts(turn, connection, self._material, self._similar, self._closing)
        self._exhausted |= any(one.cut for one in found.values())
        self._session.reporter.update(budget_exhausted=self._exhausted)
        return found

    def _closing(self, model: str) -> int:
        """Calls that end a model's turn: they measure its prompts and what is served on it, and compare."""
        served = self._documents.calls(list(self._served.of(model)))
        return self._documents.calls(self._run.tasks) + served + self._augmenting.comparing

    def _measure_served(self, connection: Connection, turn: Turn) -> None:
        """What is served on a model, measured while it is loaded."""
        evaluator = self._evaluator(connection, "validation")
        measured = measure_prompts(evaluator, self._served.of(turn.run.model.name), self._documents)
        self._before = Measured({**self._before.measurements, **measured.measurements})

    def finish(self) -> None:
        """The prompts of the chosen model, compared and written.

        Raises:
            DomainTrainingError: no model has prompts, or the answers of the chosen one can't be read.
        """
        if not self._tried or self._baseline is None:
            raise self._failure or DomainTrainingError(Reason.TRAINER_FAILED, "no model was tried")
        best = chosen(self._tried)
        run, new = best.run, best.measured
        if new.answers and new.unreadable == new.answers:
            message = f"none of {new.answers} answers on the held-out documents can be read"
            raise DomainTrainingError(Reason.MODEL_OUTPUT_INVALID, message)
        self._table.choose(best)
        self._session.reporter.update(budget_exhausted=self._exhausted)
        validation = {task: one.validation_f1 for task, one in best.found.items()}
        metrics = compared_metrics(new, self._baseline, self._before, self._seed, validation)
        metrics = self._with_semantic(metrics, Compared(self._documents, new, self._baseline, self._before))
        self._tell("result_measured", "the result is measured", new, metrics)
        self._tally.enter("saving")
        tasks = {
            task: {"run": run.number, "demos": prompt.demos, "validationF1": round(validation[task], 3)}
            for task, prompt in best.prompts.items()
        }
        self._note("augment", best.augmented.line)
        seen = {*digests(self._material.seen()), *self._similar.seen(run.model.name)}
        data = self._data(sorted(seen)) | self._doctor(best.found) | best.augmented.described
        data |= self._table.described | self._similar.described(run.model.name)
        described = manifest(run, tasks, data)
        self._session.reporter.attach(RESULT_KEY, whole_prompts(best.prompts, metrics, described))
        self._tally.finish("the result is written")
        self._session.reporter.insist(INSIST_SECONDS)
        self._log.event("result_written", "the result is written")

    def _doctor(self, found: Mapping[Task, Found]) -> dict[str, Any]:
        """What the answers of the search say about data and model; told in status, whole in the manifest."""
        findings = {task: self._material.findings(task, one.scores) for task, one in found.items()}
        told = advice(findings)
        self._session.reporter.update(advice=list(told))
        self._log.event("examined", "what the answers say about data and model", advice=list(told))
        return {"doctor": {task: one.described() for task, one in findings.items()}, "advice": list(told)}

    def _with_semantic(self, metrics: Metrics, compared: Compared) -> Metrics:
        """The number by embeddings, where it is asked for; last, so that the models don't take turns."""
        run, model = self._run, self._run.embedding_model
        if model is None:
            return metrics
        wanted = compared.names()
        if len(wanted) > MOST_NAMES:
            self._note("semantic", too_many(len(wanted), MOST_NAMES))
            return metrics
        self._tally.enter("validation", "comparing names by their embeddings")
        requests = run.max_concurrent_requests or REQUESTS
        run = run.model_copy(update={"max_concurrent_requests": requests})
        with self._connect(replace(self._session, run=run)) as connection:
            calls = connection.task
            names = Names(calls, model.name, run.metric.threshold, calls.expect_all)
            names.learn(wanted)
        return with_semantic(metrics, compared, names.alike, self._seed)

    def _note(self, about: str, words: str) -> None:
        """Tell in status what a person should know, in the place of what was told about it before."""
        if words and self._notes.get(about) != words:
            self._notes[about] = words
            self._log.event("noted", words)
        dataset = told_dataset(self._material, self._documents, *self._notes.values())
        self._session.reporter.update(dataset=dataset)

    @property
    def _seed(self) -> int:
        return self._run.optimizer.seed

    def _evaluator(self, connection: Connection, step: MeasuredStep) -> Evaluator:
        counted = partial(self._tally.measured, step)
        calls = connection.task
        return Evaluator(calls, calls.slots, self._run.metric.letters, counted, calls.expect_all)

    def _data(self, seen: list[str]) -> dict[str, Any]:
        held_out = digests(self._documents.texts(self._run.tasks))
        return {**self._material.described(), "heldOut": held_out, "seen": seen}

    def _tell(self, event: str, message: str, measured: Measured, metrics: Metrics) -> None:
        numbers = metrics.model_dump(mode="json", by_alias=True, exclude_none=True)
        self._log.event(
            event, message, metrics=numbers, answers=measured.answers, unreadable=measured.unreadable
        )
