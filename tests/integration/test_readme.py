"""What the README shows is true: its commands are run as they stand, in what `make sandbox` starts.

Only variables differ: REGISTRY is a name that the simulated node knows, OLLAMA_BASE_URL the simulated server,
and PATH has a simulated docker, as nothing is built here.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.shell import (
    CLUSTER,
    DEPLOYMENT,
    EXPORTS,
    INSTALL,
    LOG,
    PLAIN,
    PLAIN_REMOVE,
    REMOVE,
    WATCH,
    Shell,
    commands,
    installed,
    left_behind,
)
from tests.integration.waiting import wait_for
from tests.readme import block
from tests.sandbox.build import helm_binary
from tests.sandbox.cluster import REPOSITORY, Cluster
from tests.sandbox.environment import CONTROLLER

USE = "Use the prompt"
REGISTRY = "domaintraining.test"
IMAGES = [f"{REGISTRY}/domaintraining-{role}:0.1.0" for role in ("controller", "trainer")]
RESOURCES = "/apis/training.aegisrag.io/v1alpha1/namespaces"
PATIENCE_SECONDS = 240


def sandbox(action: str, state: Path) -> str:
    """What `make sandbox` and `make sandbox-down` run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sandbox", action, f"--state={state}"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "OLLAMA_BASE_URL"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell in which `make sandbox` was run; its last line is the cluster's address."""
    state = tmp_path_factory.mktemp("readme") / "sandbox"
    user = Shell(Cluster(state))
    try:
        said = sandbox("up", state)
        assert said.splitlines()[-1].startswith("export KUBECONFIG=")
        user.export(said)
        user.simulate_docker()
        user.export(f"export PATH={helm_binary(print).parent}:$PATH")
        yield user
    finally:
        sandbox("down", state)
    assert not state.exists()


@pytest.fixture(scope="module")
def watched(shell: Shell) -> list[str]:
    """What `kubectl get dt -w` says after the other lines of the README, up to Ready.

    The sandbox's own operator, which is the plain manifest, is removed before as the README says it.
    """
    server = installed(shell)["OLLAMA_BASE_URL"]
    for line in commands(PLAIN_REMOVE):
        shell.run(line)
    assert left_behind(shell) == ""
    shell.export(block(CLUSTER, "sh", EXPORTS))
    assert {"REGISTRY", "OLLAMA_BASE_URL"} <= shell.environment.keys()
    shell.export(f"export REGISTRY={REGISTRY}\nexport OLLAMA_BASE_URL={server}")
    *lines, last = commands(INSTALL)
    assert last == WATCH
    for line in lines:
        shell.run(line)
    return shell.watch(last)


def test_the_commands_lead_to_a_prompt(watched: list[str]) -> None:
    """Every line as it stands, word for word."""
    header, *rows = watched
    assert {row.split()[0] for row in rows} == {"tech-docs"}
    shown = block(CLUSTER, "text").splitlines()
    assert shown[0].split() == header.split()
    assert {row.split()[2] for row in shown[1:]} <= {"Queued", "Training", "Promoted"}
    end = re.compile(r"True +Promoted +100%( +[01]\.\d{3}→[01]\.\d{3}){2} +qwen3:32b +\d+s$")
    assert [bool(end.search(row)) for row in (rows[-1], shown[-1])] == [True, True]


def test_it_was_the_operator_of_the_chart(shell: Shell, watched: list[str]) -> None:
    """With the images that the user has built and pushed, and the user's model server."""
    assert watched
    resource = shell.cluster.api.get(f"{RESOURCES}/default/domaintrainings/tech-docs")
    server = resource["status"]["model"]["endpoint"]
    controller, trainer = IMAGES
    used = {"image": controller, "TRAINER_IMAGE": trainer, "OLLAMA_BASE_URL": server}
    assert used.items() <= installed(shell).items()
    assert resource["status"]["run"]["image"] == trainer
    calls = shell.docker_calls.read_text(encoding="utf-8").splitlines()
    targets = [
        f"build --target {role} --tag {image} ."
        for role, image in zip(("controller", "trainer"), IMAGES, strict=True)
    ]
    assert calls == [*targets, *(f"push {image}" for image in IMAGES)]
    assert "default/tech-docs Ready=True Promoted" in shell.run(block(CLUSTER, "sh", LOG))


def test_the_smallest_resource_is_taken_on(shell: Shell, watched: list[str]) -> None:
    """The API server accepts it and the operator gets to work, in a namespace of its own."""
    assert watched
    shell.run("kubectl create namespace smallest")
    origin = "samples.jsonl=crds/samples/tech-docs.jsonl"
    shell.run(f"kubectl -n smallest create configmap tech-docs --from-file={origin}")
    shell.run(f"kubectl -n smallest apply -f - <<'END'\n{block(CLUSTER, 'yaml')}END")
    path = f"{RESOURCES}/smallest/domaintrainings/tech-docs"

    def reason() -> str:
        conditions = shell.cluster.api.get(path).get("status", {}).get("conditions", [])
        return "".join(one["reason"] for one in conditions if one["type"] == "Ready")

    wait_for("a Job", lambda: reason() in {"Queued", "Training"})


def test_the_prompt_can_be_used_in_both_ways(shell: Shell, watched: list[str], tmp_path: Path) -> None:
    """Its keys are read with kubectl; plain HTTP and DSPy give the same answer of the model server."""
    assert watched
    resource = shell.cluster.api.get(f"{RESOURCES}/default/domaintrainings/tech-docs")
    shell.export(f"export OLLAMA_BASE_URL={resource['status']['model']['endpoint']}")
    shell.export(f"export PYTHONPATH={REPOSITORY / 'operator'}")
    shell.run(block(USE, "sh"), tmp_path)
    answers = []
    for number in (0, 1):
        (tmp_path / "use.py").write_text(block(USE, "python", number), encoding="utf-8")
        answers.append(ast.literal_eval(shell.run(f"{sys.executable} -W error use.py", tmp_path)))
    assert answers[0] == answers[1]
    assert {"name": "PostgreSQL", "type": "TECHNOLOGY"} in answers[0]


def test_everything_can_be_removed_again(shell: Shell, watched: list[str]) -> None:
    """While something may be training; only the user's own samples stay."""
    assert watched
    assert CONTROLLER in left_behind(shell)
    for line in commands(REMOVE):
        shell.run(line)
    wait_for("nothing is left", lambda: left_behind(shell) == "")
    assert shell.run("kubectl get configmap tech-docs -o name") == "configmap/tech-docs\n"


def test_it_can_be_installed_without_helm(shell: Shell, watched: list[str]) -> None:
    """The base's manifest, with the same images and model server."""
    assert watched
    for line in commands(PLAIN):
        shell.run(line)
    assert installed(shell)["image"] == IMAGES[0]
    wait_for("the operator", lambda: shell.cluster.api.get(DEPLOYMENT)["status"].get("availableReplicas"))


def test_the_demo_ends_by_itself(tmp_path: Path) -> None:
    """`make demo` runs it: a trained prompt, its figures beside the baseline's, 0, nothing left behind."""
    said = sandbox("demo", tmp_path / "demo")
    assert re.search(r"^entities  +[01]\.\d{3}  +[01]\.\d{3} \[.*Improved", said, re.MULTILINE)
    assert "The model is SIMULATED" in said
    assert re.search(r"^tech-docs +True +Promoted +100% ", said, re.MULTILINE)
    assert not (tmp_path / "demo").exists()
