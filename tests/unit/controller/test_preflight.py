"""What is checked before a Job starts; nothing is asked of a server, or pulled, but what the lists allow."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import ModelStatus
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.observed import Preflight, Resource
from domaintraining.controller.preflight import (
    LACKING_PAUSE,
    PULL_HOLDS,
    PULL_PAUSE,
    check_data,
    check_model,
    settings_digest,
)
from domaintraining.controller.pulls import Pulls
from domaintraining.controller.settings import Settings
from domaintraining.errors import DomainTrainingError
from tests.unit.controller.test_decide import resource

URL = "http://ollama.ollama:11434"
SETTINGS = Settings(trainer_image="domaintraining:1")
CHAT = ModelInfo("sha256:1", frozenset({"completion"}))
DATA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "team", "name": "data"},
    "data": {"samples.jsonl": '{"text": "a"}'},
}


def wanting(**spec: Any) -> Resource:
    """A resource whose spec differs from the smallest one."""
    smallest = {"dataset": {"configMap": {"name": "data", "key": "samples.jsonl"}}}
    return resource(spec=DomainTrainingSpec.model_validate(smallest | spec))


@dataclass
class Server:
    """A model server and its pulls, with a clock that only the test moves."""

    models: ScriptedModels = field(default_factory=ScriptedModels)
    lines: list[dict[str, Any]] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    woken: int = 0
    time: float = 0.0

    def __post_init__(self) -> None:
        self.pulls = Pulls(self._lines, lambda: self.time)

    async def _lines(self, _endpoint: str, model: str) -> AsyncGenerator[dict[str, Any], None]:
        self.pulled.append(model)
        for line in self.lines:
            if line.get("status") == "success":
                self.models.models[model] = CHAT
            yield line

    def _wake(self) -> None:
        self.woken += 1

    async def check(self, wanted: Resource, settings: Settings = SETTINGS) -> ModelStatus | tuple[str, str]:
        """The model, or reason and message of why there is none; pulls that were started have ended then."""
        try:
            return await check_model(self.models, self.pulls, wanted, settings, self._wake)
        except DomainTrainingError as error:
            return error.reason.value, error.message
        finally:
            for _ in range(10):
                await asyncio.sleep(0)


def refusal(answer: ModelStatus | tuple[str, str]) -> str:
    """The reason why a model was refused."""
    assert isinstance(answer, tuple), answer
    return answer[0]


def test_the_model_comes_with_its_digest_and_where_its_name_is_from() -> None:
    """Spec before the operator's settings, for name and endpoint."""

    async def check() -> None:
        server = Server(ScriptedModels({"qwen3:32b": CHAT, "small": CHAT}))
        assert await server.check(wanting()) == ModelStatus(
            name="qwen3:32b", digest="sha256:1", endpoint=URL, source="default"
        )
        chosen = wanting(model={"name": "small", "endpoint": "http://gpu:11434/"})
        allowing = replace(SETTINGS, allowed_endpoints=("http://gpu:11434",))
        assert await server.check(chosen, allowing) == ModelStatus(
            name="small", digest="sha256:1", endpoint="http://gpu:11434", source="spec"
        )

    asyncio.run(check())


def test_no_request_goes_to_an_endpoint_that_is_not_allowed() -> None:
    """Not even to see whether it answers."""
    server = Server()
    answer = asyncio.run(server.check(wanting(model={"endpoint": "http://10.0.0.1:80"})))
    assert refusal(answer) == "ModelNotAllowed"
    assert server.models.asked == server.pulled == []


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("qwen3:32b", False),
        ("someone/qwen3:32b", False),
        ("hf.co/someone/model", True),
        ("localhost:5000/someone/model", True),
        ("myregistry/someone/model", True),
        ("MyRegistry/someone/model:q4", True),
        ("hf.co/model", True),
    ],
)
def test_a_registry_host_needs_to_be_allowed_even_where_the_server_has_the_model(
    name: str,
    refused: bool,  # noqa: FBT001
) -> None:
    """The first of three parts is a host, whatever it looks like."""
    server = Server(ScriptedModels({name: CHAT}))
    answer = asyncio.run(server.check(wanting(model={"name": name})))
    assert isinstance(answer, tuple) is refused
    if refused:
        assert refusal(answer) == "ModelNotAllowed"
        assert server.models.asked == []


