"""Neo4j is killed and comes back at several points of a run: nothing is lost, nothing is there twice.

The operator reaches it through a relay, which makes the two worst moments certain: killed with the result's
transaction open, and killed after the commit, before the operator learns of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.integration.bolt_relay import BoltRelay, Lost
from tests.integration.trainings import GROUP, SAMPLES, apply, condition, config_map, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import CONTROLLER, GRAPH_SECRET, MODEL, NAMESPACE, Sandbox
from tests.sandbox.neo4j.server import Neo4j

Json = dict[str, Any]
DEPLOYMENT = f"deployment/{CONTROLLER}"
RUN_SECONDS = 120.0
SYNC_SECONDS = 150.0
"""The longest pause of the writer's is a minute."""
SPEC: Json = {
    "tasks": ["entities"],
    "model": {"name": MODEL},
    "auto": "manual",
    "optimizer": {"numCandidates": 2, "numTrials": 3},
}
LINES = ("run 1 started at ", " samples: ", "baseline F1 entities ", "run 1 ended at ")
"""What the four messages of an undisturbed run hold, in their order."""
READ = """
MATCH (d:Domain {name: $name})
OPTIONAL MATCH (d)-[link:HAS_TRAINING_LOG]->(log)
RETURN properties(d) AS domain, properties(log) AS log, link IS NOT NULL AS linked
"""


class World(NamedTuple):
    """The operator, and a Neo4j that it reaches through a relay."""

    sandbox: Sandbox
    relay: BoltRelay
    neo4j: Neo4j

    def restart_operator(self) -> None:
        """A new controller, which knows nothing of the last one."""
        self.sandbox.cluster.kubectl(f"--namespace={NAMESPACE}", "rollout", "restart", DEPLOYMENT)
        self.sandbox.cluster.kubectl(
            f"--namespace={NAMESPACE}", "rollout", "status", DEPLOYMENT, "--timeout=60s"
        )

    def lead(self, uri: str) -> None:
        """Has the operator write there."""
        change = json.dumps({"stringData": {"uri": uri}})
        self.sandbox.cluster.kubectl(
            f"--namespace={NAMESPACE}", "patch", "secret", GRAPH_SECRET, "--type=merge", f"--patch={change}"
        )
        self.restart_operator()


class Run(NamedTuple):
    """A resource named docs in a namespace of its own, with a domain of its own."""

    world: World
    space: str

    @property
    def domain(self) -> str:
        """Its name in the graph."""
        return self.space.replace("-", "_")

    def come_back(self) -> list[Json]:
        """Start Neo4j again; gives what it kept, read before the operator reaches it."""
        self.world.relay.shut = True
        self.world.neo4j.start(print)
        kept = self.rows()
        self.world.relay.shut = False
        return kept

    def begin(self) -> None:
        """The run."""
        apply(self.world.sandbox, self.space, **SPEC, domain=self.domain)

    def percent(self) -> int:
        """How far it is."""
        return int(status(self.world.sandbox, self.space).get("progress", {}).get("percent", 0))

    def is_ready(self) -> bool:
        """Whether its prompt is served."""
        return condition(self.world.sandbox, self.space, "Ready")[0] == "True"

    def synced(self) -> tuple[str, str]:
        """Status and reason of GraphSynced."""
        return condition(self.world.sandbox, self.space, "GraphSynced")[:2]

    def rows(self) -> list[Json]:
        """The domain and its logs, a row for each log."""
        return self.world.neo4j.query(READ, name=self.domain)

    def finish(self) -> None:
        """Wait for the prompt, and for it to be in the graph."""
        wait_for("Ready", self.is_ready, seconds=RUN_SECONDS)
        wait_for(
            "the result in the graph",
            lambda: (
                self.synced() == ("True", "GraphSynced")
                and any(row["log"]["status"] == "ready" for row in self.rows())
            ),
            seconds=SYNC_SECONDS,
        )

    def judge(self) -> None:
        """Everything once: one domain, one log of the run, each message; with what status and prompt say."""
        told = status(self.world.sandbox, self.space)
        (row,) = self.rows()
        domain, log = row["domain"], row["log"]
        assert row["linked"]
        assert self.world.neo4j.query(
            "MATCH (log:TrainingLog {id: $id}) RETURN count(log) AS logs, count{()-->(log)} AS links",
            id=log["id"],
        ) == [{"logs": 1, "links": 1}]
        assert (domain["status"], log["status"], log["progress_percent"]) == ("ready", "ready", 100)
        assert domain["owner"] == f"{self.space}/docs"
        assert domain["llm_model"] == MODEL
        assert domain["training_samples"] == told["dataset"]["samples"] == 150
        assert json.loads(domain["training_metrics"]) == json.loads(log["metrics"]) == told["metrics"]
        assert told["metrics"]["entities"]["recall"] > 0
        assert log["completed_at"] >= log["started_at"]
        assert "error_message" not in log
        messages = log["log_messages"]
        assert len(messages) == len(LINES), messages
        assert all(part in message for part, message in zip(LINES, messages, strict=True)), messages
        prompt = config_map(self.world.sandbox, self.space, "docs-prompt")["entities.prompt.txt"]
        assert domain["entity_prompt"].format(text="{a} text") == prompt.replace("{text}", "{a} text")


