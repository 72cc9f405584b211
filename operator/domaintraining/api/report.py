"""The report: what a trainer writes into its ConfigMap. Hostile input to the controller.

Keys of the ConfigMap: `report.json` (Report, all through the run), `baseline.json` (Prompts, once the
baseline is measured) and `result.json` (Prompts, at the end).
"""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from domaintraining.api import published
from domaintraining.api.base import WireModel
from domaintraining.api.budget import Spent
from domaintraining.api.comparison import Comparison
from domaintraining.api.published import (
    check_depth,
    check_placeholders,
    check_request,
    read_messages,
    read_object,
)
from domaintraining.api.reasons import Reason
from domaintraining.api.scalars import Count, Message, Short
from domaintraining.api.spec import TASKS, Auto, Task
from domaintraining.api.status import Advice, DatasetStatus, Metrics, Progress, TaskMetrics

REPORT_KEY: Final = "report.json"
BASELINE_KEY: Final = "baseline.json"
RESULT_KEY: Final = "result.json"
MANIFEST_KEY: Final = "manifest.json"
MAX_PROMPTS_BYTES: Final = 900_000
"""Most bytes of all files of a revision; a ConfigMap holds 1 MiB and a report two revisions."""
PLACEHOLDER: Final = published.PLACEHOLDER
OWN_NUMBERS: Final = frozenset({"f1", "precision", "recall", "confidence_interval", "documents"})
"""What can be said of a prompt that is compared with nothing."""


class Failure(WireModel):
    """Why a trainer ended without a result."""

    reason: Reason
    """Constant of the table of reasons."""
    message: Message
    """What happened and where, without sample text."""


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Unmeasured = Literal["Unchanged", "NotAsked", "NothingServed", "NoHeldOutData"]


class Drift(WireModel):
    """What a check found out; there is no prompt in it, and nothing to promote."""

    data_digest: Digest
    """SHA-256 of the samples as they are now."""
    data_version: Short = ""
    """What their source calls them now: ETag, version; empty: it gives no name to its content."""
    changed: bool
    """Whether the samples are others than those of the check's digest."""
    dataset: DatasetStatus
    """The samples as they are now."""
    metrics: Metrics | None = None
    """The served prompts' own numbers on held-out documents that they had not seen; None: not measured."""
    unmeasured: Unmeasured | None = None
    """Why nothing was measured; None: something was."""
    left_out: Count = 0
    """Held-out labels left out because the served prompts had seen their texts."""
    model_calls: Count = 0
    """Calls that the model server answered for it, over all attempts."""

    @model_validator(mode="after")
    def _plain(self) -> "Drift":
        """Either numbers or why there are none; and only what a prompt's own answers can say."""
        if self.dataset.digest != self.data_digest:
            raise ValueError("dataset.digest is not dataDigest")
        metrics = self.metrics
        if (metrics is None) == (self.unmeasured is None):
            raise ValueError("exactly one of metrics and unmeasured has to be there")
        measured = [one for _, one in metrics or () if one is not None]
        if metrics is not None and not measured:
            raise ValueError("metrics without a number")
        if not all(map(_is_own, measured)):
            raise ValueError("metrics are not the own numbers of a prompt with their interval and documents")
        return self


def _is_own(metrics: TaskMetrics) -> bool:
    numbers = (metrics.f1, metrics.precision, metrics.recall, metrics.confidence_interval)
    others = set(metrics.model_dump(exclude_defaults=True)) - OWN_NUMBERS
    if None in numbers or others or not metrics.documents:
        return False
    interval = metrics.confidence_interval
    return interval is not None and interval.low <= interval.high


class Report(WireModel):
    """What a trainer knows so far."""

    run: Annotated[Count, Field(ge=1)]
    """Number of the run."""
    attempt: Annotated[Count, Field(ge=1)]
    """Number of the attempt."""
    progress: Progress = Progress()
    """Counts."""
    dataset: DatasetStatus | None = None
    """Samples, once they are read and valid."""
    data_version: Short = ""
    """What their source calls its content: an ETag, a version or a digest; empty: it calls it nothing."""
    auto: Auto | None = None
    """Mode that runs, once it is chosen: where the run says adaptive, by the samples."""
    auto_reason: Short = ""
    """By which rule adaptive chose it, such as `fewer than 50 validation samples`."""
    spent: Spent | None = None
    """What the run has cost so far: what the run says of earlier attempts, and this one."""
    budget_exhausted: bool = False
    """Whether the search ended early because the budget was spent; the result is the best so far."""
    models: Comparison = []
    """The models that the run compares, spec.model first; empty: there is one."""
    advice: Advice = []
    """What the answers say about data and model, once the search is over."""
    baseline: Metrics | None = None
    """Only the baseline's numbers, once they are measured."""
    failure: Failure | None = None
    """Set when the trainer gives up."""
    waiting: Failure | None = None
    """Set while the trainer waits for something to come back."""
    check: Drift | None = None
    """What a check found out, at its end; a run has none."""


