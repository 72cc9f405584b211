"""What a run trains and measures with: samples read, checked and divided. No model call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run, run_for, unknown_servers
from domaintraining.api.sample import Sample
from domaintraining.api.spec import TASKS, Task, Types
from domaintraining.api.status import DatasetStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.budget import SLACK
from domaintraining.trainer.calls.probe import PROBES
from domaintraining.trainer.data.augment import Augmented
from domaintraining.trainer.data.dataset import Samples, read_samples
from domaintraining.trainer.data.fetch import Fetched
from domaintraining.trainer.data.split import Parts, check_enough, closed_types, labelled, split_samples
from domaintraining.trainer.doctor.examine import Findings, examine, few_examples
from domaintraining.trainer.doctor.trials import Scores
from domaintraining.trainer.prompts.export import input_lengths
from domaintraining.trainer.prompts.prompt import GENERAL_INSTRUCTIONS, Form, baseline_prompt
from domaintraining.trainer.search.adaptive import choose_mode
from domaintraining.trainer.search.advice import advice
from domaintraining.trainer.search.optimize import Search
from domaintraining.trainer.search.program import demonstrable, examples

MAX_WARNINGS: Final = 10
GENERAL_TYPES: Final[dict[Task, str]] = {"entities": "CONCEPT", "relations": "RELATED_TO"}


@dataclass(frozen=True)
class Material:
    """The samples of a run and what follows from them before the first model call."""

    run: Run
    """The run, with the mode that runs in the place of adaptive."""
    samples: Samples
    parts: Parts
    forms: Mapping[Task, Form]
    """For each task of the run its closed types and the wording to start from."""
    auto_reason: str = ""
    """Rule by which adaptive became the mode that stands in `run`; empty: the run came with its mode."""
    version: str = ""
    """What the source of the samples calls its content; empty: it calls it nothing."""
    augmented: Augmented | None = None
    """Rewordings of the train samples, which are in no part; None: none are made, or not yet."""

    def status(self) -> DatasetStatus:
        """The samples as status shows them."""
        types = {task: len(form.types) for task, form in self.forms.items()}
        counts = {task: len(labelled(self.parts.validation, task)) for task in self.run.tasks}
        warnings = [*self.parts.warnings, *advice(self.run, counts), *self.samples.warnings]
        return DatasetStatus(
            samples=len(self.samples.samples),
            train=len(self.parts.train),
            validation=len(self.parts.validation),
            test=len(self.parts.test),
            digest=self.samples.digest,
            entity_types=types.get("entities", 0),
            relation_types=types.get("relations", 0),
            skipped=self.samples.skipped,
            warnings=[warning[:1024] for warning in warnings[:MAX_WARNINGS]],
        )

    def search(self, task: Task) -> Search:
        """What the search for a task starts from and learns from."""
        synthetic = [one.sample for one in self.augmented.rewordings] if self.augmented else []
        known = labelled([*self.parts.train, *synthetic], task)
        train = [sample for sample in known if demonstrable(sample)]
        validation = labelled(self.parts.validation, task)
        return Search(self.forms[task], examples(train, task), examples(validation, task))

    def scoring_calls(self) -> int:
        """Calls that score what the searches start from."""
        return sum(self.search(task).plan(self.run).validation for task in self.run.tasks)

    def starting_calls(self, run: Run) -> int:
        """Calls without which nothing can be said of a model: those, and what may go before them.

        Args:
            run: as the model's searches have it.
        """
        return self.scoring_calls() + SLACK + PROBES * unknown_servers(run)

    def calls_behind(self, place: int, closing: Callable[[str], int]) -> int:
        """Calls before each model behind one has one score: theirs, and those that end the turns until then.

        Args:
            place: number of the model whose turn it is, from 0.
            closing: calls that end a model's turn behind its searches, by its name.
        """
        run, rivals = self.run, self.run.compare_with
        starting = sum(self.starting_calls(run_for(run, rival)) for rival in rivals[place:])
        ended = [run.model, *(rival.model for rival in rivals)][place:-1]
        return starting + sum(closing(model.name) for model in ended)

    def findings(self, task: Task, scores: Scores) -> Findings:
        """What the scores of a task's search say about its samples and its model."""
        validation = labelled(self.parts.validation, task)
        known = (*labelled(self.parts.train, task), *validation)
        few = few_examples((kind.name for kind in self.forms[task].types), known, task)
        read, by = self.samples, "line" if self.samples.one_a_line else "sample"
        named = read.lines if by == "line" else read.numbers
        places = [named.get(sample.text, 0) for sample in validation]
        return replace(examine(scores, places, few, self.run.optimizer.seed), suspects_by=by)

    def held_out(self, task: Task) -> tuple[Sample, ...]:
        """The documents that a task is measured on."""
        return labelled(self.parts.test, task)

    def seen(self) -> list[str]:
        """Texts that may have informed the search or stand in a demo."""
        parts = (*self.parts.train, *self.parts.validation)
        synthetic = [one.sample.text for one in self.augmented.rewordings] if self.augmented else []
        texts = [sample.text for sample in parts if any(labelled([sample], task) for task in self.run.tasks)]
        return [*texts, *synthetic]

    def described(self) -> dict[str, Any]:
        """The samples as a manifest describes them."""
        counts = self.status()
        dataset = counts.model_dump(
            mode="json", by_alias=True, include={"samples", "train", "validation", "test", "digest"}
        )
        return {
            "dataset": dataset
            | {"file": self.samples.file}
            | ({"version": self.version} if self.version else {}),
            "inputLengths": input_lengths([sample.text for sample in self.samples.samples]),
            "untrained": {
                task: baseline_prompt(_other_form(self.run, self.parts, task))
                for task in TASKS
                if task not in self.run.tasks
            },
        }


