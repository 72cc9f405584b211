"""What a run without a history is given of its namespace's promoted prompts, and that it stays the same."""

import asyncio
import base64
import json
from typing import Any

import pytest

from domaintraining.api.similar import MOST_OFFERS
from domaintraining.controller.allowed import model_of
from domaintraining.controller.cluster import CONFIG_MAP, JOB, JsonObject
from domaintraining.controller.models import ModelInfo, ScriptedModels
from domaintraining.controller.observe import read_resource
from domaintraining.controller.revisions import read_revision
from domaintraining.controller.similar import find_data_model, offers_of, similar_words
from tests.unit.controller.world import BETTER, World

DEMO = {"text": "Loki stores logs.", "entities": [{"name": "Loki", "type": "SOFTWARE"}]}


def state(instruction: str = "Find them.", demos: Any = (DEMO,), types: Any = ("SOFTWARE",)) -> str:
    """A program's state, as DSPy writes it and the trainer publishes it."""
    program = {"demos": list(demos), "signature": {"instructions": instruction}, "lm": None}
    form = {"task": "entities", "types": [{"name": name} for name in types], "chainOfThought": False}
    return json.dumps({"answer": program, "metadata": {"form": form}})


def neighbour(name: str, dspy: str | None = None, namespace: str = "team", **facts: Any) -> JsonObject:
    """The served prompt of another resource."""
    manifest = {
        "promoted": True,
        "accepted": ["entities"],
        "tasks": {"entities": {"run": 2}},
        "completionTime": "2026-11-23T10:00:00Z",
        "seen": ["ab" * 32],
    } | facts
    group = "training.aegisrag.io"
    labels = {
        f"{group}/role": "served",
        f"{group}/name": name,
        f"{group}/revision": "2",
        f"{group}/hash": "h",
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-prompt", "namespace": namespace, "labels": labels},
        "data": {
            "manifest.json": json.dumps(manifest),
            "entities.dspy.json": state() if dspy is None else dspy,
        },
    }


def world_with(*bodies: JsonObject, spec: dict[str, Any] | None = None) -> World:
    world = World(spec)
    for body in bodies:
        world._put(body)
    return world


def given(world: World, run: int = 1) -> list[str]:
    """Names of the domains that a run was given, as the run says it."""
    return [one["name"] for one in json.loads(world.record(run)["data"]["run.json"]).get("similar", [])]


def test_a_first_run_is_given_the_promoted_prompts_of_its_namespace() -> None:
    """A copy is mounted, so that what others do later changes nothing; another namespace's is never seen."""
    world = world_with(neighbour("manuals"), neighbour("secret", namespace="other"))
    world.settle()
    assert given(world) == ["manuals"]
    offered = json.loads(world.get(CONFIG_MAP, "docs-r1-similar")["data"]["manuals.json"])
    assert offered["revision"] == 2
    assert offered["entities"]["instruction"] == "Find them."
    assert offered["entities"]["demos"][0]["text"] == "Loki stores logs."
    pod = world.job()["spec"]["template"]["spec"]
    assert {"name": "docs-r1-similar", "optional": True} in [one.get("configMap") for one in pod["volumes"]]


def test_who_has_a_promoted_prompt_or_asks_for_none_is_given_none() -> None:
    world = world_with()
    world.train(BETTER)
    world._put(neighbour("manuals"))
    world.change(optimizer={"seed": 10})
    world.settle()
    assert given(world, 2) == []
    spec = World().resource["spec"] | {"optimizer": {"similarDomains": 0}}
    alone = world_with(neighbour("manuals"), spec=spec)
    alone.settle()
    assert given(alone) == []
    assert "docs-r1-similar" not in alone.names(CONFIG_MAP)


def test_a_later_attempt_has_those_of_the_first() -> None:
    """Whatever became of the others meanwhile."""
    world = world_with(neighbour("manuals"))
    world.settle()
    first = world.get(CONFIG_MAP, "docs-r1-similar")["data"]
    world._put(neighbour("books"))
    del world.cluster.objects[CONFIG_MAP, "team", "manuals-prompt"]
    world.report(failure={"reason": "DatasetInvalid", "message": "line 3"})
    world.end_job("Failed")
    world.settle()
    world.change(job={"backoffLimit": 1})
    world.settle()
    assert world.names(JOB)[-1] == "docs-r1-a2"
    assert given(world) == ["manuals"]
    assert world.get(CONFIG_MAP, "docs-r1-similar")["data"] == first


def test_it_is_gone_when_the_run_is_over() -> None:
    world = world_with(neighbour("manuals"))
    world.train(BETTER)
    assert "docs-r1-similar" not in world.names(CONFIG_MAP)


def test_killed_after_any_write_it_ends_the_same() -> None:
    whole = world_with(neighbour("manuals"))
    whole.settle()
    for dies_after in range(1, len(whole.cluster.writes) + 1):
        world = world_with(neighbour("manuals"))
        world.cluster.dies_after = dies_after
        world.settle()
        assert world.content() == whole.content()


