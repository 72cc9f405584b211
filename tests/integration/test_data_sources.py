"""Samples on a server, from `kubectl apply` to the prompt, and what a resource says where they don't come."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.test_reach import DEPLOYMENT, patch, rolled_out
from tests.integration.trainings import SAMPLES, apply, condition, config_map, ready, status
from tests.integration.waiting import wait_for
from tests.sandbox.environment import Sandbox
from tests.sandbox.neo4j.server import Neo4j
from tests.sandbox.s3.server import S3
from tests.unit.trainer.loopback import Loopback, Received, Reply

CANARY = "canary-7d1f-s3cr3t"
CONTENT = SAMPLES.encode()
DIGEST = hashlib.sha256(CONTENT).hexdigest()

Json = dict[str, Any]


def answer(request: Received) -> Reply:
    """A server of files, some of which want a token."""
    path = request.path.partition("?")[0]
    if path == "/samples.jsonl":
        allowed = request.headers.get("Authorization") == f"Bearer {CANARY}"
        return Reply(CONTENT, headers={"ETag": '"v1"'}) if allowed else Reply({}, status=401)
    if path == "/wrong.jsonl":
        return Reply(b'{"text": "A"}\nno JSON\n')
    if path == "/away":
        return Reply({}, status=302, headers={"Location": "http://169.254.169.254/"})
    return Reply({}, status=503 if path == "/busy" else 404)


@pytest.fixture(scope="module")
def files(sandbox: Sandbox) -> Iterator[Loopback]:
    """The server, which the operator's owner allows by its address."""
    before = sandbox.cluster.api.get(DEPLOYMENT)["spec"]
    with Loopback(answer) as server:
        allowed = server.url.partition("://")[2]
        patch(sandbox, {"ALLOWED_DATA_HOSTS": allowed, "OUTAGE_SECONDS": "2"}, [], [])
        yield server
        restored = [{"op": "replace", "path": "/spec/template", "value": before["template"]}]
        sandbox.cluster.api.patch(DEPLOYMENT, restored, "json")
        rolled_out(sandbox)


def add_secret(sandbox: Sandbox, space: str, name: str, **values: str) -> None:
    """A Secret of the namespace."""
    body = {"metadata": {"name": name}, "stringData": values}
    sandbox.cluster.api.create(f"/api/v1/namespaces/{space}/secrets", body)


def has_read(sandbox: Sandbox, space: str, count: int) -> bool:
    """Whether the trainer has told of so many samples."""
    return f"{count} samples: " in condition(sandbox, space, "DatasetValid")[2]


def objects(sandbox: Sandbox, space: str) -> str:
    """All objects of a namespace but its Secrets, as JSON."""
    kubectl = sandbox.cluster.kubectl
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    wanted = ",".join(kind for kind in kinds if kind != "secrets")
    return kubectl("get", wanted, f"--namespace={space}", "--output=json", "--show-managed-fields")


def files_with(folder: Path, word: str) -> list[str]:
    """Files that hold a word, but for the API server's own data and the Secret as it is mounted."""
    found = []
    for file in folder.rglob("*"):
        if {"etcd", "data-credentials"} & set(file.parts) or not file.is_file():
            continue
        if word.encode() in file.read_bytes():
            found.append(str(file.relative_to(folder)))
    return found


