"""The spec of a DomainTraining. A field stands here only when it works."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.job import Job
from domaintraining.api.rules import (
    CONFIG_KEY,
    DOMAIN,
    ENDPOINT,
    KEEP_ALIVE,
    MODEL_NAME,
    NOT_BLANK,
    ONE_LINE,
    ONE_LINE_NO_BRACES,
    TYPE_NAME,
    ObjectName,
    checked,
    matching,
    rule,
    rules,
)
from domaintraining.api.sample import Sample, TypeName

Task = Literal["entities", "relations"]
TASKS: Final[tuple[Task, ...]] = ("entities", "relations")
Auto = Literal["light", "medium", "heavy"]
Think = Literal["Disabled", "Enabled", "Low", "Medium", "High"]

ConfigKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=CONFIG_KEY),
    checked(matching(CONFIG_KEY, "must be a key of a ConfigMap: letters, digits, '-', '_' and '.', no path")),
]
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
ModelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=MODEL_NAME),
    checked(matching(MODEL_NAME, "must be a model as `ollama pull` takes it, such as qwen3:32b")),
]
Endpoint = Annotated[
    str,
    StringConstraints(max_length=253, pattern=ENDPOINT),
    checked(
        matching(
            ENDPOINT,
            "must be http:// or https:// with a host, such as http://ollama.ollama:11434, "
            "without user, password or query",
        )
    ),
]
KeepAlive = Annotated[
    str,
    StringConstraints(max_length=32, pattern=KEEP_ALIVE),
    checked(
        matching(KEEP_ALIVE, 'must be a duration such as 30m or 1h30m, 0, or -1 for ever (as text: "-1")')
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


class ConfigMapSource(ApiModel):
    """Samples in a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: ConfigKey
    """Key whose value is the file of samples."""


class Split(ApiModel):
    """How samples are divided; what test and validation leave is for training."""

    test_percent: Annotated[int, Field(ge=0, le=80)] = 25
    """Held-out part, which takes part in no choice; at most 500 documents, none below 10."""
    validation_percent: Annotated[int, Field(ge=5, le=80)] = 50
    """Part by which candidates are chosen."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 9
    """Seed of the order in which samples are dealt."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.testPercent + self.validationPercent <= 95",
                "testPercent + validationPercent must leave at least 5 percent for training",
            )
        )
    }


class Dataset(ApiModel):
    """Where the labelled samples are; exactly one source."""

    inline: Annotated[list[Sample], Field(min_length=1, max_length=1000)] | None = None
    """The samples themselves."""
    config_map: ConfigMapSource | None = None
    """Samples in a ConfigMap."""
    format: Literal["auto", "jsonl", "json"] = "auto"
    """Format of the file; auto goes by name and content."""
    split: Split = Split()
    """Sizes of the held-out and the validation part."""

    model_config = {
        "json_schema_extra": rules(
            rule("has(self.inline) != has(self.configMap)", "exactly one of inline, configMap is required")
        )
    }


class ModelOptions(ApiModel):
    """Options of task calls; proposals of instructions always use temperature 1.0."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature; above 0 two measurements of one prompt differ."""
    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 2048
    """Longest answer in tokens."""
    num_ctx: Annotated[int, Field(ge=512, le=1_048_576)] | None = None
    """Context window in tokens (the server's own choice; another value makes it load the model again)."""
    think: Think = "Disabled"
    """Whether a thinking model thinks before it answers."""
    keep_alive: KeepAlive | None = None
    """How long the server keeps the model loaded: a Go duration, or -1 for ever (the server's own)."""


class Model(ApiModel):
    """The Ollama model that the prompt is trained for."""

    name: ModelName | None = None
    """Model as `ollama pull` takes it (the operator's OLLAMA_MODEL_GENERATION)."""
    endpoint: Endpoint | None = None
    """URL of the Ollama server (the operator's OLLAMA_BASE_URL); others as the operator's list allows."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """Whether the controller pulls the model."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """Calls in flight at once (and at most: the operator's number for the server)."""
    options: ModelOptions = ModelOptions()
    """Options of task calls."""


class Optimizer(ApiModel):
    """Options of MIPROv2 (https://arxiv.org/abs/2406.11695)."""

    bootstrapped_demos: Annotated[int, Field(ge=0, le=16)] = 3
    """At most so many demos whose answer the model gave itself and got right."""
    labeled_demos: Annotated[int, Field(ge=0, le=16)] = 2
    """At most so many demos with the label from the data."""
    metric_threshold: Annotated[float, Field(ge=0, le=1)] = 1.0
    """F1 that the model's own answer must reach to become a demo."""
    minibatch_size: Annotated[int, Field(ge=1, le=1000)] = 10
    """Samples of one trial where MIPROv2 uses minibatches (above 50 validation samples)."""
    chain_of_thought: bool = True
    """Whether the answer begins with reasoning."""
    seed: Annotated[int, Field(ge=1, le=2_147_483_647)] = 9
    """Seed of the search."""

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

    matching: Literal["exact", "normalized"] = "normalized"
    """normalized: NFKC, case-folded, white space as one space, punctuation at both ends removed."""


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
    auto: Auto | None = None
    """How hard to try (the operator's DSPY_AUTO_MODE, else light)."""
    optimizer: Optimizer = Optimizer()
    """Options of the search."""
    metric: Metric = Metric()
    """How answers are compared with labels."""
    job: Job = Job()
    """The Job that trains."""
