"""A training without a model takes the one that its domain in the graph names, and never guesses."""

from datetime import timedelta
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.controller.cluster import JOB
from domaintraining.controller.graph.model import GraphDownError
from domaintraining.controller.models import ModelInfo
from tests.unit.controller.graph.world import GraphWorld
from tests.unit.controller.world import BETTER, SPEC, World

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
