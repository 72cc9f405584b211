"""The spec of a DomainTraining. A field stands here only when it works."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.acceptance import Acceptance
from domaintraining.api.base import ApiModel
from domaintraining.api.budget import Budget
from domaintraining.api.comparison import OTHER_MODELS, CompareWith
from domaintraining.api.dataset import Augment, Dataset, Split
from domaintraining.api.graph import GraphSpec
from domaintraining.api.job import Job
from domaintraining.api.model import Model, ModelName, ModelOptions, Think
from domaintraining.api.retrain import Retrain
from domaintraining.api.rules import (
    DOMAIN,
    NOT_BLANK,
    ONE_LINE,
    ONE_LINE_NO_BRACES,
    TYPE_NAME,
    checked,
    matching,
    rule,
    rules,
)
from domaintraining.api.sample import TypeName

__all__ = [
    "TASKS",
    "Augment",
    "Auto",
    "DomainTrainingSpec",
    "Instructions",
    "Metric",
    "Mode",
    "ModelOptions",
    "Optimizer",
    "Split",
    "Task",
    "Think",
    "TypeDefinition",
    "Types",
]

Task = Literal["entities", "relations"]
TASKS: Final[tuple[Task, ...]] = ("entities", "relations")
Mode = Literal["light", "medium", "heavy"]
"""MIPROv2's own modes."""
Auto = Literal["light", "medium", "heavy", "adaptive", "manual"]
EMBEDDING_MODEL: Final = "bge-m3"
"""Makes embeddings where metric.matching is semantic and no other model is named: many languages, short
texts, 1.2 GB (https://arxiv.org/abs/2402.03216)."""

Instruction = Annotated[
    str,
    StringConstraints(min_length=1, max_length=8192, pattern=NOT_BLANK),
    checked(
        matching(NOT_BLANK, "must not be blank; leave the field out for a general instruction"),
        rule(
            "!self.contains('{text}') && !self.contains('{entities}')",
            "must not hold {text} or {entities}: they are put behind the instruction; say only what to do",
        ),
    ),
]


class TypeDefinition(ApiModel):
    """A type that the model may use in its answers."""

    name: Annotated[
        TypeName,
        checked(
            matching(
                TYPE_NAME,
                "must be words with single spaces between, without braces, quotes, backslashes or line ends",
            )
        ),
    ]
    """The type as samples and answers write it."""
    description: (
        Annotated[
            str,
            StringConstraints(max_length=512, pattern=ONE_LINE_NO_BRACES),
            checked(matching(ONE_LINE_NO_BRACES, "must be one line without braces")),
        ]
        | None
    ) = None
    """What belongs to the type, in one line; stands in the prompt."""


