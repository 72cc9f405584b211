"""What docs/consuming.md shows is true: its blocks are run as they stand, against a prompt that was trained.

Between them and the simulated model server stands a server that writes down what is asked.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
import yaml

from tests.integration.shell import Shell
from tests.integration.waiting import wait_for
from tests.readme import block, blocks
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.demo import condition
from tests.sandbox.environment import MODEL, Sandbox, path_of_kubectl
from tests.unit.trainer.loopback import Loopback, Received, Reply

PAGE = REPOSITORY / "docs" / "consuming.md"
HTTP, DSPY, GRAPH, KAGENT = "Plain HTTP", "DSPy", "The graph, as AegisRAG does", "kagent"
TEXT = "billing-api keeps its invoices in PostgreSQL."
RESOURCE = "/apis/training.aegisrag.io/v1alpha1/namespaces/default/domaintrainings/tech-docs"
Json = dict[str, Any]


class Reader(NamedTuple):
    """Whoever reads the page, in a folder of their own beside a served prompt."""

    shell: Shell
    folder: Path
    prompts: dict[str, str]
    """The served ConfigMap."""
    server: Loopback
    """What stands for the model server, and knows what it was asked."""

    def run(self, heading: str) -> tuple[str, list[Json]]:
        """The Python block under a heading: what it printed, and what it asked the model server."""
        before = len(self.server.received)
        (self.folder / "use.py").write_text(block(heading, "python", page=PAGE), encoding="utf-8")
        said = self.shell.run(f"{sys.executable} -W error use.py", self.folder)
        asked = self.server.received[before:]
        assert {one.path for one in asked} == {"/api/chat"}
        return said, [one.json for one in asked]

    def published(self, task: str, **values: str) -> Json:
        """The request of a prompt with its placeholders filled."""
        request: Json = json.loads(self.prompts[f"{task}.request.json"])
        last = request["messages"][-1]
        last["content"] = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], last["content"])
        return request


@pytest.fixture(scope="module")
def reader(graph_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The sample, trained in the namespace default."""
    cluster = graph_sandbox.cluster
    samples = REPOSITORY / "crds" / "samples"
    cluster.kubectl(
        "create", "configmap", "tech-docs", f"--from-file=samples.jsonl={samples / 'tech-docs.jsonl'}"
    )
    training = yaml.safe_load((samples / "tech-docs.yaml").read_text(encoding="utf-8"))
    training["spec"]["model"] = {"name": MODEL}  # which the graph then names
    cluster.kubectl("apply", "--filename=-", input=json.dumps(training))

    def served_everywhere() -> bool:
        resource = cluster.api.get(RESOURCE)
        return all(condition(resource, kind) == "True" for kind in ("Ready", "GraphSynced"))

    wait_for("a prompt in both places", served_everywhere, seconds=240)
    prompts = cluster.api.get("/api/v1/namespaces/default/configmaps/tech-docs-prompt")["data"]
    folder, graph = tmp_path_factory.mktemp("consuming"), graph_sandbox.graph
    assert graph

    def answered(request: Received) -> Reply:
        with urlopen(graph_sandbox.model_server + request.path, request.body, timeout=60) as answer:
            return Reply(answer.read())

    with Loopback(answered) as server:
        shell = Shell(cluster)
        for name, value in {
            "KUBECONFIG": cluster.admin_kubeconfig,
            "PATH": f"{path_of_kubectl(cluster)}:$PATH",
            "PYTHONPATH": REPOSITORY / "operator",
            "OLLAMA_BASE_URL": server.url,
            "NEO4J_URI": graph.uri,
            "NEO4J_USER": graph.user,
            "NEO4J_PASSWORD": graph.password,
        }.items():
            shell.export(f"export {name}={value}")
        shell.run(block("", "sh", page=PAGE), folder)
        yield Reader(shell, folder, prompts, server)


def test_every_block_has_its_test() -> None:
    """A new one needs a test here."""
    assert [one[:2] for one in blocks(PAGE)] == [
        ("", "sh"),
        (HTTP, "python"),
        (DSPY, "python"),
        (GRAPH, "cypher"),
        (GRAPH, "python"),
        (KAGENT, "yaml"),
    ]


@pytest.mark.parametrize("heading", [HTTP, DSPY])
def test_plain_http_and_dspy_ask_the_published_bytes(reader: Reader, heading: str) -> None:
    """Both tasks: each body is the published one with the placeholders of its last message filled."""
    said, (first, second) = reader.run(heading)
    answer = said[: said.index("]") + 1]
    entities = ast.literal_eval(answer)
    assert {"name": "PostgreSQL", "type": "TECHNOLOGY"} in entities
    lines = "\n".join(f"- {one['name']} ({one['type']})" for one in entities)
    assert first == reader.published("entities", text=TEXT)
    assert second == reader.published("relations", text=TEXT, entities=lines)


def test_the_prompt_in_the_graph_fills_with_str_format(reader: Reader) -> None:
    """What the model is asked is the published plain prompt, filled in one pass, braces as they were."""
    said, (asked,) = reader.run(GRAPH)
    (message,) = asked["messages"]
    assert asked["model"] == MODEL
    assert message == {
        "role": "user",
        "content": reader.prompts["entities.prompt.txt"].replace("{text}", TEXT),
    }
    assert "{{" not in message["content"]
    assert '{"name": …' in message["content"]
    assert {"name": "PostgreSQL", "type": "TECHNOLOGY"} in ast.literal_eval(said)


def test_the_query_gives_both_prompts(reader: Reader, graph_sandbox: Sandbox) -> None:
    """It is the one that the program sends; texts with braces of their own stay as they are."""
    query = block(GRAPH, "cypher", page=PAGE)
    assert query in block(GRAPH, "python", page=PAGE)
    assert graph_sandbox.graph
    (domain,) = graph_sandbox.graph.query(query, name="tech_docs")
    values = {"text": "a {text} with {entities} and {}", "entities": "- a (B)"}
    for task, name in (("entities", "entity_prompt"), ("relations", "relation_prompt")):
        plain = re.sub(
            r"\{(text|entities)\}", lambda found: values[found[1]], reader.prompts[f"{task}.prompt.txt"]
        )
        assert domain[name].format(**values) == plain


def test_kagent_finds_its_system_message(reader: Reader) -> None:
    """Its references lead to each other and to what the run left; the fields are those of its v1alpha2."""
    model, agent = yaml.safe_load_all(block(KAGENT, "yaml", page=PAGE))
    assert {one["apiVersion"] for one in (model, agent)} == {"kagent.dev/v1alpha2"}
    assert (model["kind"], model["spec"].keys()) == ("ModelConfig", {"provider", "model", "ollama"})
    spec = agent["spec"]
    assert (agent["kind"], spec["type"]) == ("Agent", "Declarative")
    declarative = spec["declarative"]
    assert declarative.keys() == {"runtime", "modelConfig", "systemMessageFrom"}
    assert declarative["modelConfig"] == model["metadata"]["name"]
    origin = declarative["systemMessageFrom"]
    assert origin.keys() == {"type", "name", "key"}
    assert (origin["type"], origin["name"]) == ("ConfigMap", "tech-docs-prompt")
    assert "Answer with one JSON object" in reader.prompts[origin["key"]]