def test_a_file_behind_a_token_is_trained_with_and_the_token_appears_nowhere(
    sandbox: Sandbox, space: str, files: Loopback
) -> None:
    """Neither in an object of the namespace but the Secret, nor in a log, the journal or the report."""
    add_secret(sandbox, space, "token", Authorization=f"Bearer {CANARY}")
    source = {"url": f"{files.url}/samples.jsonl", "sha256": DIGEST, "headersSecretRef": {"name": "token"}}
    apply(sandbox, space, tasks=["entities"], dataset={"http": source})
    wait_for("its pod", lambda: sandbox.cluster.api.items(f"/api/v1/namespaces/{space}/pods"), seconds=60)
    (policy,) = sandbox.cluster.api.items(f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies")
    shown = ready(sandbox, space)
    assert shown["dataset"]["samples"] == len(SAMPLES.splitlines())
    manifest = json.loads(config_map(sandbox, space, "docs-prompt-r1")["manifest.json"])
    assert manifest["dataset"]["version"] == '"v1"'
    assert str(files.url.rpartition(":")[2]) in json.dumps(policy["spec"]["egress"])
    assert [one.headers.get("Authorization") for one in files.received] == [f"Bearer {CANARY}"]
    assert CANARY not in objects(sandbox, space)
    assert "token" in objects(sandbox, space)
    state = sandbox.cluster.state
    assert any(CANARY in file.read_text() for file in state.rglob("data-credentials/Authorization"))
    assert any(file.stat().st_size for file in state.rglob("journal/*/*.jsonl"))
    assert files_with(state, CANARY) == []


def test_an_object_and_rows_of_a_graph_are_read(
    sandbox: Sandbox, space: str, files: Loopback, neo4j: Neo4j, tmp_path: Path
) -> None:
    """By trainers in pods, each with its Secret; the graph's user and password are the namespace's own."""
    store = S3(tmp_path)
    store.start(print)
    try:
        client = store.client()
        client.make_bucket("team")
        packed = gzip.compress(CONTENT)
        client.put_object("team", "docs.jsonl.gz", io.BytesIO(packed), len(packed))
        neo4j.query("UNWIND range(1, 40) AS n CREATE (:Sample {text: 'Loki stores logs of host ' + n + '.'})")
        hosts = [one.partition("://")[2] for one in (files.url, store.url, neo4j.uri)]
        patch(sandbox, {"ALLOWED_DATA_HOSTS": ",".join(hosts)}, [], [])
        keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
        add_secret(sandbox, space, "store", **keys)
        add_secret(sandbox, space, "graph", username=neo4j.user, password=neo4j.password)
        stored = {"bucket": "team", "key": "docs.jsonl.gz", "endpoint": store.url}
        query = "MATCH (s:Sample) RETURN s.text AS text, [{name: 'Loki', type: 'Software'}] AS entities"
        for count, dataset in (
            (len(SAMPLES.splitlines()), {"s3": {**stored, "credentialsSecretRef": {"name": "store"}}}),
            (40, {"neo4j": {"uri": neo4j.uri, "query": query, "credentialsSecretRef": {"name": "graph"}}}),
        ):
            apply(sandbox, space, tasks=["entities"], dataset=dataset)
            wait_for(f"{count} samples", partial(has_read, sandbox, space, count), seconds=90)
        shown = objects(sandbox, space)
        assert not [one for one in (store.secret_key, neo4j.password) if one in shown]
        assert files_with(sandbox.cluster.state, store.secret_key) == []
        sandbox.cluster.kubectl("delete", "domaintraining", "docs", f"--namespace={space}")
    finally:
        store.stop()


class Bad(NamedTuple):
    """A source that gives no samples, and what the resource says of it."""

    dataset: Json
    reason: str
    words: str
    stalled: bool = True


BAD = {
    "no file": Bad({"http": {"url": "{files}/none"}}, "DatasetNotFound", "status 404"),
    "no token": Bad({"http": {"url": "{files}/samples.jsonl"}}, "DatasetAccessDenied", "status 401"),
    "no Secret": Bad(
        {"http": {"url": "{files}/samples.jsonl", "headersSecretRef": {"name": "missing"}}},
        "DatasetSecretInvalid",
        "Secret missing: does not exist in this namespace",
    ),
    "other bytes": Bad(
        {
            "http": {
                "url": "{files}/samples.jsonl",
                "sha256": "0" * 64,
                "headersSecretRef": {"name": "token"},
            }
        },
        "DatasetChecksumMismatch",
        DIGEST,
    ),
    "no samples": Bad({"http": {"url": "{files}/wrong.jsonl"}}, "DatasetInvalid", "line 2: is not JSON"),
    "redirect": Bad({"http": {"url": "{files}/away"}}, "DatasetAddressNotAllowed", "redirects to another"),
    "busy": Bad({"http": {"url": "{files}/busy"}}, "DatasetUnreachable", "status 503", stalled=False),
    "private": Bad(
        {"http": {"url": "http://10.0.0.7/s.jsonl"}}, "DatasetAddressNotAllowed", "ALLOWED_DATA_HOSTS"
    ),
    "metadata service": Bad(
        {"s3": {"bucket": "latest", "key": "meta-data", "endpoint": "http://169.254.169.254"}},
        "DatasetAddressNotAllowed",
        "link-local",
    ),
    "no server": Bad(
        {"s3": {"bucket": "b-1", "key": "k", "endpoint": "{files}"}}, "DatasetNotFound", "with status 404"
    ),
    "a graph that is none": Bad(
        {
            "neo4j": {
                "uri": "bolt://{host}",
                "query": "RETURN 1 AS text",
                "credentialsSecretRef": {"name": "token"},
            }
        },
        "DatasetSecretInvalid",
        "Secret token: has no key username",
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_the_resource_says_why_there_are_no_samples(
    sandbox: Sandbox, space: str, files: Loopback, bad: Bad
) -> None:
    """DatasetValid has the reason and the words, with the remedy; no call was made and no score taken."""
    add_secret(sandbox, space, "token", Authorization=f"Bearer {CANARY}")
    host = files.url.partition("://")[2]
    dataset = json.loads(json.dumps(bad.dataset).replace("{files}", files.url).replace("{host}", host))
    apply(sandbox, space, tasks=["entities"], dataset=dataset)
    wait_for(bad.reason, lambda: condition(sandbox, space, "DatasetValid")[1] == bad.reason, seconds=90)
    held, _, message = condition(sandbox, space, "DatasetValid")
    assert held == "False"
    assert bad.words in message
    assert bool(condition(sandbox, space, "Stalled")[0]) is bad.stalled
    assert CANARY not in objects(sandbox, space)
    assert status(sandbox, space).get("progress", {}).get("modelCalls", 0) == 0
