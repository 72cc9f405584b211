"""The operator's lists, as a resource meets them: no request is sent, and what waits goes on by itself."""

from dataclasses import replace
from typing import Any

import pytest

from domaintraining.controller.cluster import JOB
from domaintraining.controller.models import ModelInfo
from domaintraining.controller.settings import ServerLimits, Settings
from tests.unit.controller.world import BETTER, SPEC, World

CHAT = ModelInfo("sha256:1", frozenset({"completion"}))
GPU = "http://gpu.example:11434"
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {"model": {"endpoint": GPU}},
        {"allowed_endpoints": (GPU,)},
        "ModelNotAllowed",
        f"spec.model.endpoint: {GPU} is not allowed by ALLOWED_ENDPOINTS or MODEL_SERVERS",
    ),
    (
        {"model": {"endpoint": GPU}},
        {"model_servers": (ServerLimits(GPU),)},
        "ModelNotAllowed",
        f"spec.model.endpoint: {GPU} is not allowed by ALLOWED_ENDPOINTS or MODEL_SERVERS",
    ),
    (
        {"model": {"promptModel": {"name": "large", "endpoint": GPU}}},
        {"allowed_endpoints": ("http://gpu.*:11434",)},
        "ModelNotAllowed",
        f"spec.model.promptModel.endpoint: {GPU} is not allowed by ALLOWED_ENDPOINTS or MODEL_SERVERS",
    ),
    (
        {"model": {"name": "models.corp/x/y"}},
        {"allowed_registries": ("models.corp",)},
        "ModelNotAllowed",
        "spec.model.name: models.corp/x/y names the registry models.corp, not allowed by ALLOWED_REGISTRIES",
    ),
    (
        {"model": {"promptModel": {"name": "models.corp/x/y"}}},
        {"allowed_registries": ("*.corp",)},
        "ModelNotAllowed",
        "spec.model.promptModel.name: models.corp/x/y names the registry models.corp",
    ),
    (
        {"job": {"priorityClassName": "urgent"}},
        {"allowed_priority_classes": ("urgent",)},
        "PlacementNotAllowed",
        "spec.job.priorityClassName: urgent is not allowed by ALLOWED_PRIORITY_CLASSES",
    ),
    (
        {"job": {"nodeSelector": {"pool": "gold"}}},
        {"allowed_node_labels": ("pool=silver", "pool=gold")},
        "PlacementNotAllowed",
        "spec.job.nodeSelector: pool=gold is not allowed by ALLOWED_NODE_LABELS",
    ),
    (
        {"job": {"tolerations": [{"key": "a", "value": "b"}, {"key": "pool", "value": "gold"}]}},
        {"allowed_tolerations": ("a=b", "pool=gold")},
        "PlacementNotAllowed",
        "spec.job.tolerations[1]: pool=gold is not allowed by ALLOWED_TOLERATIONS",
    ),
    (
        {"job": {"tolerations": [{"key": "pool", "operator": "Exists"}]}},
        {"allowed_tolerations": ("pool=*",)},
        "PlacementNotAllowed",
        "spec.job.tolerations[0]: pool with every value is not allowed by ALLOWED_TOLERATIONS",
    ),
    (
        {"job": {"tolerations": [{"operator": "Exists"}]}},
        {"allowed_tolerations": ("*",)},
        "PlacementNotAllowed",
        "spec.job.tolerations[0]: every taint is not allowed by ALLOWED_TOLERATIONS",
    ),
]


CLOSED = Settings(
    trainer_image="domaintraining:1",
    allowed_pulls=(),
    allowed_node_labels=("pool=silver",),
    allowed_tolerations=("a=b",),
)
"""They allow a smallest spec and little else."""


def meeting(spec: dict[str, Any], **lists: Any) -> World:
    """A resource under an operator with these lists."""
    world = World(SPEC | spec)
    for name in ("large", "models.corp/x/y"):
        world.models.models[name] = CHAT
    give(world, **lists)
    return world


def give(world: World, **lists: Any) -> None:
    """Start the operator anew, with these lists."""
    world.settings = replace(CLOSED, **lists)
    world.controller = world.started()


@pytest.mark.parametrize(("spec", "longer", "reason", "said"), REFUSED)
def test_what_no_list_names_is_refused_and_goes_on_when_it_does(
    spec: dict[str, Any], longer: dict[str, Any], reason: str, said: str
) -> None:
    """The message names field, value and setting; no server is asked and no Job made before."""
    world = meeting(spec)
    again = world.settle()
    assert world.conditions["Stalled"] == ("True", reason)
    assert world.says("Stalled").startswith(said)
    assert "extend the setting that the message names" in world.says("Stalled")
    assert (world.models.asked, world.names(JOB)) == ([], [])
    assert again is not None, "it looks again without an event"
    give(world, **longer)
    world.settle()
    assert world.names(JOB) == ["docs-r1-a1"]
    assert "Stalled" not in world.conditions


def test_a_model_that_may_not_be_pulled_is_not() -> None:
    """Its server is allowed and asked whether it has it; the message names the field."""
    world = meeting({"model": {"promptModel": {"name": "huge"}}})
    world.settle()
    assert world.conditions["ModelReady"] == ("False", "ModelNotAllowed")
    assert world.says("ModelReady").startswith("spec.model.promptModel.name: huge is not on ")
    assert "ALLOWED_PULLS" in world.says("ModelReady")
    assert world.names(JOB) == []


def test_a_shorter_list_stops_nothing_that_runs() -> None:
    """It ends with its result; its next attempt or run would be looked at."""
    world = meeting({"model": {"endpoint": GPU}}, allowed_endpoints=(GPU,))
    world.settle()
    world.run_pod()
    give(world)
    world.settle()
    assert world.conditions["Ready"] == ("False", "Training")
    world.result(BETTER)
    world.settle()
    assert world.conditions["Ready"] == ("True", "Promoted")
    world.ask("2026-11-24T00:00:00Z")
    world.settle()
    assert world.conditions["ModelReady"] == ("False", "ModelNotAllowed")


def test_a_failed_attempt_is_not_repeated_on_what_a_shorter_list_forbids() -> None:
    """The next attempt of the same run is one that starts: it is looked at, and waits for the list."""
    world = meeting({"model": {"endpoint": GPU}}, allowed_endpoints=(GPU,))
    world.settle()
    world.end_job("Failed", reason="BackoffLimitExceeded", message="simulated")
    world.settle()
    asked = list(world.models.asked)
    give(world)
    world.settle()
    assert world.conditions["Stalled"] == ("True", "ModelNotAllowed")
    assert world.models.asked == asked
    give(world, allowed_endpoints=(GPU, "http://other:11434"))
    world.settle()
    assert "docs-r1-a2" in world.names(JOB)
