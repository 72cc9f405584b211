"""The operator beside the real Neo4j: the graph names the model, holds the result, and has owners."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.integration.trainings import (
    GROUP,
    SAMPLES,
    Json,
    apply,
    condition,
    config_map,
    jobs,
    ready,
    status,
)
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, GRAPH_SECRET, NAMESPACE, Sandbox
from tests.sandbox.neo4j.server import Neo4j

DEPLOYMENT = f"deployment/{CONTROLLER}"


@pytest.fixture
def graph(graph_sandbox: Sandbox) -> Neo4j:
    """The Neo4j that the operator writes into."""
    assert graph_sandbox.graph is not None
    return graph_sandbox.graph


@pytest.fixture
def team(graph_sandbox: Sandbox, request: pytest.FixtureRequest) -> str:
    """A namespace with the samples."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    graph_sandbox.cluster.kubectl("create", "namespace", name)
    body = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    graph_sandbox.cluster.api.create(f"/api/v1/namespaces/{name}/configmaps", body)
    return name


def synced(sandbox: Sandbox, team: str) -> str:
    """Reason of GraphSynced."""
    return condition(sandbox, team, "GraphSynced")[1]


def domain(graph: Neo4j, name: str) -> Json | None:
    """Properties of a domain; None where there is none."""
    rows = graph.query("MATCH (d:Domain {name: $name}) RETURN properties(d) AS found", name=name)
    return dict(rows[0]["found"]) if rows else None


def logs(graph: Neo4j, name: str) -> list[Json]:
    """Properties of its logs, the first run first."""
    query = (
        "MATCH (:Domain {name: $name})-[:HAS_TRAINING_LOG]->(l) RETURN properties(l) AS found ORDER BY l.run"
    )
    return [dict(row["found"]) for row in graph.query(query, name=name)]


def remove(sandbox: Sandbox, team: str) -> None:
    """Delete the training."""
    sandbox.cluster.kubectl("delete", "domaintraining", "docs", f"--namespace={team}")


def set_env(sandbox: Sandbox, *variables: str) -> None:
    """Give the operator other settings and wait until it runs with them."""
    sandbox.cluster.kubectl("set", "env", f"--namespace={NAMESPACE}", DEPLOYMENT, *variables)
    sandbox.cluster.kubectl("rollout", "status", f"--namespace={NAMESPACE}", DEPLOYMENT, "--timeout=60s")


def test_the_graph_names_the_model_and_holds_the_result(
    graph_sandbox: Sandbox, team: str, graph: Neo4j
) -> None:
    """Without model.name; a domain of nobody is taken as GRAPH_DOMAINS says, and keeps what it had."""
    set_env(graph_sandbox, f"GRAPH_DOMAINS=demo=*,{team}=gr?ph_*")
    graph.query(
        "CREATE (:Domain {name: 'graph_model', id: 'theirs', llm_model: 'qwen3:8b', description: 'theirs'})"
    )
    apply(graph_sandbox, team, domain="graph_model", graph={"enabled": True})
    ended = ready(graph_sandbox, team)
    assert (ended["model"]["name"], ended["model"]["source"]) == ("qwen3:8b", "graph")
    wait_for("GraphSynced", lambda: synced(graph_sandbox, team) == "GraphSynced")
    found, (log,) = domain(graph, "graph_model") or {}, logs(graph, "graph_model")
    kept = ("theirs", "qwen3:8b", "theirs")
    assert (found["id"], found["llm_model"], found["description"]) == kept
    assert (found["status"], log["status"], found["owner"]) == ("ready", "ready", f"{team}/docs")
    assert found["training_samples"] == ended["dataset"]["samples"]
    plain = config_map(graph_sandbox, team, "docs-prompt")
    for task, prompt in (("entities", "entity_prompt"), ("relations", "relation_prompt")):
        filled = plain[f"{task}.prompt.txt"].replace("{text}", "T").replace("{entities}", "E")
        assert found[prompt].format(text="T", entities="E") == filled
        served = json.loads(found["training_metrics"])[task]
        assert served["precision"] == ended["metrics"][task]["precision"]
        assert served["recall"] == ended["metrics"][task]["recall"]
    assert log["log_messages"][-1].startswith("run 1 ended at ")
    assert len(set(log["log_messages"])) == len(log["log_messages"])


def test_with_one_task_trained_the_others_baseline_stands_beside_it(
    graph_sandbox: Sandbox, team: str, graph: Neo4j
) -> None:
    """AegisRAG takes a domain only where both prompts are."""
    apply(graph_sandbox, team, domain="one_task", model={"name": "qwen3:32b"}, tasks=["entities"])
    ready(graph_sandbox, team)
    wait_for("GraphSynced", lambda: synced(graph_sandbox, team) == "GraphSynced")
    found = domain(graph, "one_task") or {}
    assert "Extract the relations" in found["relation_prompt"].format(text="T", entities="E")
    assert found["relation_examples"] == "[]"


