"""The model that proposes instructions is checked like the model itself."""

import asyncio

import pytest

from domaintraining.api.status import ModelStatus
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.preflight import check_prompt_model
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from tests.unit.controller.test_preflight import CHAT, SETTINGS, URL, Server, wanting
from tests.unit.controller.world import SPEC, World

GPU = "http://gpu:11434"
BOTH = Settings(trainer_image="domaintraining:1", allowed_endpoints=(GPU,), allowed_pulls=())


def checked(
    server: Server, model: dict[str, object], settings: Settings = SETTINGS
) -> ModelStatus | tuple[str, str] | None:
    """The proposing model, or reason and message of why there is none."""

    async def check() -> ModelStatus | None:
        wanted = wanting(model=model)
        return await check_prompt_model(server.models, server.pulls, wanted, settings, lambda: None)

    try:
        return asyncio.run(check())
    except DomainTrainingError as error:
        return error.reason.value, error.message


def test_without_one_the_model_proposes_itself() -> None:
    """Nothing is asked of a server."""
    server = Server()
    assert checked(server, {"name": "small"}) is None
    assert server.models.asked == []


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ({"promptModel": {"name": "large"}}, URL),
        ({"endpoint": GPU, "promptModel": {"name": "large"}}, GPU),
        ({"promptModel": {"name": "large", "endpoint": f"{GPU}/"}}, GPU),
    ],
)
def test_it_is_on_the_models_server_unless_it_has_its_own(model: dict[str, object], endpoint: str) -> None:
    """With the digest that the server gives."""
    server = Server(ScriptedModels({"large": ModelInfo("sha256:9", frozenset({"completion"}))}))
    assert checked(server, model, BOTH) == ModelStatus(
        name="large", digest="sha256:9", endpoint=endpoint, source="spec"
    )


@pytest.mark.parametrize(
    ("prompt_model", "field"),
    [
        ({"name": "large", "endpoint": "http://10.0.0.1:80"}, "spec.model.promptModel.endpoint"),
        ({"name": "registry.example.com/ns/large"}, "spec.model.promptModel.name"),
    ],
)
def test_what_the_lists_do_not_allow_is_refused_without_a_request(
    prompt_model: dict[str, str], field: str
) -> None:
    """As for the model; the message names the field."""
    server = Server(ScriptedModels({"large": CHAT}))
    found = checked(server, {"promptModel": prompt_model}, BOTH)
    assert isinstance(found, tuple)
    assert found[0] == "ModelNotAllowed"
    assert found[1].startswith(field)
    assert server.models.asked == []


def test_it_is_pulled_where_that_is_allowed() -> None:
    """With the model's pullPolicy."""
    server = Server()
    assert checked(server, {"promptModel": {"name": "large"}}, BOTH) == (
        "ModelNotAllowed",
        f"spec.model.promptModel.name: large is not on {URL}, and to pull it is not allowed by ALLOWED_PULLS",
    )
    found = checked(server, {"promptModel": {"name": "large"}, "pullPolicy": "Never"})
    assert isinstance(found, tuple)
    assert found[0] == "ModelNotFound"


def test_status_names_both_models() -> None:
    """As the current run uses them; there is no second one where the model proposes itself."""
    world = World(SPEC | {"model": {"promptModel": {"name": "large"}}})
    world.models.models["large"] = ModelInfo("sha256:2", CHAT.capabilities)
    world.settle()
    status = world.resource["status"]
    assert (status["model"]["name"], status["model"]["source"]) == ("qwen3:32b", "default")
    assert status["promptModel"] == {"name": "large", "digest": "sha256:2", "endpoint": URL, "source": "spec"}
    world.change(optimizer={"seed": 10})
    world.settle()
    assert "promptModel" not in world.resource["status"]
