"""What one reconcile sees: plain values, from which everything is decided."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domaintraining.api.names import ANNOTATION_RETRAIN
from domaintraining.api.report import Drift, Failure, Prompts, Report
from domaintraining.api.run import Run
from domaintraining.api.spec import DomainTrainingSpec, Task
from domaintraining.api.status import DomainTrainingStatus, ModelStatus
from domaintraining.controller.admission import Place
from domaintraining.controller.attempt import Attempt
from domaintraining.controller.checks import Checks
from domaintraining.controller.workqueue import Key
from domaintraining.errors import DomainTrainingError

Object = dict[str, Any]
"""An object of the API server as JSON values."""


@dataclass(frozen=True)
class Resource:
    """A DomainTraining."""

    name: str
    namespace: str
    uid: str
    generation: int
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: DomainTrainingSpec
    hash: str
    status: DomainTrainingStatus
    created: str = ""
    """When the API server made it, of RFC 3339."""
    graph_model: str = ""
    """Model that its domain in the graph names, where spec names none."""

    @property
    def key(self) -> Key:
        """What it is known by in queues and lists."""
        return self.namespace, self.name

    @property
    def retrain_requested(self) -> str:
        """When a new run was asked for by annotation, as it is written there; empty: never."""
        return self.annotations.get(ANNOTATION_RETRAIN, "")


@dataclass(frozen=True)
class Revision:
    """A run's prompt as it was kept."""

    number: int
    hash: str
    promoted: bool
    data: dict[str, str]
    manifest: dict[str, Any]
    owned: bool
    """Whether the resource of today owns it; a restored resource adopts it first."""
    keep: bool = False
    """Whether somebody asked to keep it for ever."""
    accepted: tuple[Task, ...] = ()
    """Tasks whose prompt passed; the others serve the prompt they had."""
    baseline: dict[str, str] = field(default_factory=dict)
    """Files of its baseline, for tasks that had no prompt before it: `<task>.messages.json` and so on."""


@dataclass(frozen=True)
class RunRecord:
    """A run that was started, with its last attempt."""

    run: Run
    attempt: Attempt
    kept_as: str = ""
    """Name of its ConfigMap, where an earlier version gave it another; it stays so for all of the run."""


@dataclass(frozen=True)
class JobState:
    """The Job of one attempt."""

    name: str
    uid: str
    run: int
    attempt: int
    owned: bool
    active: bool
    failed: str = ""
    """Why it failed, in the Job controller's words; empty: it did not."""
    complete: bool = False
    started: bool = False
    """Whether a pod of it runs."""
    suspended: bool = False
    """Whether it is held back, by Kueue or whoever else set its spec.suspend; it has no pods then."""
    queue: str = ""
    """Kueue's queue that it is in."""
    trouble: DomainTrainingError | None = None
    """What its pods or events say is wrong, while it is active or after it failed."""
    held_since: datetime | None = None
    """Since when it has no pod that runs, though it may have one; None: it has one, or may not."""
    podless: bool = False
    """Whether it has no pod that runs or may come to."""

    @property
    def over(self) -> bool:
        """Whether it ended; one that is being deleted did not, and is soon gone."""
        return self.complete or bool(self.failed)


@dataclass(frozen=True)
class ReportState:
    """What the trainer reported, as far as it can be believed."""

    report: Report | None = None
    baseline: Prompts | None = None
    result: Prompts | None = None
    error: str = ""
    """Why it can't be believed; empty: it can."""
    astray: bool = False
    """Whether it lost its owner or its labels; its trainer may patch all of it."""


@dataclass(frozen=True)
class CheckState:
    """The checks of a resource, and the one that is open."""

    checks: Checks = field(default_factory=Checks)
    """The record."""
    jobs: tuple[JobState, ...] = ()
    """All Jobs of checks; their number is that of the check."""
    found: Drift | None = None
    """What the open check's trainer found out."""
    failure: Failure | None = None
    """Why it gave up, in its own words."""
    error: str = ""
    """Why its report can't be believed; empty: it can."""
    left: bool = False
    """Whether a Job or a report is there, whosever."""

    @property
    def job(self) -> JobState | None:
        """The Job of the open check."""
        current = self.checks.current
        return next((one for one in self.jobs if current and one.attempt == current.number), None)

    @property
    def next_number(self) -> int:
        """One more than any check had."""
        return max([self.checks.last, *(job.attempt for job in self.jobs)]) + 1


@dataclass(frozen=True)
class Preflight:
    """What was checked before a Job starts."""

    data_digest: str = ""
    data_problem: DomainTrainingError | None = None
    model: ModelStatus | None = None
    prompt_model: ModelStatus | None = None
    """The model that proposes instructions, where it is another."""
    embedding_model: ModelStatus | None = None
    """The model that makes embeddings of names, where they are asked for."""
    compare_with: tuple[ModelStatus, ...] = ()
    """The models to compare with."""
    data_model: ModelStatus | None = None
    """The model that makes embeddings of samples, where the server has it."""
    model_problem: DomainTrainingError | None = None
    journal_problem: DomainTrainingError | None = None
    placement_problem: DomainTrainingError | None = None
    settings_digest: str = ""

    @property
    def problem(self) -> DomainTrainingError | None:
        """The first thing that keeps the Job from starting."""
        return self.placement_problem or self.data_problem or self.journal_problem or self.model_problem


@dataclass(frozen=True)
class Observed:
    """Everything that one reconcile knows."""

    resource: Resource
    now: datetime
    record: RunRecord | None = None
    """The run with the highest number."""
    runs: tuple[int, ...] = ()
    """Numbers of all runs that have a run ConfigMap, readable or not."""
    revisions: tuple[Revision, ...] = ()
    """By number, the baseline (0) among them."""
    served: Revision | None = None
    """What `<name>-prompt` holds."""
    jobs: tuple[JobState, ...] = ()
    report: ReportState = field(default_factory=ReportState)
    check: CheckState = field(default_factory=CheckState)
    """What looks at the world under the served prompt."""
    preflight: Preflight | None = None
    """Only where a Job is about to start."""
    place: Place | None = None
    """Where it stands among those that wait for a model server; None: it does not wait."""

    @property
    def trained(self) -> tuple[Revision, ...]:
        """Revisions of runs, without the baseline."""
        return tuple(revision for revision in self.revisions if revision.number > 0)

    def kept_as(self, run: int) -> str:
        """Name of the ConfigMap of a run, where it is not today's; empty: it is."""
        return self.record.kept_as if self.record is not None and self.record.run.number == run else ""

    @property
    def job(self) -> JobState | None:
        """The Job of the current attempt."""
        if self.record is None:
            return None
        wanted = (self.record.run.number, self.record.attempt.number)
        return next((job for job in self.jobs if (job.run, job.attempt) == wanted), None)