def test_a_domain_of_somebody_else_is_not_touched(graph_sandbox: Sandbox, team: str, graph: Neo4j) -> None:
    """The training goes on; the condition says whose it is, and what to do."""
    graph.query("CREATE (:Domain {name: 'others', owner: 'elsewhere/docs', llm_model: 'qwen3:32b'})")
    before = domain(graph, "others")
    apply(graph_sandbox, team, domain="others")
    ready(graph_sandbox, team)
    said = condition(graph_sandbox, team, "GraphSynced")
    assert said[:2] == ("False", "DomainNotOwned")
    assert "elsewhere/docs" in said[2]
    assert "GRAPH_DOMAINS" in said[2]
    assert domain(graph, "others") == before


def test_a_hostile_model_in_the_graph_is_refused(graph_sandbox: Sandbox, team: str, graph: Neo4j) -> None:
    """By its form, and by the operator's lists; what is corrected is taken up by itself."""
    set_env(graph_sandbox, f"GRAPH_DOMAINS=demo=*,{team}=*")
    graph.query("CREATE (:Domain {name: 'hostile', llm_model: 'a b; $(rm)'})")
    apply(graph_sandbox, team, domain="hostile")
    wait_for("GraphInvalid", lambda: condition(graph_sandbox, team, "Stalled")[1] == "GraphInvalid")
    assert "rm" not in json.dumps(status(graph_sandbox, team))
    graph.query("MATCH (d:Domain {name: 'hostile'}) SET d.llm_model = 'evil.example/x/model'")
    wait_for(
        "ModelNotAllowed",
        lambda: condition(graph_sandbox, team, "Stalled")[1] == "ModelNotAllowed",
        seconds=60,
    )
    assert "llm_model of the domain" in condition(graph_sandbox, team, "Stalled")[2]
    assert jobs(graph_sandbox, team) == []


def test_a_wrong_password_stops_no_training(graph_sandbox: Sandbox, team: str, graph: Neo4j) -> None:
    """It is told without the password; with the right one everything arrives."""
    canary = "canary-of-the-graph"
    secret = f"--namespace={NAMESPACE}"
    set_env(graph_sandbox, f"NEO4J_PASSWORD={canary}")
    try:
        apply(graph_sandbox, team, domain="locked_out", model={"name": "qwen3:32b"})
        ended = ready(graph_sandbox, team)
        assert synced(graph_sandbox, team) == "GraphRefused"
        assert domain(graph, "locked_out") is None
        log = graph_sandbox.cluster.kubectl("logs", secret, DEPLOYMENT)
        assert canary not in log + json.dumps(ended)
        assert log.count("refuses user") == 1, "it is told once"
    finally:
        restore: Json = {"name": "NEO4J_PASSWORD", "value": None}
        restore["valueFrom"] = {"secretKeyRef": {"name": GRAPH_SECRET, "key": "password"}}
        container = {"name": "controller", "env": [restore]}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        graph_sandbox.cluster.kubectl("patch", secret, DEPLOYMENT, f"--patch={json.dumps(patch)}")
        graph_sandbox.cluster.kubectl("rollout", "status", secret, DEPLOYMENT, "--timeout=60s")
    wait_for("GraphSynced", lambda: synced(graph_sandbox, team) == "GraphSynced", seconds=60)
    found, (log_node,) = domain(graph, "locked_out") or {}, logs(graph, "locked_out")
    assert (found["status"], log_node["status"]) == ("ready", "ready")


def test_deletion_follows_the_policy_without_a_finalizer(
    graph_sandbox: Sandbox, team: str, graph: Neo4j
) -> None:
    """Delete removes what is its own and this cluster's; Retain ends a status that says `training`."""
    set_env(graph_sandbox, "RESYNC_SECONDS=3")
    try:
        graph.query(
            "CREATE (:Domain {name: 'there', owner: $owner, owner_cluster: 'another', "
            "owner_uid: 'u', deletion_policy: 'Delete', written: 'w'})",
            owner=f"{team}/docs",
        )
        named: dict[str, Any] = {"model": {"name": "qwen3:32b"}}
        apply(graph_sandbox, team, domain="to_delete", graph={"deletionPolicy": "Delete"}, **named)
        wait_for("its log", lambda: logs(graph, "to_delete"))
        found = graph_sandbox.cluster.api.get(f"{GROUP}/namespaces/{team}/domaintrainings/docs")
        assert "finalizers" not in found["metadata"]
        remove(graph_sandbox, team)
        wait_for("its removal", lambda: domain(graph, "to_delete") is None)
        apply(graph_sandbox, team, domain="to_keep", **named)
        wait_for("training", lambda: (domain(graph, "to_keep") or {}).get("status") == "training")
        remove(graph_sandbox, team)
        wait_for("its end", lambda: (domain(graph, "to_keep") or {}).get("status") == "failed")
        assert [log["status"] for log in logs(graph, "to_keep")] == ["failed"]
        assert domain(graph, "there") is not None, "it is another cluster's"
    finally:
        set_env(graph_sandbox, "RESYNC_SECONDS=300")
