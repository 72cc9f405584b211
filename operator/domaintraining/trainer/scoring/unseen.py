"""The held-out documents that are fair to what is served: those it was not trained with."""

from domaintraining.api.spec import TASKS
from domaintraining.api.status import DatasetStatus
from domaintraining.trainer.data.material import MAX_WARNINGS, Material
from domaintraining.trainer.prompts.served import Served
from domaintraining.trainer.scoring.comparison import Documents


def unseen_documents(material: Material, served: Served) -> Documents:
    """For each task the held-out documents whose texts the served prompts had not seen."""
    return Documents(
        {task: [one for one in material.held_out(task) if not served.has_seen(one.text)] for task in TASKS}
    )


def left_out(material: Material, documents: Documents) -> int:
    """Held-out labels of the run's tasks that are not among the documents."""
    return sum(len(material.held_out(task)) - len(documents.of[task]) for task in material.run.tasks)


def told_dataset(material: Material, documents: Documents, *further: str) -> DatasetStatus:
    """The samples as status shows them, with a warning where documents are left out, and further ones."""
    status, lost = material.status(), left_out(material, documents)
    held_out = sum(len(material.held_out(task)) for task in material.run.tasks)
    warning = (
        f"{lost} of {held_out} held-out labels are left out of the comparison: "
        f"revision {material.run.served}, which is served now, was trained with their texts"
    )
    warnings = [*further, *([warning] if lost else []), *status.warnings]
    return status.model_copy(update={"warnings": warnings[:MAX_WARNINGS]})
