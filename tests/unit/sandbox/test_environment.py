"""What a pod's process is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.node import environment, launch
from tests.sandbox.node.environment import Image, MissingReference

Json = dict[str, Any]
POD: Json = {
    "metadata": {"name": "trainer-x", "namespace": "team", "uid": "u-1", "labels": {"app": "t"}},
    "spec": {"nodeName": "simulated-node-1", "serviceAccountName": "trainer", "containers": []},
}
FOLDERS = {"/data": "/local/d", "/data/deep": "/local/deep", "/var/run/x": "/local/x"}
IMAGE = Image("domaintraining", "/venv/bin/python", ("-m", "domaintraining"))


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/data", "/local/d"),
        ("/data/samples.jsonl", "/local/d/samples.jsonl"),
        ("--file=/data/a:/var/run/x/token", "--file=/local/d/a:/local/x/token"),
        ("/data/deep/a", "/local/deep/a"),
        ("open('/data/a')", "open('/local/d/a')"),
        ("/database", "/database"),
        ("/data-old/a", "/data-old/a"),
        ("/srv/data/a", "/srv/data/a"),
        ("http://host:80/data/a", "http://host:80/data/a"),
        ("", ""),
    ],
)
def test_a_mount_path_is_replaced_only_where_a_path_begins(text: str, rewritten: str) -> None:
    assert environment.rewrite(text, FOLDERS) == rewritten


def test_without_mounts_nothing_is_replaced() -> None:
    assert environment.rewrite("/data", {}) == "/data"


def test_variables_are_expanded_as_kubernetes_does() -> None:
    assert environment.expand("$(A)-$(B)-$$(A)-$A", {"A": "1"}) == "1-$(B)-$(A)-$A"


def test_env_takes_values_references_and_fields_in_order() -> None:
    container = {
        "name": "c",
        "resources": {"limits": {"memory": "200Mi"}, "requests": {"cpu": "1500m"}},
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
        "env": [
            {"name": "HOST", "value": "$(KUBERNETES_SERVICE_HOST):$(P_k)"},
            {"name": "FROM_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "MB", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1M"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
            {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": True}}},
        ],
    }
    objects = {
        ("configMap", "cm"): {"k": "v"},
        ("secret", "s"): {"password": "pw"},
        ("configMap", "no"): None,
    }
    assert environment.references(container) == set(objects)
    assert environment.variables(container, POD, objects, {"KUBERNETES_SERVICE_HOST": "h"}) == {
        "KUBERNETES_SERVICE_HOST": "h",
        "P_k": "v",
        "password": "pw",
        "HOST": "h:v",
        "FROM_KEY": "pw",
        "NAME": "trainer-x",
        "LABEL": "t",
        "MB": "210",
        "CPU": "2",
    }


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "no"}}, "couldn't find key no in ConfigMap team/cm"),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"fieldRef": {"fieldPath": "status.qosClass"}}, "unsupported fieldPath: status.qosClass"),
    ],
)
def test_what_is_missing_is_said_in_the_kubelets_words(origin: Json, words: str) -> None:
    container = {"name": "c", "env": [{"name": "A", "valueFrom": origin}]}
    with pytest.raises(MissingReference, match="^" + words.replace("(", r"\(")):
        environment.variables(container, POD, {("configMap", "cm"): {"k": "v"}}, {})


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"command": ["python", "-m", "x"]}, ["/venv/bin/python", "-m", "x"]),
        ({"args": ["controller"]}, ["/venv/bin/python", "-m", "domaintraining", "controller"]),
        ({"command": ["sh", "-c"], "args": ["echo $(A)"]}, ["sh", "-c", "echo 1"]),
    ],
)
def test_command_and_args_replace_what_kubernetes_lets_them_replace(
    container: Json, words: list[str]
) -> None:
    assert environment.command_line(container, IMAGE, {"A": "1"}) == words


def test_without_command_and_entry_point_there_is_nothing_to_start() -> None:
    assert environment.command_line({"args": ["x"]}, Image("a", "/python"), {}) == []


def test_the_longest_prefix_decides_about_an_image() -> None:
    images = [environment.parse_image("a=/one"), environment.parse_image("a/b=/two -m 'x y'")]
    found = environment.find_image("a/b:1", images)
    assert found
    assert (found.python, found.entry_point) == ("/two", ("-m", "x y"))
    assert environment.find_image("nginx", images) is None


@pytest.mark.parametrize("text", ["a", "a=", "=/python", "a=python"])
def test_an_image_needs_a_prefix_and_an_absolute_interpreter(text: str) -> None:
    with pytest.raises(ValueError, match="IMAGE_PREFIX="):
        environment.parse_image(text)


def test_a_process_gets_its_pods_environment_and_none_of_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATORS_SECRET", "x")
    container = {
        "name": "c",
        "args": ["run", "/data/samples"],
        "workingDir": "/data",
        "env": [{"name": "MESSAGE", "value": "/dev/termination-log"}],
        "volumeMounts": [
            {"name": "d", "mountPath": "/data"},
            {"name": "token", "mountPath": launch.SERVICE_ACCOUNT},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    }
    place = launch.Place("127.0.0.1", "6443", ["/modules"], Path("/state"))
    plan = launch.launch(
        POD, container, image=IMAGE, objects={}, place=place, pod_folder=Path("/state/pods/p")
    )
    assert plan.words[-2:] == ["run", "/state/pods/p/volumes/d/samples"]
    assert plan.folder == "/state/pods/p/volumes/d"
    assert plan.environment == {
        "PATH": "/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/state/pods/p/containers/c/home",
        "TMPDIR": "/state/pods/p/volumes/scratch",
        "HOSTNAME": "trainer-x",
        "LANG": "C.UTF-8",
        "PYTHONPATH": "/modules",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SIMULATED_NODE_STATE": "/state",
        "KUBECONFIG": "/state/pods/p/containers/c/kubeconfig",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": "6443",
        "MESSAGE": "/state/pods/p/containers/c/termination-log",
    }


def test_a_pod_without_a_mounted_token_gets_no_kubeconfig() -> None:
    place = launch.Place("127.0.0.1", "6443", [], Path("/state"))
    container = {"name": "c", "workingDir": "/etc"}
    plan = launch.launch(
        POD, container, image=IMAGE, objects={}, place=place, pod_folder=Path("/state/pods/p")
    )
    assert "KUBECONFIG" not in plan.environment
    assert plan.folder == "/state/pods/p/containers/c/home"