class TaskFiles(WireModel):
    """The files of one task's prompt, byte for byte as they are published."""

    messages: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """Chat messages, JSON."""
    schema_: Annotated[str, StringConstraints(max_length=65_536), Field(alias="schema")]
    """JSON schema of the answer."""
    request: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """Whole body for /api/chat, JSON."""
    dspy: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """State of the DSPy program, JSON."""
    prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """The same as one user message."""

    def files(self, task: Task) -> dict[str, str]:
        """The files by their key in a prompt ConfigMap."""
        return {
            f"{task}.messages.json": self.messages,
            f"{task}.schema.json": self.schema_,
            f"{task}.request.json": self.request,
            f"{task}.dspy.json": self.dspy,
            f"{task}.prompt.txt": self.prompt,
        }

    @model_validator(mode="after")
    def _one_prompt(self) -> "TaskFiles":
        """All files are the same prompt, and every placeholder is where it is filled."""
        messages = read_messages(self.messages)
        schema = read_object(self.schema_, "schema.json")
        check_request(read_object(self.request, "request.json"), messages, schema)
        read_object(self.dspy, "dspy.json")
        check_placeholders(self.prompt, "prompt.txt")
        return self


class TaskPrompt(WireModel):
    """One task's prompt and what is said about it in status and manifest."""

    files: TaskFiles
    """Files of the prompt."""
    run: Count
    """Run that the prompt is from; 0 is the baseline."""
    instruction: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """The instruction, whole."""
    demos: Annotated[int, Field(ge=0, le=64)]
    """Number of demos."""

    @model_validator(mode="after")
    def _as_published(self) -> "TaskPrompt":
        """What status will say of the prompt is true of its messages."""
        messages = read_messages(self.files.messages)
        if len(messages) != 2 + 2 * self.demos:
            raise ValueError("the messages hold another number of demos")
        if not messages[0]["content"].startswith(self.instruction.strip()):
            raise ValueError("the system message does not begin with the instruction")
        return self


class Prompts(WireModel):
    """The prompts of one revision with what was measured of them."""

    entities: TaskPrompt | None = None
    """Prompt for entities."""
    relations: TaskPrompt | None = None
    """Prompt for relations."""
    metrics: Metrics
    """What was measured of exactly these prompts."""
    manifest: dict[str, Any]
    """Versions, digests, seed, heldOut, seen, input lengths: what the trainer knows of manifest.json."""

    def prompt(self, task: Task) -> TaskPrompt | None:
        """The prompt of a task."""
        return self.entities if task == "entities" else self.relations

    @field_validator("manifest")
    @classmethod
    def _bounded(cls, manifest: dict[str, Any]) -> dict[str, Any]:
        check_depth(manifest, "the manifest")
        if len(json.dumps(manifest, allow_nan=False)) > MAX_PROMPTS_BYTES // 2:
            raise ValueError("the manifest is too large")
        return manifest

    @model_validator(mode="after")
    def _publishable(self) -> "Prompts":
        """There is a prompt, each has its task's placeholders, and all fit into one ConfigMap."""
        prompts = {task: prompt for task in TASKS if (prompt := self.prompt(task))}
        if not prompts:
            raise ValueError("no prompt in the revision")
        size = len(json.dumps(self.manifest))
        for task, prompt in prompts.items():
            files = prompt.files.files(task)
            size += sum(len(text.encode()) for text in files.values())
            last = read_messages(prompt.files.messages)[-1]["content"]
            if any(("{entities}" in text) != (task == "relations") for text in (last, prompt.files.prompt)):
                raise ValueError(f"{{entities}} does not stand where the task {task} needs it")
        if size > MAX_PROMPTS_BYTES:
            raise ValueError(f"the files have {size} bytes; a revision holds at most {MAX_PROMPTS_BYTES}")
        return self
