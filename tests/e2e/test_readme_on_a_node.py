"""What the README says about one's own cluster is true on a real node: its lines run as they stand.

The variables too. Only docker is simulated: the images were built from the same Dockerfile before, and what
a push would bring to the node is given its name there.
"""

from __future__ import annotations

import re

import pytest

from tests.e2e import images
from tests.e2e.product import ENDPOINT, RESTRICTED, Product
from tests.integration.shell import (
    CLUSTER,
    EXPORTS,
    INSTALL,
    LOG,
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

ROLES = {"controller": images.CONTROLLER, "trainer": images.TRAINER}


@pytest.fixture(scope="module")
def shell(product: Product) -> Shell:
    """A shell with kubectl and helm; the operator of the other tests is removed as the README says it."""
    user = Shell(product.cluster)
    programs = f"{product.cluster.kubectl_program.parent}:{helm_binary(print).parent}"
    user.export(f"export PATH={programs}:$PATH\nexport KUBECONFIG={product.cluster.admin_kubeconfig}")
    user.simulate_docker()
    for line in commands(REMOVE):
        user.run(line)
    wait_for("nothing is left", lambda: left_behind(user) == "", 60)
    return user


@pytest.fixture(scope="module")
def watched(product: Product, shell: Shell) -> list[str]:
    """What the last line of the README's block says up to Ready, in a namespace that is restricted."""
    product.cluster.api.patch("/api/v1/namespaces/default", {"metadata": {"labels": RESTRICTED}})
    shell.export(block(CLUSTER, "sh", EXPORTS))
    assert shell.environment["OLLAMA_BASE_URL"] == ENDPOINT
    for role, image in ROLES.items():
        product.cluster.runtime.add_name(image, image_of_the_readme(shell, role))
    *lines, last = commands(INSTALL)
    assert last == WATCH
    for line in lines:
        shell.run(line)
    return shell.watch(last)


def test_the_commands_lead_to_a_prompt(watched: list[str]) -> None:
    """Word for word, with the columns and states that the README shows."""
    header, *rows = watched
    shown = block(CLUSTER, "text").splitlines()
    assert shown[0].split() == header.split()
    # A row without them is one that the operator has not seen yet.
    states = {row.split()[2] for row in rows if row.split()[1] in {"True", "False"}}
    assert states <= {row.split()[2] for row in shown[1:]} | {"Pending"}
    assert re.search(r"True +Promoted +100%( +[01]\.\d{3}→[01]\.\d{3}){2} +qwen3:32b +\d+m?\d*s?$", rows[-1])


def test_it_was_the_operator_of_the_readme(product: Product, shell: Shell, watched: list[str]) -> None:
    """Both images by the names that were built and pushed, and the model server of the variable."""
    assert watched
    found = installed(shell)
    assert found["image"] == image_of_the_readme(shell, "controller")
    assert found["TRAINER_IMAGE"] == image_of_the_readme(shell, "trainer")
    calls = shell.docker_calls.read_text(encoding="utf-8")
    for role in ROLES:
        assert f"push {image_of_the_readme(shell, role)}" in calls
    pods = product.cluster.api.items("/api/v1/namespaces/default/pods")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {found["TRAINER_IMAGE"]}
    assert "default/tech-docs Ready=True Promoted" in shell.run(block(CLUSTER, "sh", LOG))


def test_everything_can_be_removed_again(shell: Shell, watched: list[str]) -> None:
    """Only the user's own samples stay."""
    assert watched
    assert left_behind(shell)
    for line in commands(REMOVE):
        shell.run(line)
    wait_for("nothing is left", lambda: left_behind(shell) == "", 60)
    assert shell.run("kubectl get configmap tech-docs -o name") == "configmap/tech-docs\n"


def image_of_the_readme(shell: Shell, role: str) -> str:
    """The image of a role as the README's commands name it."""
    return f"{shell.environment['REGISTRY']}/domaintraining-{role}:0.1.0"
