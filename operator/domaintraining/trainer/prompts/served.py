"""The prompts served now, which a run's own are compared with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from domaintraining.api.model import full_name
from domaintraining.api.reasons import Reason
from domaintraining.api.report import MANIFEST_KEY, PLACEHOLDER
from domaintraining.api.run import Run
from domaintraining.api.spec import Task
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.wire import request_body
from domaintraining.trainer.prompts.export import dump, text_digest

MAX_FILE: Final = 1_048_576
"""Most bytes of a file: a ConfigMap holds no more."""


@dataclass(frozen=True)
class Served:
    """The prompts of the served revision; empty where there is none."""

    requests: Mapping[Task, str] = field(default_factory=dict)
    """For each task a whole /api/chat body with placeholders."""
    models: Mapping[Task, str] = field(default_factory=dict)
    """For each task the model that it is asked of."""
    named: frozenset[Task] = frozenset()
    """Tasks whose prompt is asked of the model that it names, and of no other in its place."""
    seen: frozenset[str] = frozenset()
    """Digests of the texts that its training had seen."""

    def of(self, model: str) -> dict[Task, str]:
        """Those of the requests that a model is asked."""
        return {task: text for task, text in self.requests.items() if self.models[task] == model}

    def has_seen(self, text: str) -> bool:
        """Whether a text took part in the training of the served prompts."""
        return text_digest(text) in self.seen


def read_served(folder: Path | None, run: Run) -> Served:
    """The served prompts as they would do now: their messages and schemas, with this run's model and options.

    A prompt that names one of the models that this run compares is asked of that one, as it is served. Any
    other model is not for a prompt to choose: after a change of spec.model the question is which prompt is
    better on the new one, and the old one may be gone from the server.

    Args:
        folder: mounted revision with `<task>.request.json` and `manifest.json`; where prompts of other runs
            are served with it, their manifests are `manifest-r<N>.json`.
        run: the run; without `served` nothing is read.

    Raises:
        DomainTrainingError: a file is missing or not valid (TrainerFailed).
    """
    if run.served is None or folder is None:
        return Served()
    bodies = {
        task: _object(folder / f"{task}.request.json")
        for task in run.tasks
        if (folder / f"{task}.request.json").is_file()
    }
    named = {task: name for task, body in bodies.items() if (name := _named(body, run)) is not None}
    models = {task: named.get(task, run.model.name) for task in bodies}
    requests = {
        task: _request(folder / f"{task}.request.json", body, task, run, models[task])
        for task, body in bodies.items()
    }
    others = sorted(folder.glob("manifest-r*.json"))
    seen = frozenset().union(*(_seen(path) for path in (folder / MANIFEST_KEY, *others)))
    return Served(requests, models, frozenset(named), seen)


def _seen(manifest: Path) -> frozenset[str]:
    """Digests of the texts that one run had seen, of those whose prompts are served."""
    seen = _object(manifest).get("seen", [])
    if not isinstance(seen, list):
        raise _invalid(manifest, "seen is no list")
    return frozenset(str(digest) for digest in seen)


def _named(body: Mapping[str, Any], run: Run) -> str | None:
    """The model that a prompt names, as the run spells it; None: it is none of the run's."""
    named = full_name(str(body.get("model", "")))
    names = [run.model.name, *(one.model.name for one in run.compare_with)]
    return next((name for name in names if full_name(name) == named), None)


def _request(path: Path, body: Mapping[str, Any], task: Task, run: Run, model: str) -> str:
    messages, schema = body.get("messages"), body.get("format")
    if not isinstance(messages, list) or not isinstance(schema, dict) or not _is_talk(messages):
        raise _invalid(path, "messages or format is not that of a prompt")
    try:
        schema["properties"][task]["items"]["properties"]["type"]["enum"][0]
    except (KeyError, IndexError, TypeError) as error:
        raise _invalid(path, f"format has no types for {task}") from error
    return dump(request_body(model, messages, schema, run.options, seed=run.optimizer.seed))


def _is_talk(messages: list[Any]) -> bool:
    if not messages or any(not isinstance(one, dict) or set(one) != {"role", "content"} for one in messages):
        return False
    if any(not isinstance(value, str) for one in messages for value in one.values()):
        return False
    return PLACEHOLDER.search(messages[-1]["content"]) is not None


def _object(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(MAX_FILE + 1))
    except (OSError, ValueError, RecursionError) as error:
        raise _invalid(path, type(error).__name__) from error
    if not isinstance(values, dict):
        raise _invalid(path, "no JSON object")
    return values


def _invalid(path: Path, what: str) -> DomainTrainingError:
    return DomainTrainingError(
        Reason.TRAINER_FAILED, f"the served revision's {path.name} is not valid: {what}"
    )
