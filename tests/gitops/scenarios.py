"""What happens to DomainTrainings, and which moments of it are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.gitops.watched import GROUP, Watched, condition

Json = dict[str, Any]
Scenario = Callable[[Watched], Iterator[tuple[str, Json]]]
"""Does something to one DomainTraining and gives the moments: a name, and the object as it was shown."""

SILENT_SERVER: Final = "http://127.0.0.1:9"
"""A model server that the operator's lists allow and that does not answer."""
RETRAIN: Final = {"retrain_requested_at": "2026-11-23T12:00:00Z"}
WEAK: Final = {"bootstrappedDemos": 0, "labeledDemos": 0, "numCandidates": 2, "numTrials": 1}


def is_(kind: str, reason: str, status: str = "") -> Callable[[Json], bool]:
    """Whether a condition has a reason, of a generation that is the object's own."""

    def holds(body: Json) -> bool:
        found = condition(body, kind)
        return found[1] == reason and found[0].startswith(status) and observed(body)

    return holds


def observed(body: Json) -> bool:
    """Whether the status is about the spec as it is now."""
    return bool(body["metadata"]["generation"] == body.get("status", {}).get("observedGeneration"))


def promoted(body: Json) -> bool:
    """Whether the prompt of this spec is served and nothing goes on."""
    return is_("Ready", "Promoted")(body) and condition(body, "Reconciling") == ("", "")


def whole_life(one: Watched) -> Iterator[tuple[str, Json]]:
    """From creation to a served prompt, a later run, an edit, and deletion."""
    one.apply()
    yield "progressing_created", one.first("created", lambda body: not body["status"].get("conditions"))
    training = one.first("Training", _searching)
    if queued := one.shown(is_("Ready", "Queued")):  # a pod may run before the status of its Job is written
        yield "progressing_queued", queued
    yield "progressing_training", training
    yield "healthy_promoted", one.first("Promoted", promoted)
    one.forget()
    one.annotate(**RETRAIN)
    yield "progressing_later_run", one.first("the later run", _later_run)
    one.first("its end", promoted)
    one.forget()
    one.apply(tasks=["relations"])
    yield "progressing_edited", one.first("the edit", lambda body: not observed(body))
    one.first("Training", is_("Ready", "Training"))
    path = f"{GROUP}/namespaces/{one.space}/domaintrainings/docs"
    one.cluster.api.patch(path, {"metadata": {"finalizers": ["example.com/hold"]}})
    one.cluster.api.delete(path)
    yield (
        "progressing_deleted",
        one.first("deletion", lambda body: "deletionTimestamp" in body["metadata"]),
    )
    one.cluster.api.patch(path, {"metadata": {"finalizers": None}})


def _searching(body: Json) -> bool:
    entities = body["status"].get("progress", {}).get("entities", {})
    return is_("Ready", "Training")(body) and bool(entities.get("trial"))


def _later_run(body: Json) -> bool:
    return is_("Ready", "Promoted")(body) and condition(body, "Reconciling") == ("True", "Training")


def worse(one: Watched) -> Iterator[tuple[str, Json]]:
    """A new spec whose prompt is worse than the served one."""
    one.apply()
    one.first("Promoted", promoted)
    one.forget()
    one.apply(auto="manual", optimizer=WEAK)
    yield "degraded_rejected", one.first("Rejected", is_("Stalled", "Rejected"))


def broken_later(one: Watched) -> Iterator[tuple[str, Json]]:
    """A prompt is served, and the data are broken when a later run is asked for."""
    one.apply()
    one.first("Promoted", promoted)
    one.forget()
    samples = f"/api/v1/namespaces/{one.space}/configmaps/samples"
    one.cluster.api.patch(samples, {"data": {"samples.jsonl": '{"text": ""}\n'}})
    one.annotate(**RETRAIN)
    yield "degraded_later_run_failed", one.first("DatasetInvalid", is_("Stalled", "DatasetInvalid"))


def missing_data(one: Watched) -> Iterator[tuple[str, Json]]:
    """The ConfigMap is not there."""
    one.apply(dataset={"configMap": {"name": "absent", "key": "samples.jsonl"}})
    yield "degraded_dataset_not_found", one.first("DatasetNotFound", is_("Stalled", "DatasetNotFound"))


