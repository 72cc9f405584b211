"""The model that makes embeddings is checked like the model itself, and only where it is asked for."""

import asyncio
from typing import Any

import pytest

from domaintraining.api.status import ModelStatus
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.preflight import check_embedding_model
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from tests.unit.controller.test_preflight import SETTINGS, URL, Server, wanting
from tests.unit.controller.world import SPEC, World

GPU = "http://gpu:11434"
STRICT = Settings(trainer_image="domaintraining:1", allowed_endpoints=(GPU,), allowed_pulls=())
EMBEDS = ModelInfo("sha256:5", frozenset({"embedding"}))
SEMANTIC: dict[str, Any] = {"metric": {"matching": "semantic"}}


def checked(
    server: Server, settings: Settings = SETTINGS, **spec: Any
) -> ModelStatus | tuple[str, str] | None:
    """The model, or reason and message of why there is none."""

    async def check() -> ModelStatus | None:
        return await check_embedding_model(
            server.models, server.pulls, wanting(**spec), settings, lambda: None
        )

    try:
        return asyncio.run(check())
    except DomainTrainingError as error:
        return error.reason.value, error.message


@pytest.mark.parametrize("matching", ["exact", "normalized"])
def test_without_semantic_none_is_asked_for(matching: str) -> None:
    """Not even where one is named."""
    server = Server()
    assert checked(server, metric={"matching": matching, "embeddingModel": "bge-m3"}) is None
    assert server.models.asked == []


def test_the_default_one_is_on_the_models_server() -> None:
    server = Server(ScriptedModels({"bge-m3": EMBEDS}))
    found = checked(server, STRICT, model={"endpoint": GPU}, **SEMANTIC)
    assert found == ModelStatus(name="bge-m3", digest="sha256:5", endpoint=GPU, source="default")


def test_the_one_that_is_named_is_taken() -> None:
    server = Server(ScriptedModels({"nomic-embed-text": EMBEDS}))
    found = checked(server, metric={"matching": "semantic", "embeddingModel": "nomic-embed-text"})
    assert found == ModelStatus(name="nomic-embed-text", digest="sha256:5", endpoint=URL, source="spec")


def test_a_model_that_makes_no_embeddings_is_refused() -> None:
    """Before the first call, not after hours of search."""
    server = Server(ScriptedModels({"bge-m3": ModelInfo("sha256:1", frozenset({"completion"}))}))
    assert checked(server, **SEMANTIC) == (
        "ModelUnsuitable",
        "spec.metric.embeddingModel: model bge-m3 makes no embeddings",
    )


def test_a_server_that_does_not_tell_what_its_models_can_is_believed() -> None:
    server = Server(ScriptedModels({"bge-m3": ModelInfo("sha256:1")}))
    assert isinstance(checked(server, **SEMANTIC), ModelStatus)


def test_it_is_pulled_as_the_lists_and_pull_policy_allow() -> None:
    """Each refusal names the field."""
    server = Server()
    assert checked(server, STRICT, **SEMANTIC) == (
        "ModelNotAllowed",
        f"spec.metric.embeddingModel: bge-m3 is not on {URL}, and to pull it is not allowed by ALLOWED_PULLS",
    )
    never = checked(server, model={"pullPolicy": "Never"}, **SEMANTIC)
    assert never == ("ModelNotFound", f"{URL} does not have model bge-m3 and pullPolicy is Never")
    pulling = checked(server, **SEMANTIC)
    assert pulling == ("ModelPulling", f"{URL} pulls bge-m3: 0%")


def test_a_registry_that_is_not_allowed_is_refused_without_a_request() -> None:
    server = Server()
    found = checked(server, metric={"matching": "semantic", "embeddingModel": "reg.example.com/ns/e"})
    assert isinstance(found, tuple)
    assert found[0] == "ModelNotAllowed"
    assert found[1].startswith("spec.metric.embeddingModel: reg.example.com/ns/e names the registry")
    assert server.models.asked == []


def test_status_names_it_while_a_run_uses_it_and_model_ready_says_what_lacks() -> None:
    world = World(SPEC | {"metric": {"matching": "semantic"}, "model": {"pullPolicy": "Never"}})
    world.settle()
    ready = next(one for one in world.resource["status"]["conditions"] if one["type"] == "ModelReady")
    assert (ready["status"], ready["reason"]) == ("False", "ModelNotFound")
    assert "bge-m3" in ready["message"]
    world.models.models["bge-m3"] = EMBEDS
    world.change(metric={"matching": "semantic", "threshold": 0.8}, model={"pullPolicy": "Never"})
    world.settle()
    assert world.resource["status"]["embeddingModel"] == {
        "name": "bge-m3",
        "digest": "sha256:5",
        "endpoint": URL,
        "source": "default",
    }
    world.change(metric={"matching": "normalized"})
    world.settle()
    assert "embeddingModel" not in world.resource["status"]