def test_a_registry_host_that_is_allowed_is_pulled_from() -> None:
    """The list names the host."""
    server = Server(lines=[{"status": "success"}])
    allowing = replace(SETTINGS, allowed_pulls=("myregistry/*/*",))
    answer = asyncio.run(server.check(wanting(model={"name": "myregistry/ns/small"}), allowing))
    assert (refusal(answer), server.pulled) == ("ModelPulling", ["myregistry/ns/small"])


def test_a_missing_model_is_pulled_with_its_percentage_and_then_there() -> None:
    """Each change of the pull wakes the resource."""

    async def check() -> None:
        server = Server(lines=[{"digest": "sha256:a", "total": 4, "completed": 1}, {"status": "success"}])
        assert await server.check(wanting()) == ("ModelPulling", f"{URL} pulls qwen3:32b: 0%")
        assert server.woken == 2
        assert isinstance(await server.check(wanting()), ModelStatus)
        assert server.pulled == ["qwen3:32b"]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ({"pullPolicy": "Never"}, SETTINGS, "ModelNotFound"),
        ({}, replace(SETTINGS, allowed_pulls=()), "ModelNotAllowed"),
    ],
)
def test_a_missing_model_is_not_pulled_where_that_is_not_wanted(
    model: dict[str, str], settings: Settings, said: str
) -> None:
    """By the spec, or by the operator's list."""
    server = Server()
    assert refusal(asyncio.run(server.check(wanting(model=model), settings))) == said
    assert server.pulled == []


def test_a_pull_that_broke_off_is_tried_again_after_a_pause() -> None:
    """The message says why; what no registry has is told as missing."""

    async def check() -> None:
        server = Server(lines=[{"error": "no space left on device"}])
        assert refusal(await server.check(wanting())) == "ModelPulling"
        assert await server.check(wanting()) == (
            "ModelPullFailed",
            f"pulling qwen3:32b on {URL}: no space left on device",
        )
        server.time += PULL_PAUSE + 1
        assert refusal(await server.check(wanting())) == "ModelPullFailed"
        assert len(server.pulled) == 1
        server.lines = [{"error": "pull model manifest: file does not exist"}]
        assert refusal(await server.check(wanting())) == "ModelPulling"
        for _ in range(5):
            assert refusal(await server.check(wanting())) == "ModelNotFound"
        assert len(server.pulled) == 2, "each end of a pull wakes: asking at once never ends"
        server.time += LACKING_PAUSE + 1
        assert refusal(await server.check(wanting())) == "ModelNotFound"
        assert refusal(await server.check(wanting())) == "ModelPulling"

    asyncio.run(check())


def test_always_pulls_before_every_start() -> None:
    """Once for one start; a start long after it pulls again."""

    async def check() -> None:
        server = Server(ScriptedModels({"qwen3:32b": CHAT}), [{"status": "success"}])
        always = wanting(model={"pullPolicy": "Always"})
        assert refusal(await server.check(always)) == "ModelPulling"
        assert isinstance(await server.check(always), ModelStatus)
        server.time += PULL_HOLDS + 1
        assert refusal(await server.check(always)) == "ModelPulling"
        assert isinstance(await server.check(always), ModelStatus)
        assert len(server.pulled) == 2

    asyncio.run(check())