def forbidden_server(one: Watched) -> Iterator[tuple[str, Json]]:
    """An endpoint that the operator's lists don't name."""
    one.apply(model={"endpoint": "http://169.254.169.254:80"})
    yield "degraded_model_not_allowed", one.first("ModelNotAllowed", is_("Stalled", "ModelNotAllowed"))


def unknown_model(one: Watched) -> Iterator[tuple[str, Json]]:
    """A model that no registry has."""
    one.apply(model={"name": "nobody-has-this:1b"})
    yield "degraded_model_not_found", one.first("ModelNotFound", is_("Stalled", "ModelNotFound"))


def pulled_model(one: Watched) -> Iterator[tuple[str, Json]]:
    """A model that is pulled first."""
    one.apply(model={"name": "qwen2.5:72b"})
    yield "progressing_model_pulling", one.first("the pull", is_("Reconciling", "ModelPulling"))


def silent_server(one: Watched) -> Iterator[tuple[str, Json]]:
    """A model server that is away: asked again with backoff."""
    one.apply(model={"endpoint": SILENT_SERVER})
    reason = "ModelServerUnavailable"
    yield "progressing_model_server_unavailable", one.first(reason, is_("Reconciling", reason))


def no_place(one: Watched) -> Iterator[tuple[str, Json]]:
    """No node takes the pod."""
    one.apply(job={"nodeSelector": {"accelerator": "none-has-this"}})
    yield "progressing_unschedulable", one.first("Unschedulable", is_("Reconciling", "Unschedulable"))


def no_quota(one: Watched) -> Iterator[tuple[str, Json]]:
    """The namespace allows no Job."""
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    path = f"/api/v1/namespaces/{one.space}/resourcequotas"
    one.cluster.api.create(path, quota)
    one.cluster.kubectl(
        "wait", "resourcequota/none", f"--namespace={one.space}", "--for=jsonpath={.status.hard}"
    )
    one.apply()
    yield "progressing_quota_exceeded", one.first("QuotaExceeded", is_("Reconciling", "QuotaExceeded"))


def small_budget(one: Watched) -> Iterator[tuple[str, Json]]:
    """Calls for some trials: the best so far is served."""
    one.apply(budget={"maxModelCalls": 300})
    yield "healthy_budget_exhausted", one.first("its end", is_("Trained", "BudgetExhausted", "True"))


def no_budget(one: Watched) -> Iterator[tuple[str, Json]]:
    """Too few calls for any score."""
    one.apply(budget={"maxModelCalls": 20})
    yield "degraded_budget_exhausted", one.first("BudgetExhausted", is_("Stalled", "BudgetExhausted"))


def stopped_and_changed(one: Watched) -> Iterator[tuple[str, Json]]:
    """Suspended halfway, gone on, and replaced by another spec's run."""
    one.apply()
    one.first("Training", _searching)
    one.apply(suspend=True)
    yield "suspended_halfway", one.first("Suspended", is_("Ready", "Suspended"))
    one.forget()
    one.apply()
    one.first("Training", is_("Ready", "Training"))
    one.apply(optimizer={"seed": 10})
    yield "progressing_superseded", one.first("Superseded", is_("Trained", "Superseded"))


def suspended_later(one: Watched) -> Iterator[tuple[str, Json]]:
    """A served prompt whose later run is suspended."""
    one.apply()
    one.first("Promoted", promoted)
    one.forget()
    one.annotate(**RETRAIN)
    one.first("the later run", _later_run)
    one.forget()
    one.apply(suspend=True)
    yield "healthy_later_run_suspended", one.first("Suspended", is_("Trained", "Suspended"))


SCENARIOS: Final[tuple[Scenario, ...]] = (
    whole_life,
    worse,
    broken_later,
    suspended_later,
    stopped_and_changed,
    small_budget,
    no_budget,
    missing_data,
    forbidden_server,
    unknown_model,
    pulled_model,
    silent_server,
    no_place,
    no_quota,
)