TypeList = Annotated[
    list[TypeDefinition],
    Field(
        min_length=1,
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]


class Types(ApiModel):
    """The closed lists of types in prompt and answer schema."""

    entities: TypeList | None = None
    """Entity types (the types of the train and validation parts)."""
    relations: TypeList | None = None
    """Relation types (the types of the train and validation parts)."""


class Instructions(ApiModel):
    """The wording in use today: the baseline is measured with it and the search starts from it."""

    entities: Instruction | None = None
    """Instruction for entities (a plain general one)."""
    relations: Instruction | None = None
    """Instruction for relations (a plain general one)."""


class Optimizer(ApiModel):
    """Options of MIPROv2 (https://arxiv.org/abs/2406.11695)."""

    num_candidates: Annotated[int, Field(ge=2, le=100)] | None = None
    """Instructions, and sets of demos, to choose from; with auto: manual, and only there."""
    num_trials: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Combinations of instruction and demos to try; with auto: manual, and only there."""
    bootstrapped_demos: Annotated[int, Field(ge=0, le=16)] = 3
    """At most so many demos whose answer the model gave itself and got right."""
    labeled_demos: Annotated[int, Field(ge=0, le=16)] = 2
    """At most so many demos with the label from the data."""
    metric_threshold: Annotated[float, Field(ge=0, le=1)] = 1.0
    """F1 that the model's own answer must reach to become a demo."""
    minibatch_size: Annotated[int, Field(ge=1, le=1000)] = 10
    """Samples of one trial where MIPROv2 uses minibatches: above 50 validation samples, and always with
    auto: manual where there are more than these."""
    chain_of_thought: bool = True
    """Whether the answer begins with reasoning."""
    seed: Annotated[int, Field(ge=1, le=2_147_483_647)] = 9
    """Seed of the search."""
    similar_domains: Annotated[int, Field(ge=0, le=8)] = 3
    """Without a prompt of its own that was promoted, so many of the nearest domains of the namespace have
    their promoted prompts tried as further candidates; 0: none."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.bootstrappedDemos > 0 || self.labeledDemos == 0",
                "labeledDemos needs bootstrappedDemos of at least 1; set both to 0 for instructions only",
            )
        )
    }


class Metric(ApiModel):
    """How an answered name is compared with the labelled one. Types are always compared exactly."""

    matching: Literal["exact", "normalized", "semantic"] = "normalized"
    """normalized: NFKC, case-folded, white space as one space, punctuation at both ends removed. semantic:
    beside the normalized number, which stays what prompts are chosen and judged by, a further one in which
    names count as equal whose embeddings are near each other."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.75
    """With semantic: cosine of the embeddings from which on two names are the same."""
    embedding_model: ModelName | None = None
    """With semantic: model of the same server that makes the embeddings (bge-m3)."""

    @property
    def letters(self) -> Literal["exact", "normalized"]:
        """How names are compared where no embedding takes part: in the search, and for all decisions."""
        return "exact" if self.matching == "exact" else "normalized"


class DomainTrainingSpec(ApiModel):
    """What to train."""

    domain: (
        Annotated[
            str,
            StringConstraints(max_length=63, pattern=DOMAIN),
            checked(matching(DOMAIN, "must begin with a small letter; then small letters, digits and '_'")),
        ]
        | None
    ) = None
    """Name of the domain in the graph (metadata.name with `-` as `_`)."""
    description: (
        Annotated[
            str,
            StringConstraints(max_length=1024, pattern=ONE_LINE),
            checked(matching(ONE_LINE, "must be one line")),
        ]
        | None
    ) = None
    """What the domain is about, in one line."""
    tasks: Annotated[
        list[Task], Field(min_length=1, max_length=2, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ["entities", "relations"]
    """What to extract."""
    types: Types = Types()
    """Closed lists of types."""
    instructions: Instructions = Instructions()
    """Wording to start from."""
    dataset: Dataset
    """Where the labelled samples are."""
    model: Model = Model()
    """The model to train for."""
    compare_with: CompareWith = []
    """Further models, one after the other on the same split: the one with the best mean F1 on the
    validation part gets the run's prompts; the baseline stays that of model."""
    auto: Auto | None = None
    """How hard to try (the operator's DSPY_AUTO_MODE, else light). adaptive: by the number of validation
    samples; manual: optimizer.numCandidates and optimizer.numTrials."""
    optimizer: Optimizer = Optimizer()
    """Options of the search."""
    metric: Metric = Metric()
    """How answers are compared with labels."""
    acceptance: Acceptance = Acceptance()
    """When a run's prompts are served. A task that fails keeps the prompt it had. A change is applied to the
    last run of this spec, without a run."""
    budget: Budget = Budget()
    """What a run may cost; at its end the best so far is evaluated and kept."""
    suspend: bool = False
    """Stops the Job and keeps what was learned; false goes on. A served prompt stays served."""
    pin_revision: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Serve this revision, whatever runs end meanwhile; without the field, the newest that was accepted."""
    revision_history_limit: Annotated[int, Field(ge=1, le=1000)] = 5
    """Revisions that are kept, the newest; what is served or pinned stays, and what bears the label
    training.aegisrag.io/keep=true."""
    retrain: Retrain = Retrain()
    """What changed data, or a changed model on its server, lead to."""
    job: Job = Job()
    """The Job that trains."""
    graph: GraphSpec = GraphSpec()
    """The domain in Neo4j. Nothing here starts a run or holds one up."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.auto) || self.auto != 'manual' || (has(self.optimizer)"
                " && has(self.optimizer.numCandidates) && has(self.optimizer.numTrials))",
                "auto: manual needs optimizer.numCandidates and optimizer.numTrials",
            ),
            rule(
                "(has(self.auto) && self.auto == 'manual') || !has(self.optimizer)"
                " || (!has(self.optimizer.numCandidates) && !has(self.optimizer.numTrials))",
                "optimizer.numCandidates and optimizer.numTrials are for auto: manual; "
                "every other mode has its own numbers",
            ),
            rule(
                "!has(self.acceptance) || !has(self.acceptance.matching)"
                " || (has(self.metric) && has(self.metric.matching) && self.metric.matching == 'semantic')",
                "acceptance.matching: semantic needs metric.matching: semantic, which makes the numbers",
            ),
            OTHER_MODELS,
        )
    }
