"""A task's prompt as files, and the manifest that says what it was made from."""

import hashlib
import json
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from dspy.utils.saving import get_dependency_versions

from domaintraining import __version__
from domaintraining.api.reasons import Reason
from domaintraining.api.report import MAX_PROMPTS_BYTES, Prompts, TaskFiles, TaskPrompt
from domaintraining.api.run import Run
from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.api.status import Metrics
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.wire import request_body
from domaintraining.trainer.prompts.prompt import Form, form_schema, plain_prompt
from domaintraining.trainer.search.program import Extraction, program_prompt

_FORM_KEY: Final = "form"
MANIFEST_BLANKS: Final = 50_000
"""What a manifest grows by where somebody writes it with blanks."""
MANIFEST_LIMIT: Final = MAX_PROMPTS_BYTES // 2
"""Most characters of a manifest, see `api.report.Prompts`."""
DIGEST_LENGTH: Final = 68
"""Characters of a text's digest in a manifest."""
KEPT_BACK: Final = 45_000
"""Characters kept back for what the search finds: doctor, similar domains, a table of models."""
LEAST_KEPT_BACK: Final = 8_000
"""The same where nothing of it is long; with less a run isn't worth its calls."""


def text_digest(text: str) -> str:
    """What `heldOut` and `seen` of a manifest hold of a text: SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def dump(value: Any) -> str:
    """JSON with the same bytes every time: no blanks, no escapes but those JSON needs."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def task_files(program: Extraction, run: Run) -> TaskFiles:
    """The files of a program's prompt, as they are published and scored.

    Raises:
        DomainTrainingError: they don't fit into a ConfigMap (ResultTooLarge).
    """
    form: Form = program.adapter.form
    _, messages = program_prompt(program)
    schema = form_schema(form)
    request = request_body(run.model.name, messages, schema, run.options, seed=run.optimizer.seed)
    files = {
        "messages": dump(messages),
        "schema": dump(schema),
        "request": dump(request),
        "dspy": dump(_state(program)),
        "prompt": plain_prompt(messages),
    }
    check_size(form.task, files.values(), MAX_PROMPTS_BYTES)
    return TaskFiles.model_validate(files)


def check_size(what: str, texts: Iterable[str], limit: int) -> None:
    """Refuse what the API server would refuse.

    Raises:
        DomainTrainingError: the texts have more bytes than `limit` (ResultTooLarge).
    """
    size = sum(len(text.encode()) for text in texts)
    if size > limit:
        message = f"{what}: the prompt's files have {size:,} bytes, and at most {limit:,} can be kept"
        raise DomainTrainingError(Reason.RESULT_TOO_LARGE, message)


def check_room(described: Mapping[str, Any], rewordings: int) -> None:
    """Refuse, before the first call, samples that no manifest would hold.

    Args:
        described: what is known of the manifest.
        rewordings: how many texts may be made.

    Raises:
        DomainTrainingError: it would have too many characters (ResultTooLarge).
    """
    _check_manifest(described, LEAST_KEPT_BACK + DIGEST_LENGTH * rewordings)


def _check_manifest(described: Mapping[str, Any], further: int = 0) -> None:
    """Refuse a manifest that would not be published.

    Raises:
        DomainTrainingError: it has too many characters (ResultTooLarge).
    """
    size = len(json.dumps(described)) + further
    if size > MANIFEST_LIMIT:
        message = (
            f"manifest.json: {size:,} characters, and at most {MANIFEST_LIMIT:,} can be kept; it names each "
            "sample and each rewording by a digest: give fewer samples, or leave out spec.dataset.augment"
        )
        raise DomainTrainingError(Reason.RESULT_TOO_LARGE, message)


def digests_that_fit(described: Mapping[str, Any]) -> int:
    """Digests of texts that a manifest has room for beside what is known of it; negative: it has none."""
    return (MANIFEST_LIMIT - KEPT_BACK - len(json.dumps(described))) // DIGEST_LENGTH


def task_prompt(program: Extraction, run: Run, number: int) -> TaskPrompt:
    """A program's prompt with what status and manifest say about it; `number` is the run it is from."""
    instruction, messages = program_prompt(program)
    demos = len(messages) // 2 - 1
    return TaskPrompt(files=task_files(program, run), run=number, instruction=instruction, demos=demos)


