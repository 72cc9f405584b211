"""The status of a DomainTraining: written by the controller alone, as one server-side apply."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import WireModel
from domaintraining.api.comparison import Comparison, Interval
from domaintraining.api.drift import DriftStatus
from domaintraining.api.runs import HistoryEntry, PromptConfig, RunStatus
from domaintraining.api.scalars import Count, Difference, Message, Ratio, Seconds, Short, Time, Tokens

Verdict = Literal["Improved", "Unclear", "Worse", "NotMeasured"]
ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(WireModel):
    """One condition.

    See https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
    """

    type: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Available, Ready, Reconciling, Stalled, DatasetValid, ModelReady, Trained, Promoted or GraphSynced."""
    status: ConditionStatus
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """Constant for programs; the table of reasons has the remedy of each."""
    message: Message = ""
    """Sentence for people: what happened, where, and what to do."""
    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """Generation that the condition is about."""
    last_transition_time: Time
    """When the status last changed."""


class ModelStatus(WireModel):
    """The model that the current run uses."""

    name: Short
    """Model."""
    digest: Short = ""
    """Digest that the server gives for it."""
    endpoint: Short
    """URL of the server."""
    source: Literal["spec", "graph", "default"]
    """Where the name comes from."""


class DatasetStatus(WireModel):
    """The samples that the current run uses."""

    samples: Count = 0
    """Samples after those with equal texts were skipped."""
    train: Count = 0
    """Samples that demos are taken from."""
    validation: Count = 0
    """Samples that candidates are chosen by."""
    test: Count = 0
    """Held-out samples; 0 where there would be fewer than 10."""
    digest: Short = ""
    """SHA-256 of the samples as they were read."""
    entity_types: Count = 0
    """Entity types in the closed list."""
    relation_types: Count = 0
    """Relation types in the closed list."""
    skipped: Count = 0
    """Samples skipped because an earlier one has the same text."""
    warnings: Annotated[list[Message], Field(max_length=10)] = []
    """What a person should look at; without sample text."""


class TaskProgress(WireModel):
    """How far the search for one task is."""

    trial: Count = 0
    """Trials that ended."""
    total_trials: Count = 0
    """Trials that the mode plans."""
    best_validation_f1: Ratio | None = None
    """Best mean F1 on the validation part so far."""


class Progress(WireModel):
    """How far the run is, from counts."""

    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Part done; never falls within a run."""
    step: Short = "initializing"
    """initializing, loading_data, entity_optimization, relation_optimization, prompt_extraction,
    validation or saving."""
    message: Message = ""
    """What is being done."""
    entities: TaskProgress | None = None
    """Search for the entity prompt."""
    relations: TaskProgress | None = None
    """Search for the relation prompt."""
    model_calls: Count = 0
    """Calls that the model server answered."""
    planned_model_calls: Count = 0
    """Calls that the run is expected to need, corrected as it goes."""
    tokens: Tokens | None = None
    """Tokens of prompts and answers, as the model server counted them."""
    planned_tokens: Tokens | None = None
    """Tokens that the run is expected to need, from what was counted so far, corrected as it goes."""
    estimated_seconds: Seconds | None = None
    """Running time that the run is expected to need in all, from the speed so far, corrected as it goes."""
    estimated_completion_time: Time | None = None
    """When the run is expected to end, from the calls so far."""
    last_updated_time: Time | None = None
    """When these counts were taken."""


class Improvement(WireModel):
    """Paired difference of F1: the same documents for both prompts."""

    value: Difference
    """F1 of the new prompt less that of the other."""
    low: Difference
    """2.5th percentile."""
    high: Difference
    """97.5th percentile."""
    over: Literal["Baseline", "Served"]
    """What it is compared with."""


class Scores(WireModel):
    """Micro-averages over the held-out documents."""

    f1: Ratio
    """Harmonic mean of precision and recall."""
    precision: Ratio
    """Part of the answers that is right."""
    recall: Ratio
    """Part of the labels that is found."""


class SemanticMetrics(WireModel):
    """The same with names compared by their embeddings; decides nothing."""

    f1: Ratio
    """Micro F1."""
    precision: Ratio
    """Part of the answers that is right."""
    recall: Ratio
    """Part of the labels that is found."""
    confidence_interval: Interval
    """Interval of f1."""
    baseline: Scores
    """The prompt without training, on the same documents."""
    improvement: Improvement
    """What the training gained."""


class TaskMetrics(WireModel):
    """What the held-out documents say about one prompt; absent numbers were not measured."""

    f1: Ratio | None = None
    """Micro F1."""
    precision: Ratio | None = None
    """Part of the answers that is right."""
    recall: Ratio | None = None
    """Part of the labels that is found."""
    confidence_interval: Interval | None = None
    """Interval of f1."""
    baseline: Scores | None = None
    """The prompt without training, on the same documents."""
    improvement: Improvement | None = None
    """What the training gained."""
    verdict: Verdict = "NotMeasured"
    """Improved: the interval of the improvement is above 0; Worse: below; below 20 documents never more
    than Unclear."""
    documents_needed: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Documents at which the improvement would be clear, were it as large as measured."""
    documents: Count = 0
    """Held-out documents that were compared."""
    validation_f1: Ratio | None = None
    """Mean F1 by document on the part the prompt was chosen by; flatters."""
    semantic: SemanticMetrics | None = None
    """The same documents with metric.matching semantic; the numbers beside it are the normalized ones."""


