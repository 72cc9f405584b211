"""The whole path, for real: from kubectl apply to a prompt whose F1 anybody can measure again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.integration.trainings import SAMPLES, apply, condition, config_map, jobs, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox

Json = dict[str, Any]


def controller_pid(sandbox: Sandbox) -> int:
    """The controller's process: kill -9 of it is what a node's failure looks like."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            environment = (path.parent / "environ").read_bytes()
        except OSError:
            continue
        if b"controller" in words and str(sandbox.cluster.state).encode() in environment:
            return int(path.parent.name)
    return 0


# What an application does with the prompt, in its own words: nothing of the project is used from here on.


def normal(name: str) -> str:
    """`normalized` as the contract says it."""
    text = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    punctuation = {char for char in text if unicodedata.category(char).startswith("P")}
    return text.strip("".join(punctuation)) or text


def posted(url: str, body: str, text: str, entities: str) -> Json:
    """The published request, filled in one pass in its last message, and the model's answer."""
    request = json.loads(body)
    values = {"{text}": text, "{entities}": entities}
    last = request["messages"][-1]
    last["content"] = re.sub(r"\{text\}|\{entities\}", lambda hit: values[hit[0]], last["content"])
    call = Request(f"{url}/api/chat", json.dumps(request).encode(), {"Content-Type": "application/json"})
    with urlopen(call, timeout=60) as reply:
        return dict(json.loads(json.load(reply)["message"]["content"]))


def found(task: str, answer: Json) -> set[tuple[str, ...]]:
    """The items of an answer or of a sample, as they are compared."""
    if task == "entities":
        return {(normal(item["name"]), item["type"]) for item in answer["entities"]}
    items = answer["relations"]
    return {(normal(item["source"]), item["type"], normal(item["target"])) for item in items}


def measured(url: str, body: str, task: str, samples: list[Json]) -> float:
    """Micro F1 over documents."""

    def one(sample: Json) -> tuple[int, int, int]:
        lines = "\n".join(f"- {entity['name']} ({entity['type']})" for entity in sample["entities"])
        answer = posted(url, body, sample["text"], lines or "(none)")
        said, true = (found(task, one) for one in (answer, sample))
        return len(said & true), len(said), len(true)

    with ThreadPoolExecutor(4) as pool:
        hits, answered, labelled = map(sum, zip(*pool.map(one, samples), strict=True))
    return round(2 * hits / (answered + labelled), 3)


def test_the_published_bytes_have_the_f1_of_status(sandbox: Sandbox, space: str) -> None:
    """Anybody who fills and posts `<task>.request.json` gets the F1 of status, baseline and result."""
    apply(sandbox, space)
    shown = ready(sandbox, space)
    served, baseline = (config_map(sandbox, space, f"docs-prompt{end}") for end in ("", "-r0"))
    assert served == config_map(sandbox, space, "docs-prompt-r1")
    assert shown["model"]["endpoint"] in json.dumps(shown)
    held_out = set(json.loads(served["manifest.json"])["heldOut"])
    samples = [json.loads(line) for line in SAMPLES.splitlines()]
    samples = [one for one in samples if hashlib.sha256(one["text"].encode()).hexdigest() in held_out]
    for task in ("entities", "relations"):
        metrics = shown["metrics"][task]
        assert metrics["documents"] == len(samples)
        url = shown["model"]["endpoint"]
        assert measured(url, served[f"{task}.request.json"], task, samples) == metrics["f1"]
        assert measured(url, baseline[f"{task}.request.json"], task, samples) == metrics["baseline"]["f1"]
    assert shown["metrics"]["entities"]["verdict"] == "Improved"
    assert shown["progress"]["percent"] == 100
    events = sandbox.cluster.kubectl("get", "events", f"--namespace={space}", "--output=json")
    text = samples[0]["text"]
    assert text not in events
    assert text not in json.dumps({key: value for key, value in shown.items() if key != "promptConfig"})
    assert text not in sandbox.controller_log()


def test_bad_samples_are_told_by_line_without_a_model_call(sandbox: Sandbox, space: str) -> None:
    """The first errors stand in the condition; corrected data start the next attempt by themselves."""
    path = f"/api/v1/namespaces/{space}/configmaps/samples"
    sandbox.cluster.api.patch(path, {"data": {"samples.jsonl": '{"text": ""}\n{"entities": 1}\n'}})
    apply(sandbox, space)
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[0] == "True")
    _, reason, message = condition(sandbox, space, "Stalled")
    assert reason == "DatasetInvalid"
    assert "line 1" in message
    assert "line 2" in message
    assert status(sandbox, space).get("metrics") is None
    assert status(sandbox, space)["progress"].get("modelCalls", 0) == 0
    sandbox.cluster.api.patch(path, {"data": {"samples.jsonl": SAMPLES}})
    shown = ready(sandbox, space)
    assert (shown["run"]["number"], shown["run"]["attempts"]) == (1, 2)


