"""A training without a model takes the one that its domain in the graph names, and never guesses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.status import DomainTrainingStatus, ModelStatus
from domaintraining.controller.allowed import as_trained, endpoint_of
from domaintraining.controller.cluster import JOB
from domaintraining.controller.graph.model import GraphDownError
from domaintraining.controller.models import ModelInfo
from domaintraining.controller.observed import Observed
from tests.unit.controller.drifting import DATA, SERVED, fill, started
from tests.unit.controller.graph.test_story import BOTH
from tests.unit.controller.graph.world import GraphWorld
from tests.unit.controller.test_preflight import SETTINGS, wanting
from tests.unit.controller.world import BETTER, NOW, SPEC, World

DOWN = GraphDownError(Reason.GRAPH_UNAVAILABLE, "Neo4j at neo4j://graph:7687 does not answer")


def world_with(llm_model: Any, **spec: Any) -> GraphWorld:
    """A world whose domain is there, nobody's, and names a model."""
    world = GraphWorld(SPEC | spec)
    world.models.models["llama3.3:70b"] = ModelInfo("sha256:2", frozenset({"completion"}))
    world.graph.domains["docs"] = {"name": "docs", "llm_model": llm_model}
    return world


def test_the_domains_model_is_trained_for() -> None:
    """Also where the domain is nobody's and not to be written; status says where the name is from."""
    world = world_with("llama3.3:70b")
    world.train(BETTER)
    model = world.resource["status"]["model"]
    assert (model["name"], model["source"]) == ("llama3.3:70b", "graph")
    assert world.conditions["GraphSynced"] == ("False", "DomainNotOwned")
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.graph.domains["docs"] == {"name": "docs", "llm_model": "llama3.3:70b"}


@pytest.mark.parametrize(
    ("spec", "source"),
    [({"model": {"name": "qwen3:32b"}}, "spec"), ({"graph": {"enabled": False}}, "default")],
)
def test_spec_goes_first_and_a_graph_that_is_off_is_not_asked(spec: dict[str, Any], source: str) -> None:
    """Then the operator's default counts."""
    world = world_with("llama3.3:70b", **spec)
    world.settle()
    model = world.resource["status"]["model"]
    assert (model["name"], model["source"]) == ("qwen3:32b", source)


@pytest.mark.parametrize("named", [None, ""])
def test_a_domain_that_names_none_leaves_it_to_the_default(named: str | None) -> None:
    """As one that is not there."""
    world = world_with(named or "")
    world.settle()
    assert world.resource["status"]["model"]["source"] == "default"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("a b", "GraphInvalid"),
        ("$(rm -rf)", "GraphInvalid"),
        ("x" * 300, "GraphInvalid"),
        ("evil.example/x/model", "ModelNotAllowed"),
        ("http://evil.example/model", "ModelNotAllowed"),
    ],
)
def test_a_hostile_name_reaches_no_server(named: str, reason: str) -> None:
    """It is held against the same lists as one in spec, and is not repeated where it has no form."""
    world = world_with(named)
    world.settle()
    assert world.conditions["Stalled"] == ("True", reason)
    assert world.conditions["ModelReady"] == ("False", reason)
    assert "llm_model" in world.says("ModelReady")
    assert (reason == "ModelNotAllowed") or named not in str(world.resource["status"])
    assert not [one for one in world.models.asked if named in one]
    assert world.names(JOB) == []


def test_while_the_graph_is_away_the_run_waits_with_its_reason() -> None:
    """It starts by itself with what the graph says then."""
    world = world_with("llama3.3:70b")
    world.graph.error = DOWN
    world.settle()
    assert world.names(JOB) == []
    for kind in ("ModelReady", "GraphSynced"):
        assert world.conditions[kind] == ("False", "GraphUnavailable")
    assert world.conditions["Reconciling"] == ("True", "GraphUnavailable")
    world.graph.error = None
    world.now += timedelta(seconds=5)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    assert world.resource["status"]["model"]["name"] == "llama3.3:70b"


def test_a_further_attempt_keeps_the_runs_model() -> None:
    """Without a graph, and whatever that says now: the journal holds answers of the first."""
    world = world_with("llama3.3:70b")
    world.settle()
    world.graph.domains["docs"]["llm_model"] = "qwen3:32b"
    world.graph.error = DOWN
    world.report(failure={"reason": "PodLost", "message": "evicted"})
    world.end_job("Failed")
    world.settle()
    world.now += timedelta(minutes=2)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1", "docs-r1-a2"]
    assert world.resource["status"]["model"]["name"] == "llama3.3:70b"


def test_a_graph_that_is_asked_for_and_not_there_is_told() -> None:
    """The training goes on; where nobody asks there is no such condition."""
    world = World(SPEC | {"graph": {"enabled": True}})
    world.train(BETTER)
    assert world.conditions["GraphSynced"] == ("False", "GraphNotConfigured")
    assert "NEO4J_URI" in world.says("GraphSynced")
    assert world.conditions["Ready"] == ("True", "Promoted")
    world = World(SPEC)
    world.train(BETTER)
    assert "GraphSynced" not in world.conditions