@pytest.mark.parametrize(
    ("capabilities", "think", "suits"),
    [
        (frozenset({"completion"}), "Disabled", True),
        (frozenset[str](), "Disabled", True),
        (frozenset({"embedding"}), "Disabled", False),
        (frozenset({"completion"}), "Enabled", False),
        (frozenset({"completion", "thinking"}), "Low", True),
    ],
)
def test_a_model_must_be_able_to_do_what_the_spec_asks(
    capabilities: frozenset[str],
    think: str,
    suits: bool,  # noqa: FBT001
) -> None:
    """Chat, and thinking where it is asked for; a server that tells nothing is believed."""
    server = Server(ScriptedModels({"qwen3:32b": ModelInfo("", capabilities)}))
    answer = asyncio.run(server.check(wanting(model={"options": {"think": think}})))
    assert isinstance(answer, ModelStatus) is suits
    assert suits or refusal(answer) == "ModelUnsuitable"


def checked(wanted: Resource, *objects: dict[str, Any], settings: Settings = SETTINGS) -> Preflight:
    """What is found out about a resource's data and placement."""
    return asyncio.run(check_data(MemoryCluster(*objects), wanted, settings))


def test_data_that_are_not_there_are_named() -> None:
    """The ConfigMap, or its key beside the ones that it has; never the content."""
    missing = checked(wanting())
    assert missing.data_problem is not None
    assert missing.data_problem.message == "spec.dataset.configMap: ConfigMap data does not exist"
    other = checked(wanting(), DATA | {"data": {"b.csv": "secret", "a.csv": "secret"}})
    assert other.data_problem is not None
    assert other.data_problem.message == (
        "spec.dataset.configMap: ConfigMap data has no key samples.jsonl; it has: a.csv, b.csv"
    )
    assert not missing.data_digest
    assert other.problem is other.data_problem


def test_the_data_digest_follows_the_content_alone() -> None:
    """Of a key's text or bytes, or of the inline samples."""
    first = checked(wanting(), DATA)
    assert (first.problem, len(first.data_digest)) == (None, 64)
    labelled = DATA | {"metadata": DATA["metadata"] | {"labels": {"a": "b"}}}
    assert checked(wanting(), labelled).data_digest == first.data_digest
    assert checked(wanting(), DATA | {"data": {"samples.jsonl": "{}"}}).data_digest != first.data_digest
    binary = {key: value for key, value in DATA.items() if key != "data"}
    assert checked(wanting(), binary | {"binaryData": {"samples.jsonl": "e30="}}).problem is None
    samples = [{"text": f"Redis {number}", "entities": []} for number in range(6)]
    inline = [checked(wanting(dataset={"inline": one})).data_digest for one in (samples, samples[1:])]
    assert len(set(inline)) == 2


@pytest.mark.parametrize(
    ("job", "settings"),
    [
        ({"priorityClassName": "system-node-critical"}, SETTINGS),
        ({"nodeSelector": {"pool": "gold"}}, replace(SETTINGS, allowed_node_labels=("pool=silver",))),
    ],
)
def test_placement_that_is_not_allowed_keeps_the_job_from_starting(
    job: dict[str, Any], settings: Settings
) -> None:
    """The message names the field; the data are looked at all the same."""
    preflight = checked(wanting(job=job), DATA, settings=settings)
    assert preflight.problem is not None
    assert preflight.problem.reason == "PlacementNotAllowed"
    assert next(iter(job)) in preflight.problem.message
    assert preflight.data_digest


def test_what_an_attempt_depends_on_changes_its_digest_and_nothing_else_does() -> None:
    """Job, model and the operator's settings: a change of them is worth another attempt."""
    digests = {
        settings_digest(wanting(), SETTINGS),
        settings_digest(wanting(job={"backoffLimit": 1}), SETTINGS),
        settings_digest(wanting(model={"pullPolicy": "Never"}), SETTINGS),
        settings_digest(wanting(), replace(SETTINGS, trainer_image="domaintraining:2")),
    }
    assert len(digests) == 4
    assert settings_digest(wanting(description="another"), SETTINGS) in digests
