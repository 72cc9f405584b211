"""Runs of two tasks that were measured as a test says, and what is served after them."""

import json
from typing import Any

from domaintraining.controller.cluster import CONFIG_MAP
from tests.unit.controller.world import World

BOTH = ["entities", "relations"]
BASE = {"f1": 0.5, "precision": 0.5, "recall": 0.5}


def numbers(verdict: str, f1: float = 0.8) -> dict[str, Any]:
    """What was measured of one prompt."""
    value = {"Improved": 0.1, "Unclear": 0.0, "Worse": -0.1}[verdict]
    return {
        "f1": f1,
        "precision": f1,
        "recall": f1,
        "baseline": BASE,
        "verdict": verdict,
        "documents": 40,
        "improvement": {"value": value, "low": value - 0.05, "high": value + 0.05, "over": "Baseline"},
    }


def outcome(entities: str, relations: str, f1: float = 0.8) -> dict[str, Any]:
    """What was measured of a run for both tasks."""
    return {
        "entities": numbers(entities, f1),
        "relations": numbers(relations, f1),
        "endToEnd": numbers(entities, 0.6),
    }


def world_of_two_tasks(**spec: Any) -> World:
    """A resource that trains both tasks."""
    world = World()
    edit(world, **spec)
    return world


def edit(world: World, **spec: Any) -> None:
    """A person's edit of the resource with both tasks."""
    world.change(tasks=BOTH, **spec)


def next_run(world: World, seed: int, entities: str, relations: str, **spec: Any) -> None:
    """A new spec is trained to its end."""
    edit(world, optimizer={"seed": seed}, **spec)
    world.train(outcome(entities, relations))


def served(world: World) -> dict[str, str]:
    """Files of `<name>-prompt`."""
    files: dict[str, str] = world.get(CONFIG_MAP, "docs-prompt")["data"]
    return files


def runs(world: World) -> tuple[str, ...]:
    """Of which run each served prompt is, by its bytes."""
    found = []
    for task in BOTH:
        system = json.loads(served(world)[f"{task}.messages.json"])[0]["content"]
        found.append(str(system).rpartition("run ")[2].partition(" ")[0])
    return tuple(found)


def manifest(world: World, name: str = "docs-prompt") -> dict[str, Any]:
    """A prompt's manifest."""
    found: dict[str, Any] = json.loads(world.get(CONFIG_MAP, name)["data"]["manifest.json"])
    return found


def status(world: World) -> dict[str, Any]:
    """The status."""
    found: dict[str, Any] = world.resource["status"]
    return found


def history(world: World) -> list[tuple[int, str]]:
    """Number and reason of each run."""
    return [(one["number"], one["reason"]) for one in status(world)["history"]]
