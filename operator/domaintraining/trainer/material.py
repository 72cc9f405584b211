"""What a run trains and measures with: samples read, checked and divided. No model call."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run
from domaintraining.api.sample import Sample
from domaintraining.api.spec import Task
from domaintraining.api.status import DatasetStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.dataset import Samples, read_samples
from domaintraining.trainer.export import input_lengths
from domaintraining.trainer.optimize import Search
from domaintraining.trainer.program import demonstrable, examples
from domaintraining.trainer.prompt import GENERAL_INSTRUCTIONS, Form
from domaintraining.trainer.split import Parts, check_enough, closed_types, labelled, split_samples

MAX_WARNINGS: Final = 10


@dataclass(frozen=True)
class Material:
    """The samples of a run and what follows from them before the first model call."""

    run: Run
    samples: Samples
    parts: Parts
    forms: Mapping[Task, Form]
    """For each task of the run its closed types and the wording to start from."""

    def status(self) -> DatasetStatus:
        """The samples as status shows them."""
        types = {task: len(form.types) for task, form in self.forms.items()}
        warnings = [*self.parts.warnings, *self.samples.warnings]
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
        train = [sample for sample in labelled(self.parts.train, task) if demonstrable(sample)]
        validation = labelled(self.parts.validation, task)
        return Search(self.forms[task], examples(train, task), examples(validation, task))

    def held_out(self, task: Task) -> tuple[Sample, ...]:
        """The documents that a task is measured on."""
        return labelled(self.parts.test, task)

    def seen(self) -> list[str]:
        """Texts that may have informed the search or stand in a demo."""
        parts = (*self.parts.train, *self.parts.validation)
        return [sample.text for sample in parts if any(labelled([sample], task) for task in self.run.tasks)]

    def described(self) -> dict[str, Any]:
        """The samples as a manifest describes them."""
        counts = self.status()
        return {
            "dataset": counts.model_dump(
                mode="json", by_alias=True, include={"samples", "train", "validation", "test", "digest"}
            ),
            "inputLengths": input_lengths([sample.text for sample in self.samples.samples]),
        }


def read_material(run: Run, folder: Path) -> Material:
    """Read, check and divide the samples of a run.

    Args:
        run: the run; its data file lies in `folder`.
        folder: the mounted data.

    Raises:
        DomainTrainingError: what keeps the run from training, without sample text: DatasetNotFound,
            DatasetInvalid or TooFewSamples.
    """
    source = run.data.source
    samples = read_samples(folder / Path(run.data.file).name, source, run.data.format)
    parts = split_samples(samples.samples, run.data.split)
    check_enough(samples.samples, parts, run.tasks)
    material = Material(run, samples, parts, {task: _form(run, parts, task) for task in run.tasks})
    for task in run.tasks:
        if not material.search(task).train:
            message = (
                f"{source}: {task}: every train sample has {{text}} or {{entities}} in its text or names"
            )
            raise DomainTrainingError(Reason.DATASET_INVALID, message)
    return material


def _form(run: Run, parts: Parts, task: Task) -> Form:
    given = run.instructions.entities if task == "entities" else run.instructions.relations
    return Form(
        task=task,
        types=closed_types(parts, run.types, task),
        chain_of_thought=run.optimizer.chain_of_thought,
        instruction=given if given and given.strip() else GENERAL_INSTRUCTIONS[task],
    )
