"""The main job from nothing: samples and a DomainTraining are applied, a trained prompt comes out."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.environment import MODEL, Sandbox
from tests.sandbox.graph import described, read_back
from tests.sandbox.neo4j.server import Neo4j
from tests.sandbox.progress import Say

Json = dict[str, Any]
NAMESPACE = "demo"
NAME = "tech-docs"
DOMAIN = "tech_docs"
SAMPLES = "crds/samples/tech-docs.jsonl"
MANIFEST = "crds/samples/tech-docs.yaml"
RESOURCE = f"/apis/training.aegisrag.io/v1alpha1/namespaces/{NAMESPACE}/domaintrainings/{NAME}"
LIMIT_SECONDS = 900.0
GRAPH_SECONDS = 60.0
PAUSE_SECONDS = 0.5
PROMPT_LINES = 24
WIDTH = 110
HEADINGS = ("task", "baseline F1", "F1 [95 %]", "improvement [95 %]", "verdict", "documents")
TITLES = {"entities": "entities", "relations": "relations", "endToEnd": "end to end"}


def demo(sandbox: Sandbox, say: Say) -> int:
    """Runs the demo and stops what it started, whatever happens. Gives 0 with a trained prompt, else 1."""
    started = time.monotonic()
    try:
        say("[1/5] A Kubernetes control plane with the operator")
        sandbox.up(say)
        say("[2/5] Samples and DomainTraining")
        if sandbox.graph:
            _name_model(sandbox.graph, say)
        _apply(sandbox.cluster, say)
        say(f"[3/5] Training: kubectl get dt -w, at most {LIMIT_SECONDS / 60:.0f} minutes")
        with _watch(sandbox.cluster):
            resource = _await_end(sandbox.cluster)
        if condition(resource, "Ready") != "True":
            _explain(sandbox, resource, say)
            return 1
        _show(sandbox, resource, say)
        if sandbox.graph and not _show_graph(sandbox, sandbox.graph, say):
            return 1
        say(f"Done after {time.monotonic() - started:.0f} s.")
        return 0
    finally:
        say("[5/5] Stopping everything")
        sandbox.down()


def condition(resource: Mapping[str, Any], kind: str) -> str:
    """The status of a condition of the resource's present generation; Unknown where there is none."""
    generation = resource["metadata"]["generation"]
    for found in resource.get("status", {}).get("conditions", ()):
        if found["type"] == kind and found.get("observedGeneration", generation) == generation:
            return str(found["status"])
    return "Unknown"


def _name_model(graph: Neo4j, say: Say) -> None:
    """The graph names the model of its domain, the resource names none."""
    statement = f"CREATE (:Domain {{name: '{DOMAIN}', llm_model: '{MODEL}'}})"
    say(f"Neo4j: {statement}")
    graph.query(statement)


def _apply(cluster: Cluster, say: Say) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE)
    origin = ["create", "configmap", NAME, f"--from-file=samples.jsonl={SAMPLES}"]
    say(f"$ kubectl -n {NAMESPACE} {' '.join(origin)}")
    origin[-1] = f"--from-file=samples.jsonl={REPOSITORY / SAMPLES}"
    cluster.kubectl(f"--namespace={NAMESPACE}", *origin)
    say(f"$ kubectl -n {NAMESPACE} apply -f {MANIFEST}")
    answer = cluster.kubectl(f"--namespace={NAMESPACE}", "apply", f"--filename={REPOSITORY / MANIFEST}")
    say(answer.strip())


@contextmanager
def _watch(cluster: Cluster) -> Iterator[None]:
    """Lets kubectl write each change of the resource to our own output meanwhile."""
    command = [str(cluster.kubectl_program), f"--namespace={NAMESPACE}", "get", "dt", "--watch"]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(cluster.state)}
    watch = subprocess.Popen(command, env={**environment, "KUBECONFIG": str(cluster.admin_kubeconfig)})
    try:
        yield
    finally:
        watch.terminate()
        watch.wait(timeout=10)