HOSTILE: dict[str, JsonObject] = {
    "rejected": neighbour("bad", promoted=False),
    "a baseline's prompt": neighbour("bad", tasks={"entities": {"run": 0}}),
    "no state": neighbour("bad", ""),
    "no JSON": neighbour("bad", "{"),
    "nested without end": neighbour("bad", "[" * 200_000),
    "a list": neighbour("bad", "[1]"),
    "no types": neighbour("bad", state(types=())),
    "a type that is none": neighbour("bad", state(types=("{text}",))),
    "an endless instruction": neighbour("bad", state("x" * 8_193)),
    "demos that are none": neighbour("bad", state(demos=["x"])),
    "too many demos": neighbour("bad", state(demos=[DEMO] * 33)),
    "an endless text": neighbour("bad", state(demos=[DEMO | {"text": "x" * 20_001}])),
    "digests that are none": neighbour("bad", seen=["../../etc/passwd"]),
    "too many digests": neighbour("bad", seen=["ab" * 32] * 3_001),
    "a vector that is none": neighbour("bad", dataVector={"model": "m", "digest": "d", "values": "!"}),
    "a vector without end": neighbour(
        "bad", dataVector={"model": "m", "digest": "d", "values": base64.b64encode(bytes(16_385)).decode()}
    ),
    "a name that is a path": neighbour("../x"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_a_promoted_prompt_is_left_out(what: str) -> None:
    """And costs the others nothing."""
    world = world_with(HOSTILE[what], neighbour("manuals"))
    world.settle()
    assert given(world) == ["manuals"]


def test_number_and_size_are_bounded() -> None:
    """At most 32 of them and 900,000 bytes, and none of more than 256,000."""
    asks = read_resource(World().resource)
    many = [neighbour(f"n{number:02}") for number in range(40)]
    assert len(offers_of(many, asks)) == MOST_OFFERS
    long = [DEMO | {"text": "x" * 19_000}] * 12
    large = [neighbour(f"n{number}", state(demos=long)) for number in range(6)]
    assert len(offers_of(large, asks)) == 3
    larger = neighbour("n9", state(demos=[DEMO | {"text": "x" * 19_000}] * 20))
    assert offers_of([larger], asks) == []


def test_those_with_the_specs_types_go_first_then_those_trained_last() -> None:
    types = {"types": {"entities": [{"name": "SOFTWARE"}]}}
    body = world_with(spec=World().resource["spec"] | types).resource
    old = neighbour("old", completionTime="2026-11-20T10:00:00Z")
    other = neighbour("other", state(types=("PERSON",)))
    found = offers_of([other, old, neighbour("new")], read_resource(body))
    assert [one.name for one in found] == ["new", "old", "other"]


def test_the_line_in_status() -> None:
    """Told of the run's own manifest; one that can't be read tells nothing."""
    world = world_with()
    world.train(BETTER)
    body = world.get(CONFIG_MAP, "docs-prompt-r1")
    said = {
        "considered": [
            {"name": "manuals", "revision": 2, "validationF1": {"entities": 0.8}},
            {"name": "far", "revision": 1},
        ],
        "won": {"entities": "manuals"},
    }
    body["data"]["manifest.json"] = json.dumps(json.loads(body["data"]["manifest.json"]) | {"similar": said})
    world._put(body)
    world.settle()
    assert world.resource["status"]["run"]["similar"] == (
        "2 similar domains considered, 1 tried; entities: the prompt of manuals, revision 2, won"
    )
    others: list[Any] = [{"considered": "x" * 10_000}, {"considered": [{"name": "../x", "revision": 1}]}, []]
    for other in others:
        revision = read_revision(
            {"metadata": {}, "data": {"manifest.json": json.dumps({"similar": other})}}, "", 1, "", keep=False
        )
        assert not similar_words(revision)


@pytest.mark.parametrize(
    ("info", "made"),
    [
        (ModelInfo("sha256:5", frozenset({"embedding"})), True),
        (ModelInfo("sha256:5"), True),
        (ModelInfo("sha256:5", frozenset({"completion"})), False),
        (ModelInfo(""), False),
        (None, False),
    ],
)
def test_texts_are_compared_by_a_model_that_makes_embeddings(info: ModelInfo | None, *, made: bool) -> None:
    """One that the server says makes none is not asked; a run starts either way."""
    world = world_with()
    if info is not None:
        world.models.models["bge-m3"] = info
    world.settle()
    run = json.loads(world.record(1)["data"]["run.json"])
    assert (run.get("dataModel") is not None) == made


def test_a_server_that_says_nothing_of_the_embedding_model_keeps_no_run_from_starting() -> None:
    """It answers for the run's own model a moment before."""
    world = world_with()
    settings = world.settings
    resource = read_resource(world.resource)
    endpoint, _ = model_of(resource, settings)
    down = ScriptedModels(down={endpoint})
    assert asyncio.run(find_data_model(down, resource, settings)) is None