def compared(asked: dict[str, str], **spec: Any) -> GraphWorld:
    """A world whose run compared models, after its end; each task's prompt is for the model that is said."""
    both = {"tasks": ["entities", "relations"], "compareWith": [{"name": "llama3.3:70b"}]}
    world = GraphWorld(SPEC | both | spec)
    world.models.models["llama3.3:70b"] = ModelInfo("sha256:2", frozenset({"completion"}))
    world.settle()
    world.run_pod()
    world.settle()
    assert world.domain.get("llm_model") == (spec.get("model") or {}).get("name"), "nothing is served yet"
    world.result(BOTH, asked)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    assert world.conditions["GraphSynced"] == ("True", "GraphSynced")
    return world


NAMED: dict[str, Any] = {"model": {"name": "qwen3:32b"}}
RIVAL = "llama3.3:70b"
GPU = "http://gpu.models.example:11434"


def test_the_domain_names_the_model_that_the_served_prompts_are_for() -> None:
    """Whoever reads them asks that one: a run that compared models may have chosen another than spec's."""
    world = compared({"entities": RIVAL, "relations": RIVAL}, **NAMED)
    assert world.domain["llm_model"] == RIVAL
    assert world.resource["status"]["promptConfig"]["entities"]["model"] == RIVAL
    world.change(tasks=["entities", "relations"])
    world.settle()
    assert world.domain["llm_model"] == RIVAL, "until a run for another is served"
    world.train(BOTH)
    assert world.domain["llm_model"] == "qwen3:32b"


def test_prompts_for_two_models_leave_the_domains_model_and_say_so() -> None:
    """One property can't name both."""
    world = compared({"entities": RIVAL}, **NAMED)
    assert world.domain["llm_model"] == "qwen3:32b"
    said = world.says("GraphSynced")
    assert (
        f"llm_model is left as it is: the prompts are for {RIVAL} (entities), qwen3:32b (relations)" in said
    )
    world.graph.domains["docs"]["llm_model"] = "somebody:1b"
    world.now += timedelta(seconds=301)
    world.settle()
    assert world.domain["llm_model"] == "somebody:1b"


def test_a_model_that_was_chosen_does_not_feed_back() -> None:
    """Where spec names none, the domain's model is what the next run takes: it is never the operator's to
    write, and the condition says which model readers have to ask.
    """
    world = compared({"entities": RIVAL, "relations": RIVAL})
    assert "llm_model" not in world.domain
    assert f"llm_model is not written without spec.model.name: the prompts are for {RIVAL}" in world.says(
        "GraphSynced"
    )
    world.change(tasks=["entities", "relations"], optimizer={"seed": 10})
    world.settle()
    model = world.resource["status"]["model"]
    assert (model["name"], model["source"]) == ("qwen3:32b", "default")


@pytest.mark.parametrize("hostile", ["a b", "x" * 300, "$(rm -rf)", ""])
def test_a_served_name_that_is_no_model_is_not_written(hostile: str) -> None:
    """A trainer's files are hostile input: others take the domain's model for theirs."""
    world = compared({"entities": hostile, "relations": hostile}, **NAMED)
    assert world.domain["llm_model"] == "qwen3:32b"
    said = world.says("GraphSynced")
    assert "llm_model is left as it is: the prompts name no model" in said
    assert not hostile or hostile not in said


def test_without_a_comparison_there_is_nothing_to_say() -> None:
    for spec in (SPEC, SPEC | NAMED):
        world = GraphWorld(spec)
        world.train(BETTER)
        assert world.domain.get("llm_model") == (spec.get("model") or {}).get("name")
        assert "llm_model" not in world.says("GraphSynced")


def test_a_check_is_for_the_graphs_model_on_its_server() -> None:
    """Also where the domain names another by now, and the operator's own model is one that was compared."""
    compare = [{"name": "qwen3:32b", "endpoint": GPU}]
    world = world_with(RIVAL, dataset=DATA, compareWith=compare)
    world.settings = replace(world.settings, allowed_endpoints=(GPU,))
    world.controller = world.started()
    fill(world, "first")
    world.train(SERVED)
    world.end_job("Complete")
    world.settle()
    assert world.resource["status"]["model"]["source"] == "graph"
    world.graph.domains["docs"]["llm_model"] = "somebody:1b"
    fill(world, "second")
    world.settle()
    model = started(world).model
    assert (model.name, model.source, model.endpoint) == (RIVAL, "graph", world.settings.ollama_base_url)


def test_the_server_of_a_compared_model_is_known_beside_the_graphs() -> None:
    """It is the operator's default, which this resource has on another server."""
    spec = wanting(compareWith=[{"name": SETTINGS.model, "endpoint": GPU}])
    model = ModelStatus(name=RIVAL, endpoint=SETTINGS.ollama_base_url, source="graph")
    seen = Observed(replace(spec, status=DomainTrainingStatus(model=model)), NOW)
    assert endpoint_of(as_trained(seen), SETTINGS, SETTINGS.model) == GPU
