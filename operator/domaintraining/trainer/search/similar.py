"""Promoted prompts of similar domains as further candidates: which are near, and what may be used. Pure.

How far two domains are is told for each task: 1 less the mean of two numbers, the types that both have as a
part of all types of both (Jaccard 1912), and the cosine of the mean embeddings of their texts. Where no two
vectors are comparable, the types decide alone; a domain without one is taken for as far as the farthest.
"""

import base64
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import dspy
import numpy as np
from numpy.typing import NDArray

from domaintraining.api.run import Run
from domaintraining.api.similar import DataVector, Offer, ShownDemo, TaskOffer
from domaintraining.api.spec import TASKS, Task
from domaintraining.trainer.calls.embedding import Vectors
from domaintraining.trainer.data.dataset import CUSTOM_TYPE_MARKERS
from domaintraining.trainer.prompts.prompt import Form, holds_placeholder, instruction_text
from domaintraining.trainer.search.optimize import Search
from domaintraining.trainer.search.program import Extraction

SEEN_AT_MOST: Final = 0.1
"""Part of the held-out texts that a domain's training may have seen; these are left out of the comparison."""
LARGEST: Final = 127

Types = Mapping[Task, frozenset[str]]


@dataclass(frozen=True)
class Near:
    """A domain, and how far it is."""

    offer: Offer
    distance: dict[Task, float] = field(default_factory=dict)
    """For each task that both have, with at least one type in common; 0 to 1.5."""
    cosine: float | None = None


def packed(vectors: Vectors, model: str, digest: str) -> DataVector | None:
    """The mean of embeddings as it is published; None where it has no direction."""
    mean = np.asarray(vectors, dtype=np.float64).mean(axis=0)
    largest = float(np.abs(mean).max())
    if not largest > 0:
        return None
    values = np.rint(mean / largest * LARGEST).astype(np.int8)
    return DataVector(model=model, digest=digest, values=base64.b64encode(values.tobytes()).decode())


def cosine(one: DataVector | None, other: DataVector | None) -> float | None:
    """Cosine of two vectors, -1 to 1, to three decimals; None: they are not of the same model."""
    if one is None or other is None or one.digest != other.digest:
        return None
    left, right = _unpacked(one), _unpacked(other)
    length = float(np.linalg.norm(left) * np.linalg.norm(right))
    if left.shape != right.shape or not length:
        return None
    return round(min(1.0, max(-1.0, float(left @ right) / length)), 3)


def _unpacked(vector: DataVector) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(vector.values), dtype=np.int8).astype(np.float64)


def ranked(offers: Sequence[Offer], types: Types, vector: DataVector | None) -> list[Near]:
    """Domains by their smallest distance, then by name; those with no type in common are left out.

    Args:
        offers: what the domains offer.
        types: for each task of the run its closed list.
        vector: of the run's own texts.
    """
    cosines = {offer.name: cosine(vector, offer.vector) for offer in offers}
    known = [value for value in cosines.values() if value is not None]
    near = []
    for offer in offers:
        own = cosines[offer.name]
        alike = own if own is not None else min(known, default=None)
        distance = {
            task: round(1 - (shared if alike is None else (shared + alike) / 2), 3)
            for task in TASKS
            if (shared := _shared(types.get(task, frozenset()), offer.task(task)))
        }
        if distance:
            near.append(Near(offer, distance, own))
    return sorted(near, key=lambda one: (min(one.distance.values()), one.offer.name))


def _shared(types: frozenset[str], offered: TaskOffer | None) -> float:
    """Types of both as a part of all types of both, 0 to 1."""
    other = frozenset(offered.types) if offered else frozenset()
    return len(types & other) / len(types | other) if types and other else 0.0


def alike_text(text: str) -> str:
    """A text as it is compared: letters of one form and case, blanks as one."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def candidate(
    offered: TaskOffer, form: Form, types: Types, kept_apart: frozenset[str], most: int
) -> Extraction | None:
    """A domain's prompt as a program of this run; None: nothing of it may be used, or it is the baseline.

    Args:
        offered: the prompt.
        form: of this run's prompts.
        types: the closed lists of this run, of both tasks as far as they are known.
        kept_apart: texts that are never demos, see `alike_text`: those of validation and held-out part.
        most: demos at most.
    """
    if _is_unfit(offered.instruction):
        return None
    demos = [demo for demo in offered.demos if _may_be_shown(demo, form, types, kept_apart)][:most]
    instruction = instruction_text(offered.instruction)
    if not instruction or (not demos and instruction == instruction_text(form.instruction)):
        return None
    program = Extraction(form)
    (predictor,) = program.predictors()
    predictor.demos = [_example(demo, form) for demo in demos]
    predictor.signature = predictor.signature.with_instructions(instruction)
    return program


def _is_unfit(text: str) -> bool:
    """Whether a text holds what no sample may hold."""
    marked = any(marker in text for marker in CUSTOM_TYPE_MARKERS)
    return marked or holds_placeholder(text) or text != text.encode(errors="replace").decode()


def _may_be_shown(demo: ShownDemo, form: Form, types: Types, kept_apart: frozenset[str]) -> bool:
    entities = [one.name for one in demo.entities]
    ends = [end for one in demo.relations for end in (one.source, one.target)]
    if any(_is_unfit(text) for text in (demo.text, *entities, *ends, demo.reasoning or "")):
        return False
    allowed = {one.type for one in demo.entities} <= types.get("entities", frozenset())
    if form.task == "relations":
        allowed = allowed or "entities" not in types
        allowed = allowed and {one.type for one in demo.relations} <= types.get("relations", frozenset())
    return allowed and demo.text.strip() != "" and alike_text(demo.text) not in kept_apart


def _example(demo: ShownDemo, form: Form) -> dspy.Example:
    values: dict[str, Any] = {
        "text": demo.text,
        "entities": [{"name": one.name, "type": one.type} for one in demo.entities],
    }
    if form.task == "relations":
        values["relations"] = [
            {"source": one.source, "type": one.type, "target": one.target} for one in demo.relations
        ]
    if form.chain_of_thought and demo.reasoning is not None:
        values |= {"augmented": True, "reasoning": demo.reasoning}
    return dspy.Example(**values)


def evaluated(search: Search, run: Run) -> list[dspy.Example]:
    """The validation samples that MIPROv2 scores programs on: in the modes with sizes, a drawn part."""
    plan, known = search.plan(run), list(search.validation)
    if run.auto == "manual":
        return known
    drawn = Random(run.optimizer.seed).sample(range(len(known)), plan.validation)  # noqa: S311 - MIPROv2's own
    return [known[at] for at in drawn]
