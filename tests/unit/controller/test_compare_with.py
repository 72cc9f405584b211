"""Models to compare with: checked like the model itself, counted, let through, and told in status."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.api.comparison import MOST
from domaintraining.api.run import RUN_KEY
from domaintraining.api.status import ModelStatus
from domaintraining.controller.allowed import compared_models_of, endpoint_of
from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import JOB
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.network import Network
from domaintraining.controller.observed import Observed
from domaintraining.controller.preflight import check_compared_models, settings_digest
from domaintraining.controller.resolve import resolve
from domaintraining.controller.revisions import resolved
from domaintraining.controller.settings import Settings
from domaintraining.controller.uses import servers_annotation, uses_of_job, uses_of_run, uses_of_spec
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard
from tests.readme import DOCS, block
from tests.unit.api.prompts import prompts
from tests.unit.controller.test_network import ENVIRONMENT, SLICE, found
from tests.unit.controller.test_preflight import CHAT, SETTINGS, URL, Server, wanting
from tests.unit.controller.world import BETTER, NOW, SPEC, World, prompt_of

GPU = "http://gpu.models.example:11434"
BOTH = Settings(trainer_image="domaintraining:1", allowed_endpoints=(GPU,), allowed_pulls=())
A, B = {"name": "a:1b"}, {"name": "b:1b", "endpoint": GPU}


def checked(
    server: Server, settings: Settings = SETTINGS, **spec: Any
) -> tuple[ModelStatus, ...] | tuple[str, str]:
    """The models, or reason and message of why one is not ready."""

    async def check() -> tuple[ModelStatus, ...]:
        wanted = wanting(**spec)
        return await check_compared_models(server.models, server.pulls, wanted, settings, lambda: None)

    try:
        return asyncio.run(check())
    except DomainTrainingError as error:
        return error.reason.value, error.message


def test_the_docs_show_a_spec_that_is_one() -> None:
    shown = yaml.safe_load(block("", "yaml", page=DOCS / "models.md"))
    models = compared_models_of(wanting(**shown["spec"]), SETTINGS)
    assert [name for _, name in models] == ["qwen3:32b", "gemma3:12b"]


def test_without_any_nothing_is_asked() -> None:
    server = Server()
    assert checked(server) == ()
    assert checked(server, compareWith=[]) == ()
    assert server.models.asked == []


def test_each_has_its_digest_and_server_in_the_order_of_the_spec() -> None:
    """The server of the model where an entry names none."""
    server = Server(ScriptedModels({"a:1b": CHAT, "b:1b": ModelInfo("sha256:b")}))
    assert checked(server, BOTH, compareWith=[B, A]) == (
        ModelStatus(name="b:1b", digest="sha256:b", endpoint=GPU, source="spec"),
        ModelStatus(name="a:1b", digest="sha256:1", endpoint=URL, source="spec"),
    )
    assert checked(server, BOTH, model={"endpoint": GPU}, compareWith=[A]) == (
        ModelStatus(name="a:1b", digest="sha256:1", endpoint=GPU, source="spec"),
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (B, f"spec.compareWith[b:1b].endpoint: {GPU} is not allowed by ALLOWED_ENDPOINTS or MODEL_SERVERS"),
        (
            {"name": "reg.example.com/x/y"},
            "spec.compareWith[reg.example.com/x/y].name: reg.example.com/x/y names",
        ),
    ],
)
def test_what_the_lists_do_not_allow_is_refused_without_a_request(entry: dict[str, str], words: str) -> None:
    server = Server()
    reason, message = checked(server, compareWith=[entry])
    assert reason == "ModelNotAllowed"
    assert str(message).startswith(words)
    assert server.models.asked == []


def test_it_is_pulled_as_lists_and_pull_policy_allow() -> None:
    server = Server()
    strict = Settings(trainer_image="domaintraining:1", allowed_pulls=())
    lacking = checked(server, strict, compareWith=[A])
    what = f"a:1b is not on {URL}, and to pull it is not allowed by ALLOWED_PULLS"
    assert lacking == ("ModelNotAllowed", f"spec.compareWith[a:1b].name: {what}")
    never = checked(server, model={"pullPolicy": "Never"}, compareWith=[A])
    assert never == ("ModelNotFound", f"{URL} does not have model a:1b and pullPolicy is Never")
    assert checked(server, compareWith=[A]) == ("ModelPulling", f"{URL} pulls a:1b: 0%")


def test_one_that_cannot_do_what_the_spec_asks_is_refused() -> None:
    """Before the first call of any of them."""
    server = Server(ScriptedModels({"a:1b": ModelInfo("sha256:1", frozenset({"embedding"}))}))
    assert checked(server, compareWith=[A]) == ("ModelUnsuitable", "model a:1b cannot chat")
    server = Server(ScriptedModels({"a:1b": CHAT}))
    thinking = {"options": {"think": "High"}}
    reason, message = checked(server, model=thinking, compareWith=[A])
    assert (reason, message) == ("ModelUnsuitable", "spec.model.options.think: model a:1b cannot think")


def test_a_model_in_another_spelling_is_compared_once() -> None:
    """The operator's own model among them, which the API server can't know."""
    spec = wanting(
        model={"name": "x"}, compareWith=[{"name": "X:latest"}, {"name": "y"}, {"name": "y:latest"}]
    )
    assert [name for _, name in compared_models_of(spec, SETTINGS)] == ["y"]
    default = wanting(compareWith=[{"name": SETTINGS.model}, {"name": "library/y"}])
    assert [name for _, name in compared_models_of(default, SETTINGS)] == ["library/y"]


def test_the_server_of_a_served_model_is_known_by_its_name() -> None:
    spec = wanting(compareWith=[A, B])
    assert [endpoint_of(spec, BOTH, name) for name in ("a:1b", "b:1b", "gone:1b")] == [URL, GPU, URL]


def test_every_server_counts_in_the_queue_with_its_first_model() -> None:
    """By the spec while it waits, by the Job's annotation while it runs; also the most there may be."""
    far = [{"name": f"m{number}", "endpoint": f"http://gpu-{number}:11434"} for number in range(MOST - 1)]
    spec = wanting(model={"promptModel": {"name": "p", "endpoint": GPU}}, compareWith=[A, *far])
    uses = uses_of_spec(spec, SETTINGS)
    assert list(uses.items())[:2] == [(URL, SETTINGS.model), (GPU, "p")]
    assert len(uses) == 2 + MOST - 1
    models = [ModelStatus(name=n, endpoint=e, source="spec") for e, n in compared_models_of(spec, SETTINGS)]
    own = ModelStatus(name=SETTINGS.model, endpoint=URL, source="default")
    prompt = ModelStatus(name="p", endpoint=GPU, source="spec")
    run = resolve(Observed(spec, NOW), 1, own, SETTINGS, prompt, compare_with=models)
    assert uses_of_run(run) == uses
    job = {"metadata": {"annotations": {"training.aegisrag.io/model-servers": servers_annotation(run)}}}
    assert uses_of_job(job, SETTINGS) == uses