def test_a_missing_config_map_is_named_and_waited_for(sandbox: Sandbox, space: str) -> None:
    """Nothing starts; the message says what is missing."""
    apply(sandbox, space, dataset={"configMap": {"name": "absent", "key": "x.jsonl"}})
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "DatasetNotFound")
    assert "ConfigMap absent does not exist" in condition(sandbox, space, "Stalled")[2]
    assert jobs(sandbox, space) == []


def test_an_unknown_model_is_named(sandbox: Sandbox, space: str) -> None:
    """The pull's answer stands in the condition."""
    apply(sandbox, space, model={"name": "nobody-has-this:1b"})
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "ModelNotFound")
    assert jobs(sandbox, space) == []


def test_another_endpoint_is_refused_without_a_request(sandbox: Sandbox, space: str) -> None:
    """Only what the operator's lists allow."""
    apply(sandbox, space, model={"endpoint": "http://169.254.169.254:80"})
    wait_for("Stalled", lambda: condition(sandbox, space, "Stalled")[1] == "ModelNotAllowed")
    assert jobs(sandbox, space) == []


def test_a_killed_operator_ends_the_same_with_one_job(sandbox: Sandbox, space: str) -> None:
    """Kill -9 at the start and while the trainer works."""
    os.kill(controller_pid(sandbox), signal.SIGKILL)
    apply(sandbox, space, tasks=["entities"])
    wait_for("the Job", lambda: jobs(sandbox, space), seconds=60)
    wait_for("Training", lambda: condition(sandbox, space, "Ready")[1] == "Training", seconds=60)
    os.kill(controller_pid(sandbox), signal.SIGKILL)
    shown = ready(sandbox, space)
    assert jobs(sandbox, space) == ["docs-r1-a1"]
    assert shown["run"]["attempts"] == 1


def test_going_back_to_a_kept_spec_serves_it_again_without_a_run(sandbox: Sandbox, space: str) -> None:
    """A changed spec trains anew; the old one comes back at once."""
    apply(sandbox, space, tasks=["entities"])
    first = ready(sandbox, space)
    apply(sandbox, space, tasks=["entities"], optimizer={"seed": 10})
    wait_for("run 2", lambda: status(sandbox, space)["run"]["number"] == 2, seconds=30)
    assert condition(sandbox, space, "Available")[0] == "True"
    wait_for("its end", lambda: condition(sandbox, space, "Reconciling")[0] == "", seconds=240)
    apply(sandbox, space, tasks=["entities"])
    wait_for(
        "revision 1",
        lambda: (
            status(sandbox, space).get("promptConfig", {}).get("revision") == 1
            and condition(sandbox, space, "Ready")[0] == "True"
        ),
    )
    assert status(sandbox, space)["promptConfig"]["digest"] == first["promptConfig"]["digest"]
    assert jobs(sandbox, space) == ["docs-r1-a1", "docs-r2-a1"]


def test_deleting_while_the_operator_is_down_leaves_nothing(sandbox: Sandbox, space: str) -> None:
    """No finalizer: the garbage collector needs no operator."""
    apply(sandbox, space)
    wait_for("the Job", lambda: jobs(sandbox, space))
    deployment = "/apis/apps/v1/namespaces/domaintraining-system/deployments/domaintraining-controller"
    sandbox.cluster.api.patch(deployment, {"spec": {"replicas": 0}})
    wait_for("no controller", lambda: controller_pid(sandbox) == 0)
    sandbox.cluster.kubectl("delete", "dt", "docs", f"--namespace={space}", "--timeout=20s")
    left = f"/api/v1/namespaces/{space}/configmaps"
    wait_for("no Job", lambda: not jobs(sandbox, space))
    wait_for(
        "no ConfigMap but the user's own",
        lambda: (
            {one["metadata"]["name"] for one in sandbox.cluster.api.items(left)}
            == {"samples", "kube-root-ca.crt"}
        ),
    )
    sandbox.cluster.kubectl("delete", "namespace", space, "--timeout=30s")
    sandbox.cluster.api.patch(deployment, {"spec": {"replicas": 1}})
    wait_for("the controller", lambda: controller_pid(sandbox) != 0)