@pytest.fixture(scope="module")
def world(graph_sandbox: Sandbox) -> Iterator[World]:
    """The operator of the sandbox, led through the relay meanwhile."""
    neo4j = graph_sandbox.graph
    assert neo4j
    straight = neo4j.uri
    with BoltRelay(int(straight.rpartition(":")[2])) as relay:
        world = World(graph_sandbox, relay, neo4j)
        world.lead(relay.uri)
        yield world
        neo4j.start(print)
        world.lead(straight)


@pytest.fixture
def run(world: World, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A namespace with the samples; Neo4j runs again afterwards."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:50].strip("-")
    cluster = world.sandbox.cluster
    cluster.kubectl("create", "namespace", name)
    samples = {"metadata": {"name": "samples"}, "data": {"samples.jsonl": SAMPLES}}
    cluster.api.create(f"/api/v1/namespaces/{name}/configmaps", samples)
    yield Run(world, name)
    world.neo4j.start(print)
    world.relay.shut = False
    cluster.api.delete(f"{GROUP}/namespaces/{name}/domaintrainings/docs")


def away(run: Run) -> bool:
    """Whether the resource says that Neo4j is not there."""
    return run.synced() == ("False", "GraphUnavailable")


def test_killed_before_the_first_write(run: Run) -> None:
    """The training needs no graph: it ends with a prompt, and what it left arrives later."""
    neo4j = run.world.neo4j
    neo4j.kill()
    run.begin()
    wait_for("Ready without Neo4j", run.is_ready, seconds=RUN_SECONDS)
    wait_for("the reason", lambda: away(run))
    assert run.come_back() == []
    run.finish()
    run.judge()


def test_killed_during_the_training(run: Run) -> None:
    """And back before its end."""
    neo4j = run.world.neo4j
    run.begin()
    wait_for("the log", lambda: [one for one in run.rows() if one["log"]["status"] == "training"], seconds=60)
    neo4j.kill()
    wait_for("the reason", lambda: away(run))
    assert [one["domain"]["status"] for one in run.come_back()] == ["training"]
    run.finish()
    run.judge()


def test_killed_before_the_result_and_the_operator_with_it(run: Run) -> None:
    """The controller that knew of the result is gone when Neo4j is back; the cluster's objects tell it."""
    neo4j = run.world.neo4j
    run.begin()
    wait_for("the end is near", lambda: run.percent() >= 50, seconds=RUN_SECONDS)
    neo4j.kill()
    wait_for("Ready without Neo4j", run.is_ready, seconds=RUN_SECONDS)
    wait_for("the reason", lambda: away(run))
    run.world.restart_operator()
    assert [one["log"]["status"] for one in run.come_back()] == ["training"]
    run.finish()
    run.judge()


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_killed_in_the_write_of_the_result(run: Run, lost: Lost) -> None:
    """With the transaction open; and after its commit, before the operator learns that it was committed."""
    committed: list[Json] = []

    def note_and_kill() -> None:
        committed.extend(run.rows())
        run.world.neo4j.kill()

    run.world.relay.lose(["run 1 ended at ", run.domain], lost, note_and_kill)
    run.begin()
    assert run.world.relay.carried_out.wait(RUN_SECONDS), "no such write"
    wait_for("the reason", lambda: away(run))
    assert [one["log"]["status"] == "ready" for one in committed] == [lost == "answer"]
    assert run.come_back() == committed
    run.finish()
    run.judge()


def test_killed_after_the_last_write(run: Run) -> None:
    """It is all there again, and neither an operator that looks at it anew nor a further write doubles it."""
    neo4j = run.world.neo4j
    run.begin()
    run.finish()
    before = run.rows()
    neo4j.kill()
    assert run.come_back() == before
    run.world.restart_operator()
    apply(run.world.sandbox, run.space, **SPEC, domain=run.domain, description="said later")
    wait_for("the later word", lambda: run.rows()[0]["domain"]["description"] == "said later", seconds=90)
    run.judge()


def test_slow_is_like_away(run: Run) -> None:
    """A Neo4j that takes requests and answers none holds no training up."""
    neo4j = run.world.neo4j
    run.begin()
    wait_for("the log", lambda: [one for one in run.rows() if one["log"]["status"] == "training"], seconds=60)
    with neo4j.paused():
        wait_for("Ready without an answer", run.is_ready, seconds=RUN_SECONDS)
        wait_for("the reason", lambda: away(run))
    run.finish()
    run.judge()
