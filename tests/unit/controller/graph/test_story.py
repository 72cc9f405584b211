"""What happens stands in the graph, once, whenever the controller is killed or Neo4j is away."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.controller.cluster import JOB
from domaintraining.controller.graph.model import GraphDownError
from tests.unit.controller.graph.world import GRAPH, GraphWorld
from tests.unit.controller.test_killed import STORIES, Story
from tests.unit.controller.test_reuse import changed, made
from tests.unit.controller.world import BETTER, SPEC, WORSE

DOWN = GraphDownError(Reason.GRAPH_UNAVAILABLE, "Neo4j at neo4j://graph:7687 does not answer")
REFUSED = GraphDownError(Reason.GRAPH_REFUSED, "Neo4j at neo4j://graph:7687 refuses user neo4j")
NAMED = SPEC | {"model": {"name": "qwen3:32b"}}
BOTH: dict[str, Any] = BETTER | {
    "relations": {"verdict": "Improved", "f1": 0.7, "precision": 0.75, "recall": 0.65}
}


def lived(story: Story, *, dies_after: int | None = None, cluster: bool = False) -> GraphWorld:
    """A world after a story, the controller killed after so many writes of the graph, or of the cluster."""
    world = GraphWorld(NAMED)
    mortal = world.cluster if cluster else world.graph
    mortal.dies_after = dies_after
    world.settle()
    for act in story:
        act(world)
        world.settle()
    assert mortal.dies_after is None, "it was killed"
    return world


def test_a_run_is_written_as_the_contract_says() -> None:
    """Prompts, numbers, samples, status: of the domain and of the run's log."""
    world = GraphWorld(SPEC | {"description": "Logs.", "model": {"name": "qwen3:32b"}})
    world.settle()
    assert (world.domain["status"], world.log(1)["status"]) == ("pending", "pending")
    world.run_pod()
    world.report(progress={"percent": 20, "step": "entity_optimization"})
    world.settle()
    assert (world.domain["status"], world.log(1)["status"]) == ("training", "training")
    world.now += timedelta(seconds=6)
    world.report(progress={"percent": 30, "step": "entity_optimization"})
    world.settle()
    assert (world.log(1)["progress_percent"], world.log(1)["current_step"]) == (30, "entity_optimization")
    world.result(BETTER)
    world.settle()
    domain, log = world.domain, world.log(1)
    assert (domain["status"], log["status"], log["progress_percent"]) == ("ready", "ready", 100)
    assert domain["owner"] == "team/docs"
    assert (domain["description"], domain["llm_model"]) == ("Logs.", "qwen3:32b")
    prompt = domain["entity_prompt"].format(text="T", entities="")
    assert prompt.startswith("Extract the entities")
    assert prompt.endswith("Text:\nT\nAnswer:")
    assert json.loads(domain["entity_examples"]) == [
        {"text": "Loki stores logs.", "entities": [{"name": "Loki", "type": "Software"}]}
    ]
    for metrics in (json.loads(domain["training_metrics"]), json.loads(log["metrics"])):
        assert (metrics["entities"]["precision"], metrics["entities"]["recall"]) == (0.8, 0.8)
    assert domain["trained_at"] == log["completed_at"] == world.now
    assert log["started_at"] == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert log.get("error_message") is None
    assert log["log_messages"][0] == "run 1 started at 2026-11-23T12:00:00Z"
    assert world.conditions["GraphSynced"] == ("True", "GraphSynced")


def test_both_tasks_have_their_prompt() -> None:
    """Relations have both placeholders, and their demos."""
    world = GraphWorld(SPEC | {"tasks": ["entities", "relations"]})
    world.train(BOTH)
    assert "{entities}" in world.domain["relation_prompt"]
    assert json.loads(world.domain["training_metrics"])["relations"]["precision"] == 0.75
    assert json.loads(world.domain["relation_examples"]) == []


def test_nothing_is_written_that_spec_did_not_give() -> None:
    """The model of the graph is the graph's; its description as well."""
    world = GraphWorld(SPEC)
    world.train(BETTER)
    assert "llm_model" not in world.domain
    assert world.domain["description"] == ""


def test_a_rejected_run_says_why_and_what_is_served_stays_ready() -> None:
    """The domain fails where nothing else is served."""
    world = GraphWorld(SPEC)
    world.train(WORSE)
    assert (world.domain["status"], world.log(1)["status"]) == ("failed", "failed")
    assert world.log(1)["error_message"].startswith("Rejected: ")
    assert "entity_prompt" not in world.domain
    world.change(optimizer={"seed": 10})
    world.train(BETTER)
    before = dict(world.domain)
    world.change(optimizer={"seed": 11})
    world.settle()
    world.run_pod()
    world.settle()
    assert (world.domain["status"], world.log(3)["status"]) == ("ready", "training")
    world.result(WORSE)
    world.settle()
    assert (world.domain["status"], world.log(3)["status"]) == ("ready", "failed")
    assert world.domain["entity_prompt"] == before["entity_prompt"]


def test_an_unchanged_state_is_not_written_again() -> None:
    """Not by another look, not by a new controller, and not by the resync; each only reads."""
    world = GraphWorld(SPEC)
    world.train(BETTER)
    written, calls = world.graph.writes, len(world.graph.calls)
    for _ in range(5):
        world.look()
    assert len(world.graph.calls) == calls
    world.controller = world.started()
    world.settle()
    world.now += timedelta(seconds=301)
    world.settle()
    assert world.graph.calls[calls:] == ["constrain", "write docs", "write docs"]
    assert world.graph.writes == written