class Metrics(WireModel):
    """Quality of the served revision."""

    entities: TaskMetrics | None = None
    """Entities."""
    relations: TaskMetrics | None = None
    """Relations, given the labelled entities."""
    end_to_end: TaskMetrics | None = None
    """Relations, given the predicted entities."""


class Summary(WireModel):
    """Strings for the columns of kubectl."""

    entities: Short = ""
    """F1 of entities, baseline first."""
    relations: Short = ""
    """F1 of relations, baseline first."""
    progress: Short = ""
    """Percentage of the run."""
    domain: Short = ""
    """Domain trained for."""
    model: Short = ""
    """Model that the served prompts are for; before there are any, the model of the current run."""


Advice = Annotated[list[Message], Field(max_length=5)]


class DomainTrainingStatus(WireModel):
    """What is known about a DomainTraining."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """Generation that this status is about; -1 before the controller saw the resource."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """Conditions by type."""
    auto: Annotated[str, StringConstraints(max_length=16)] | None = None
    """Mode that runs."""
    model: ModelStatus | None = None
    """Model of the current run."""
    prompt_model: ModelStatus | None = None
    """Model that proposes its instructions, where that is another one."""
    embedding_model: ModelStatus | None = None
    """Model that makes embeddings of names, where metric.matching is semantic."""
    models: Comparison = []
    """The models that the current run compares, spec.model first, where spec.compareWith names others."""
    dataset: DatasetStatus | None = None
    """Samples of the current run."""
    advice: Advice = []
    """What the answers of the current run say about its data and its model: lines whose labels look wrong,
    types with few examples, whether more samples or a larger model would help. Without sample text."""
    progress: Progress | None = None
    """How far the current run is."""
    metrics: Metrics | None = None
    """Quality of the served revision; before there is one, the baseline of the running one."""
    prompt_config: PromptConfig | None = None
    """The served prompt."""
    run: RunStatus | None = None
    """The current or last run."""
    history: Annotated[list[HistoryEntry], Field(max_length=5)] = []
    """The last five runs, newest first."""
    drift: DriftStatus | None = None
    """What was found when data and model of the served prompt were looked at again."""
    last_handled_retrain_time: Time | None = None
    """Value of the retrain annotation that was acted on last."""
    summary: Summary | None = None
    """Strings for the columns."""


def wire(model: WireModel) -> dict[str, Any]:
    """A model as JSON values for the API server, without absent fields."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
