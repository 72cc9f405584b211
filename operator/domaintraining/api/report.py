"""The report: what a trainer writes into its ConfigMap. Hostile input to the controller.

Keys of the ConfigMap: `report.json` (Report, all through the run), `baseline.json` (Prompts, once the
baseline is measured) and `result.json` (Prompts, at the end).
"""

import json
import re
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, field_validator, model_validator

from domaintraining.api.base import WireModel
from domaintraining.api.reasons import Reason
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import DatasetStatus, Message, Metrics, Progress

REPORT_KEY: Final = "report.json"
BASELINE_KEY: Final = "baseline.json"
RESULT_KEY: Final = "result.json"
MANIFEST_KEY: Final = "manifest.json"
MAX_PROMPTS_BYTES: Final = 900_000
"""Most bytes of all files of a revision; a ConfigMap holds 1 MiB and a report two revisions."""
PLACEHOLDER: Final = re.compile(r"\{text\}|\{entities\}")


class Failure(WireModel):
    """Why a trainer ended without a result."""

    reason: Reason
    """Constant of the table of reasons."""
    message: Message
    """What happened and where, without sample text."""


class Report(WireModel):
    """What a trainer knows so far."""

    run: Annotated[int, Field(ge=1)]
    """Number of the run."""
    attempt: Annotated[int, Field(ge=1)]
    """Number of the attempt."""
    progress: Progress = Progress()
    """Counts."""
    dataset: DatasetStatus | None = None
    """Samples, once they are read and valid."""
    baseline: Metrics | None = None
    """Only the baseline's numbers, once they are measured."""
    failure: Failure | None = None
    """Set when the trainer gives up."""
    waiting: Failure | None = None
    """Set while the trainer waits for something to come back."""


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
        """The request holds exactly the messages and schema, and placeholders stand in the last message only."""
        request = _object(self.request, "request")
        messages = json.loads(self.messages)
        if request.get("messages") != messages or request.get("format") != _object(self.schema_, "schema"):
            raise ValueError("request.json does not hold the messages and the schema that are published")
        _object(self.dspy, "dspy")
        _check_placeholders(messages)
        return self


class TaskPrompt(WireModel):
    """One task's prompt and what is said about it in status and manifest."""

    files: TaskFiles
    """Files of the prompt."""
    run: Annotated[int, Field(ge=0)]
    """Run that the prompt is from; 0 is the baseline."""
    instruction: Annotated[str, StringConstraints(max_length=MAX_PROMPTS_BYTES)]
    """The instruction, whole."""
    demos: Annotated[int, Field(ge=0, le=64)]
    """Number of demos."""


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
        if len(json.dumps(manifest)) > MAX_PROMPTS_BYTES // 2:
            raise ValueError("the manifest is too large")
        return manifest

    @model_validator(mode="after")
    def _some_prompt(self) -> "Prompts":
        if not any(self.prompt(task) for task in TASKS):
            raise ValueError("no prompt in the revision")
        return self


def _object(text: str, what: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{what}.json is not a JSON object")  # noqa: TRY004 - pydantic takes ValueError
    return value


def _check_placeholders(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages.json is not a list of messages")
    for message in messages:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise ValueError("a message has other keys than role and content")
    contents = [str(message["content"]) for message in messages]
    if any(PLACEHOLDER.search(content) for content in contents[:-1]):
        raise ValueError("a placeholder stands in another message than the last")
    found = PLACEHOLDER.findall(contents[-1])
    if found.count("{text}") != 1 or found.count("{entities}") > 1:
        raise ValueError("the last message does not hold {text} once and {entities} at most once")