def _await_end(cluster: Cluster) -> Json:
    """The resource when it is Ready or Stalled, or as it is when the time is up."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        resource = cluster.api.get(RESOURCE)
        ended = "True" in (condition(resource, "Ready"), condition(resource, "Stalled"))
        if ended or time.monotonic() > deadline:
            time.sleep(PAUSE_SECONDS)  # for kubectl's last line
            return resource
        time.sleep(PAUSE_SECONDS)


def _explain(sandbox: Sandbox, resource: Json, say: Say) -> None:
    """Why there is no prompt: the conditions, and the ends of the trainer's and the operator's log."""
    stalled = condition(resource, "Stalled") == "True"
    say("The training is stalled." if stalled else f"No end within {LIMIT_SECONDS / 60:.0f} minutes.")
    status = resource.get("status", {})
    say(_yaml({"conditions": status.get("conditions"), "progress": status.get("progress")}))
    selector = f"--selector=training.aegisrag.io/name={NAME}"
    tail = ["logs", f"--namespace={NAMESPACE}", selector, "--tail=20", "--all-containers"]
    say("--- end of the job's log")
    say(sandbox.cluster.kubectl(*tail).strip() or "(no log)")
    say("--- end of the operator's log")
    say(sandbox.controller_log().strip())


def _show(sandbox: Sandbox, resource: Json, say: Say) -> None:
    status = resource["status"]
    say("[4/5] The result")
    say(f"$ kubectl -n {NAMESPACE} get dt {NAME} -o yaml     (conditions and metrics)")
    say(_yaml({"conditions": status["conditions"], "metrics": status.get("metrics")}))
    prompt = status["promptConfig"]["configMap"]
    data = sandbox.cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{prompt}")["data"]
    lines = data["entities.prompt.txt"].splitlines()
    say(f"ConfigMap {prompt}, entities.prompt.txt, {min(PROMPT_LINES, len(lines))} of {len(lines)} lines:")
    say("\n".join(f"  | {line[:WIDTH]}" for line in lines[:PROMPT_LINES]))
    say("")
    say("\n".join(table(status.get("metrics", {}))))
    say("")
    if sandbox.simulated:
        say("The model is SIMULATED: its answers come from the prompt by rules. The figures show that the")
        say("measuring and the training work, not how good a language model is. With a real one:")
        say("  OLLAMA_BASE_URL=http://HOST:11434 make demo")
    else:
        say(f"The model is the one that {sandbox.own_server} serves.")


def _show_graph(sandbox: Sandbox, graph: Neo4j, say: Say) -> bool:
    """The domain as it is read back; whether there is one."""
    deadline = time.monotonic() + GRAPH_SECONDS
    while condition(resource := sandbox.cluster.api.get(RESOURCE), "GraphSynced") != "True":
        if time.monotonic() > deadline:
            say(f"The domain is not in Neo4j after {GRAPH_SECONDS:.0f} s.")
            _explain(sandbox, resource, say)
            return False
        time.sleep(PAUSE_SECONDS)
    domain, logs = read_back(graph, DOMAIN)
    say(f"The domain read back from Neo4j ({graph.uri}), MATCH (d:Domain {{name: '{DOMAIN}'}}):")
    for line in described(domain, logs, WIDTH):
        say(line)
    say(f"  status.model.source of the DomainTraining: {resource['status']['model']['source']}")
    if sandbox.simulated:
        say("  These figures too are of the SIMULATED model.")
    say("")
    return domain.get("status") == "ready"


def table(metrics: Mapping[str, Any]) -> list[str]:
    """What the held-out documents say of each task, as aligned lines; `metrics` as in the status."""
    rows = [HEADINGS, *(_row(title, metrics[task]) for task, title in TITLES.items() if metrics.get(task))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _row(title: str, task: Mapping[str, Any]) -> tuple[str, ...]:
    gained = task.get("improvement")
    return (
        title,
        _figure(task.get("baseline", {}).get("f1")),
        _with_interval(task.get("f1"), task.get("confidenceInterval")),
        _with_interval(gained and gained["value"], gained, "+.3f"),
        str(task["verdict"]),
        str(task.get("documents", 0)),
    )


def _with_interval(value: float | None, interval: Mapping[str, float] | None, form: str = ".3f") -> str:
    if value is None or not interval:
        return _figure(value, form)
    return f"{value:{form}} [{interval['low']:{form}}, {interval['high']:{form}}]"


def _figure(value: float | None, form: str = ".3f") -> str:
    return "not measured" if value is None else f"{value:{form}}"


def _yaml(value: Json) -> str:
    return "\n".join(f"  {line}" for line in yaml.safe_dump(value, sort_keys=False, width=WIDTH).splitlines())