def requests_of(prompts: Mapping[Task, TaskPrompt]) -> dict[Task, str]:
    """For each task its `<task>.request.json`."""
    return {task: prompt.files.request for task, prompt in prompts.items()}


def whole_prompts(prompts: Mapping[Task, TaskPrompt], metrics: Metrics, described: dict[str, Any]) -> Prompts:
    """The prompts of a revision with their numbers and their manifest.

    Raises:
        DomainTrainingError: they don't fit into a ConfigMap (ResultTooLarge).
    """
    _check_manifest(described)
    files = [text for task, prompt in prompts.items() for text in prompt.files.files(task).values()]
    check_size("the revision", [*files, dump(described)], MAX_PROMPTS_BYTES - MANIFEST_BLANKS)
    return Prompts(
        entities=prompts.get("entities"),
        relations=prompts.get("relations"),
        metrics=metrics,
        manifest=described,
    )


def load_program(state: str) -> Extraction:
    """The DSPy program in a `<task>.dspy.json`; the README shows how an application uses it, see `loading`.

    Its calls have the messages of `<task>.messages.json`, filled. The file is DSPy's own state with the
    form of the prompt beside it, under `metadata`; nothing in it is executed.

    Raises:
        ValueError: no JSON, or not such a state (KeyError where a key is missing).
    """
    values = json.loads(state)
    form = values["metadata"][_FORM_KEY]
    program = Extraction(
        Form(
            task=form["task"],
            types=tuple(TypeDefinition.model_validate(kind) for kind in form["types"]),
            chain_of_thought=form["chainOfThought"],
            instruction=form["instruction"],
        )
    )
    program.load_state(values)
    return program


def manifest(run: Run, tasks: Mapping[Task, Mapping[str, Any]], data: Mapping[str, Any]) -> dict[str, Any]:
    """What a revision was made from.

    Args:
        run: the run.
        tasks: for each task the run its prompt is from and its validation F1.
        data: `dataset` (counts and digest), `heldOut`, `seen` (digests of texts) and `inputLengths`.
    """
    return {
        "versions": {
            "domaintraining": __version__,
            "dspy": version("dspy"),
            "optuna": version("optuna"),
            "python": platform.python_version(),
        },
        "domain": run.domain,
        "run": run.number,
        "hash": run.hash,
        "image": run.image,
        "model": {"name": run.model.name, "digest": run.model.digest},
        **_embedding(run),
        "auto": run.auto,
        "optimizer": run.optimizer.model_dump(mode="json", by_alias=True),
        "metric": run.metric.model_dump(mode="json", by_alias=True),
        "split": run.data.split.model_dump(mode="json", by_alias=True),
        "seed": run.optimizer.seed,
        "repeatable": run.options.temperature == 0,
        "scored": "messages",
        "tasks": dict(tasks),
        **data,
    }


def _embedding(run: Run) -> dict[str, Any]:
    model = run.embedding_model
    return {} if model is None else {"embeddingModel": {"name": model.name, "digest": model.digest}}


def input_lengths(texts: Sequence[str]) -> dict[str, int]:
    """Characters of the texts: median, 95th percentile (nearest rank) and longest; at least one text."""
    lengths = sorted(len(text) for text in texts)
    rank = -(-len(lengths) * 95 // 100)
    return {"median": statistics.median_low(lengths), "p95": lengths[rank - 1], "max": lengths[-1]}


def digests(texts: Iterable[str]) -> list[str]:
    """Digests of texts, each once, in an order that tells nothing."""
    return sorted({text_digest(text) for text in texts})


def _state(program: Extraction) -> dict[str, Any]:
    form: Form = program.adapter.form
    described = {
        "task": form.task,
        "types": [kind.model_dump(mode="json", by_alias=True, exclude_none=True) for kind in form.types],
        "chainOfThought": form.chain_of_thought,
        "instruction": form.instruction,
    }
    metadata = {"dependency_versions": get_dependency_versions(), _FORM_KEY: described}
    state: dict[str, Any] = program.dump_state()
    return {**state, "metadata": metadata}