def read_material(run: Run, folder: Path, fetched: Fetched | None = None) -> Material:
    """Read, check and divide the samples of a run.

    Args:
        run: the run; its data file lies in `folder`.
        folder: the mounted data.
        fetched: the file in their place, where they are on a server.

    Raises:
        DomainTrainingError: what keeps the run from training, without sample text: DatasetNotFound,
            DatasetInvalid or TooFewSamples.
    """
    source = run.data.source
    samples, version = _samples(run, folder, fetched)
    parts = split_samples(samples.samples, run.data.split)
    check_enough(samples.samples, parts, run.tasks)
    run, reason = _chosen(run, parts)
    forms = {task: _form(run, parts, task) for task in run.tasks}
    material = Material(run, samples, parts, forms, reason, version)
    for task in run.tasks:
        if not material.search(task).train:
            message = (
                f"{source}: {task}: every train sample has {{text}} or {{entities}} in its text or names"
            )
            raise DomainTrainingError(Reason.DATASET_INVALID, message)
    return material


def _samples(run: Run, folder: Path, fetched: Fetched | None) -> tuple[Samples, str]:
    """The samples, and what their source calls them."""
    if fetched is not None:
        return read_fetched(run, fetched)
    return read_samples(_inside(folder, run), run.data.source, run.data.format), ""


def read_fetched(run: Run, fetched: Fetched) -> tuple[Samples, str]:
    """The samples in a file that was fetched whole, and what its source calls them; as `read_samples`."""
    content = fetched.content
    assert content is not None, "content that is known is not read again"
    written = content.format or run.data.format
    named = {"name": content.name, "unit": content.unit}
    return read_samples(fetched.file, run.data.source, written, **named), content.version


def _other_form(run: Run, parts: Parts, task: Task) -> Form:
    """Of a task that is not trained: programs that want both prompts find its baseline beside the other one.

    Where neither spec nor samples name a type of it, the general one that stands for all.
    """
    try:
        return _form(run, parts, task)
    except DomainTrainingError:
        types = Types.model_validate({task: [{"name": GENERAL_TYPES[task]}]})
        return _form(run.model_copy(update={"types": types}), parts, task)


def _inside(folder: Path, run: Run) -> Path:
    """The file of samples: one that lies in the mounted folder, whatever links of a volume say."""
    path = folder / run.data.file
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # links in a circle: opening it says so
        return path
    if real.exists() and not (real.is_file() and real.is_relative_to(folder.resolve())):
        message = f"{run.data.source}: not a file in the mounted folder"
        raise DomainTrainingError(Reason.DATASET_NOT_FOUND, message)
    return path


def _chosen(run: Run, parts: Parts) -> tuple[Run, str]:
    """The run with a mode of MIPROv2's own where it says adaptive, and by which rule."""
    if run.auto != "adaptive":
        return run, ""
    choice = choose_mode(len(labelled(parts.validation, task)) for task in run.tasks)
    return run.model_copy(update={"auto": choice.mode}), choice.reason


def _form(run: Run, parts: Parts, task: Task) -> Form:
    given = run.instructions.entities if task == "entities" else run.instructions.relations
    return Form(
        task=task,
        types=closed_types(parts, run.types, task),
        chain_of_thought=run.optimizer.chain_of_thought,
        instruction=given if given and given.strip() else GENERAL_INSTRUCTIONS[task],
    )
