"""A status with every field, for tests."""

from domaintraining.api.comparison import ComparedModel, ComparedTask, Interval
from domaintraining.api.drift import DriftStatus, SideDrift, TaskDrift
from domaintraining.api.runs import HistoryEntry, PromptConfig, RunStatus, TaskPromptStatus
from domaintraining.api.status import (
    Condition,
    DatasetStatus,
    DomainTrainingStatus,
    Improvement,
    Metrics,
    ModelStatus,
    Progress,
    Scores,
    SemanticMetrics,
    Summary,
    TaskMetrics,
    TaskProgress,
)

NOW = "2026-11-23T10:00:00Z"


def full_metrics() -> TaskMetrics:
    """Numbers of one task, all of them measured."""
    return TaskMetrics(
        f1=0.831,
        precision=0.84,
        recall=0.822,
        confidence_interval=Interval(low=0.78, high=0.875),
        baseline=Scores(f1=0.712, precision=0.7, recall=0.724),
        improvement=Improvement(value=0.119, low=0.061, high=0.18, over="Baseline"),
        verdict="Improved",
        documents_needed=12,
        documents=40,
        validation_f1=0.9,
        semantic=SemanticMetrics(
            f1=0.871,
            precision=0.88,
            recall=0.862,
            confidence_interval=Interval(low=0.81, high=0.92),
            baseline=Scores(f1=0.762, precision=0.75, recall=0.774),
            improvement=Improvement(value=0.109, low=0.05, high=0.17, over="Baseline"),
        ),
    )


def full_drift() -> DriftStatus:
    """A loss that was measured and led to a run."""
    side = SideDrift(checked_time=NOW, before="1f0a9c3e77d2", now="88ab10c4d9e6", finding="Loss")
    task = TaskDrift(f1=0.61, published=0.831, low=0.78, high=0.875, documents=40)
    words = "entities: F1 0.610 is below 0.780, the low end of the published interval; run 4 was started"
    return DriftStatus(
        data=side, model=side, entities=task, relations=task, model_calls=40, run=4, message=words
    )


def full_status() -> DomainTrainingStatus:
    """A status in which no field is absent."""
    task = TaskProgress(trial=10, total_trials=10, best_validation_f1=0.9)
    prompt = TaskPromptStatus(instruction="Extract the entities.\nAll of them.", model="qwen3:32b", demos=5)
    scores = full_metrics()
    return DomainTrainingStatus(
        observed_generation=4,
        conditions=[
            Condition(
                type=kind,
                status="True",
                reason="Promoted",
                message="Revision 3 is served.",
                observed_generation=4,
                last_transition_time=NOW,
            )
            for kind in ("Available", "Ready", "Trained")
        ],
        auto="light",
        model=ModelStatus(
            name="qwen3:32b", digest="sha256:1", endpoint="http://ollama.ollama:11434", source="spec"
        ),
        models=[
            ComparedModel(
                name="qwen3:32b",
                endpoint="http://ollama.ollama:11434",
                digest="sha256:9",
                state="NotCompared",
                message="the budget was spent before one prompt was scored on all validation samples",
                entities=ComparedTask(
                    f1=0.5, confidence_interval=Interval(low=0.4, high=0.6), validation_f1=0.7
                ),
                relations=ComparedTask(validation_f1=0.7),
                model_calls=100,
                seconds=12.5,
                chosen=True,
            )
        ],
        dataset=DatasetStatus(
            samples=80,
            train=20,
            validation=40,
            test=20,
            digest="sha256:2",
            entity_types=4,
            relation_types=3,
            skipped=1,
            warnings=["lines 3 and 9 have the same text and other labels"],
        ),
        advice=["entities: nearly every candidate got lines 3 and 9 wrong: look at the labels there"],
        progress=Progress(
            percent=100,
            step="saving",
            message="done",
            entities=task,
            relations=task,
            model_calls=1234,
            planned_model_calls=1300,
            tokens=1_500_000,
            planned_tokens=3_000_000_000,
            estimated_seconds=5400.5,
            estimated_completion_time=NOW,
            last_updated_time=NOW,
        ),
        metrics=Metrics(entities=scores, relations=scores, end_to_end=scores),
        prompt_config=PromptConfig(
            config_map="columns-prompt", revision=3, digest="sha256:3", entities=prompt, relations=prompt
        ),
        run=RunStatus(
            number=3,
            hash="4e3c0f6dc2ce3a824bf8b7449801f719",
            job="columns-r3-a1",
            image="domaintraining:0.1.0",
            start_time=NOW,
            completion_time=NOW,
            attempts=1,
            journal="the model's answers are kept in claim columns-journal",
        ),
        history=[
            HistoryEntry(
                number=3,
                completion_time=NOW,
                entities="0.712→0.831",
                relations="0.500→0.625",
                reason="Promoted",
            )
        ],
        drift=full_drift(),
        last_handled_retrain_time=NOW,
        summary=Summary(
            entities="0.712→0.831",
            relations="0.500→0.625",
            progress="100%",
            domain="tech_docs",
            model="qwen3:32b",
        ),
    )
