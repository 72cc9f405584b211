"""Short words for tests of what the chart renders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.sandbox.chart import objects, rendered
from tests.sandbox.environment import NAMESPACE

Json = dict[str, Any]


def with_values(tmp_path: Path, values: Json, *options: str, namespace: str = NAMESPACE) -> list[Json]:
    """The objects that the chart renders with these values."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values), encoding="utf-8")
    return objects(rendered(f"--values={file}", *options, namespace=namespace))


def only(found: list[Json], kind: str, name: str = "domaintraining-controller") -> Json:
    """The one object of a kind and name."""
    (one,) = (one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return one


def controller_of(found: list[Json]) -> Json:
    """The controller's container."""
    container: Json
    (container,) = only(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def variables(found: list[Json]) -> dict[str, str]:
    """The controller's environment, without what comes from Secrets."""
    return {one["name"]: one["value"] for one in controller_of(found)["env"] if "value" in one}