def test_progress_is_written_every_few_seconds_at_most() -> None:
    """Twenty reports in twenty seconds are five writes."""
    world = GraphWorld(SPEC)
    world.settle()
    world.run_pod()
    world.report(progress={"percent": 1})
    world.settle()
    before = world.graph.writes
    for percent in range(2, 22):
        world.now += timedelta(seconds=1)
        world.report(progress={"percent": percent})
        world.settle()
    assert world.graph.writes - before <= 5
    assert world.conditions["GraphSynced"] == ("True", "GraphSynced")


@pytest.mark.parametrize("story", STORIES)
def test_killed_after_any_write_of_the_graph_it_ends_the_same(story: str) -> None:
    """Same nodes, same logs, no line twice."""
    whole = lived(STORIES[story])
    for dies_after in range(1, whole.graph.writes + 1):
        world = lived(STORIES[story], dies_after=dies_after)
        assert world.graph.domains == whole.graph.domains
        assert world.graph.logs == whole.graph.logs
        assert world.conditions == whole.conditions
        assert world.made(JOB) == whole.made(JOB)


@pytest.mark.parametrize("story", ["superseded"])
def test_killed_after_any_write_of_the_cluster_the_graph_ends_the_same(story: str) -> None:
    """As the cluster does."""
    whole = lived(STORIES[story])
    for dies_after in range(1, len(whole.cluster.writes) + 1):
        world = lived(STORIES[story], dies_after=dies_after, cluster=True)
        assert world.graph.domains == whole.graph.domains
        assert world.graph.logs == whole.graph.logs


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("error", [DOWN, REFUSED])
def test_what_was_missed_arrives_later_once(story: str, error: GraphDownError) -> None:
    """Trainings end as without a graph; a new controller writes what the last one could not."""
    whole = lived(STORIES[story])
    world = GraphWorld(NAMED)
    world.graph.error = error
    world.settle()
    for act in STORIES[story]:
        act(world)
        world.settle()
    assert world.graph.writes == 0
    ready = {kind: said for kind, said in world.conditions.items() if kind != "GraphSynced"}
    assert ready == {kind: said for kind, said in whole.conditions.items() if kind != "GraphSynced"}
    assert world.conditions["GraphSynced"] == ("False", error.reason)
    assert error.remedy[:40] in world.says("GraphSynced")
    world.graph.error = None
    world.controller = world.started()
    world.settle()
    assert world.graph.domains == whole.graph.domains
    for key, log in whole.graph.logs.items():
        got = world.graph.logs[key]
        assert (got["status"], got.get("completed_at")) == (log["status"], log.get("completed_at"))
        if log["status"] == "ready" and "metrics" in got:
            told = ("metrics", "started_at", "progress_percent")
            assert [got[one] for one in told] == [log[one] for one in told]
            lasting = [one for one in log["log_messages"] if not one.startswith("attempt")]
            assert got["log_messages"] == lasting, "what passed while the graph was away is not told"
    assert world.conditions["GraphSynced"] == ("True", "GraphSynced")


def test_a_server_that_is_down_is_tried_ever_more_rarely_and_picked_up_by_itself() -> None:
    """Ten minutes of a wrong password are four requests, of a server that is away less than twenty."""
    for error, most in ((REFUSED, 4), (DOWN, 20)):
        world = GraphWorld(NAMED)
        world.graph.error = error
        world.settle()
        for _ in range(600):
            world.now += timedelta(seconds=1)
            world.drain()
        assert 2 <= len(world.graph.calls) <= most, error.reason
        world.graph.error = None
        world.now += timedelta(seconds=330)
        world.drain()
        world.settle()
        assert world.conditions["GraphSynced"] == ("True", "GraphSynced")


def test_a_hanging_server_holds_up_no_reconcile() -> None:
    """A call that never ends is the queue's alone."""
    world = GraphWorld(NAMED)
    world.graph.delay = 3600

    async def look() -> None:
        work = asyncio.create_task(world.sync.run())
        async with asyncio.timeout(5):
            for _ in range(5):
                await world.controller.reconcile(("team", "docs"))
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(look())
    assert world.names(JOB) == ["docs-r1-a1"] or world.conditions["Ready"][1] == "Pending"


def test_the_password_stands_nowhere() -> None:
    """Not in status, events, the settings' text, nor what a run depends on."""
    world = GraphWorld(NAMED)
    world.graph.error = REFUSED
    world.train(BETTER)
    told = json.dumps([world.content(), world.cluster.events], default=str)
    assert GRAPH.password not in told + repr(GRAPH) + repr(world.settings)


def test_the_log_of_a_reused_run_begins_where_it_was_taken_over() -> None:
    """Not days before the resource was there, when the other's run began."""
    body = made()
    changed(body, startTime="2026-11-20T08:00:01Z")
    world = GraphWorld(SPEC)
    world._put(body)
    world.settle()
    log = world.log(1)
    assert world.conditions["Trained"] == ("True", "Reused")
    assert log["started_at"] == log["completed_at"] == world.now
    assert log["log_messages"][0] == "run 1 started at 2026-11-23T12:00:00Z"