def test_another_digest_of_one_of_them_is_no_identical_run() -> None:
    """What another resource's run found is not taken over then."""
    own = ModelStatus(name="m", digest="sha256:m", endpoint=URL, source="spec")

    def found_with(digest: str) -> object:
        rival = ModelStatus(name="a:1b", digest=digest, endpoint=URL, source="spec")
        spec = wanting(compareWith=[A])
        return resolved(resolve(Observed(spec, NOW), 1, own, SETTINGS, compare_with=(rival,)))

    assert found_with("sha256:1") == found_with("sha256:1")
    assert found_with("sha256:1") != found_with("sha256:2")


def test_a_changed_entry_lets_a_run_without_result_try_again() -> None:
    assert settings_digest(wanting(compareWith=[A]), SETTINGS) != settings_digest(wanting(), SETTINGS)


def test_the_policy_of_the_run_lets_it_to_every_server(tmp_path: Path) -> None:
    """Each by the addresses of its name."""
    (tmp_path / "resolv.conf").write_text("nameserver 10.96.0.10\n")
    own = ModelStatus(name="m", endpoint=URL, source="spec")
    rival = ModelStatus(name="b:1b", endpoint=GPU, source="spec")
    spec = wanting(compareWith=[B])
    run = resolve(Observed(spec, NOW), 1, own, SETTINGS, compare_with=(rival,))
    network = Network(
        SETTINGS, ApiServer(MemoryCluster(SLICE), ENVIRONMENT), Guard(look_up=found), tmp_path / "resolv.conf"
    )
    text = json.dumps(asyncio.run(network.policy(spec, run)))
    assert "10.96.7.7/32" in text
    assert "203.0.113.9/32" in text


def compared(*names: str, chosen: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "endpoint": URL,
            "digest": "sha256:1",
            "state": "Compared",
            "message": "",
            "entities": {"f1": 0.5, "confidenceInterval": {"low": 0.4, "high": 0.6}, "validationF1": 0.7},
            "modelCalls": 100,
            "seconds": 12.5,
            "chosen": name == chosen,
        }
        for name in names
    ]


def test_run_report_and_status_carry_the_models() -> None:
    """What runs is in run.json; the trainer's table is in status while it runs and afterwards; status names
    the model that the served prompt is for, which is not that of the spec.
    """
    world = World(SPEC | {"compareWith": [A]})
    world.models.models["a:1b"] = CHAT
    world.settle()
    run = json.loads(world.record(1)["data"][RUN_KEY])
    assert [one["model"]["name"] for one in run["compareWith"]] == ["a:1b"]
    assert run["compareWith"][0]["model"]["digest"] == "sha256:1"
    assert world.resource["status"]["summary"]["model"] == "qwen3:32b"
    table = compared("qwen3:32b", "a:1b", chosen="a:1b")
    world.run_pod()
    world.report(models=table)
    world.settle()
    assert world.resource["status"]["models"] == table
    made = prompt_of("entities", 1)
    request = json.loads(made["files"]["request"]) | {"model": "a:1b"}
    made["files"] |= {"request": json.dumps(request)}

    result = prompts(entities=made, metrics=BETTER, manifest={"models": table, "seen": []})
    baseline = prompts(entities=prompt_of("entities", 0))
    world.report(progress={"percent": 95}, models=table, baseline_=baseline, result_=result)
    world.end_job("Complete")
    world.settle()
    status = world.resource["status"]
    assert status["models"] == table
    assert status["promptConfig"]["entities"]["model"] == "a:1b"
    assert status["summary"]["model"] == "a:1b"
    assert status["model"]["name"] == "qwen3:32b"
    world.restore()
    world.settle()
    assert world.resource["status"]["models"] == table
    assert world.resource["status"]["summary"]["model"] == "a:1b"
    assert world.names(JOB) == []


def test_a_table_longer_than_there_are_models_is_no_report() -> None:
    """A trainer's report is hostile input."""
    world = World(SPEC)
    world.settle()
    world.run_pod()
    names = [f"m{number}" for number in range(MOST + 2)]
    world.report(models=compared(*names, chosen="m1"))
    world.settle()
    assert "models" not in world.resource["status"] or world.resource["status"]["models"] == []
