"""The CustomResourceDefinition, generated from the models: `python -m domaintraining crd`.

Pydantic's JSON schema is not structural: what the API server would refuse or what it has no word for
is rewritten here. See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from domaintraining.api.names import CATEGORY, GROUP, KIND, MAX_NAME, PLURAL, SHORT_NAME, SINGULAR, VERSION
from domaintraining.api.rules import rule
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import DomainTrainingStatus

Schema = dict[str, Any]

GENERATED: Final = "# Written by `make generate` from operator/domaintraining/api; edit the models instead.\n"
DROPPED: Final = frozenset(
    {"$defs", "$ref", "additionalProperties", "anyOf", "const", "discriminator", "title"}
)
KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "default",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-int-or-string",
    "x-kubernetes-validations",
    "required",
)
"""Keys of a node in the order they are written; another one is an error, so that none is lost unseen."""

NAME_RULES: Final = (
    rule(
        f"self.metadata.name.size() <= {MAX_NAME}",
        f"must be at most {MAX_NAME} characters: names of objects are made from it",
    ),
    rule(
        "has(self.spec.domain) || self.metadata.name.matches('^[a-z][a-z0-9-]*$')",
        "gives no valid domain (for that it begins with a letter and holds no dot): set spec.domain",
    ),
)

READY: Final = '.status.conditions[?(@.type=="Ready")]'
COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("Ready", "string", f"{READY}.status"),
    ("Reason", "string", f"{READY}.reason"),
    ("Progress", "string", ".status.summary.progress"),
    ("Entity-F1", "string", ".status.summary.entities"),
    ("Relation-F1", "string", ".status.summary.relations"),
    ("Model", "string", ".status.summary.model"),
    ("Age", "date", ".metadata.creationTimestamp"),
)
WIDE_COLUMNS: Final[tuple[tuple[str, str, str], ...]] = (
    ("Auto", "string", ".status.auto"),
    ("Verdict", "string", ".status.metrics.entities.verdict"),
    ("ETA", "string", ".status.progress.estimatedCompletionTime"),
    ("Calls", "integer", ".status.progress.modelCalls"),
    ("Revision", "integer", ".status.promptConfig.revision"),
    ("Domain", "string", ".status.summary.domain"),
    ("Job", "string", ".status.run.job"),
)


def structural(model: type[BaseModel], *, defaults: bool) -> Schema:
    """The structural schema of a model.

    Args:
        model: the model; its fields' docstrings become descriptions.
        defaults: whether defaults go into the schema, so that `kubectl get -o yaml` shows what is in force;
            empty objects and lists are no default.

    Raises:
        ValueError: pydantic wrote something that has no structural form here yet.
    """
    schema = model.model_json_schema(by_alias=True)
    return _node(schema, schema.get("$defs", {}), defaults=defaults)


def crd() -> Schema:
    """The whole CustomResourceDefinition as JSON values; the same on every call."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": [CATEGORY],
            },
            "versions": [_version()],
        },
    }


def crd_text() -> str:
    """The CustomResourceDefinition as YAML, as crds/ and the chart hold it."""
    return GENERATED + yaml.safe_dump(crd(), sort_keys=False, allow_unicode=True, width=110)


def main(argv: list[str]) -> int:
    """Prints the CRD, or writes it to a file."""
    parser = argparse.ArgumentParser(prog="domaintraining crd", description="Write the CRD.")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (standard output)")
    output: Path | None = parser.parse_args(argv).output
    if output is None:
        sys.stdout.write(crd_text())
    else:
        output.write_text(crd_text(), encoding="utf-8")
    return 0


def _version() -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *(_column(column, 0) for column in COLUMNS),
            *(_column(column, 1) for column in WIDE_COLUMNS),
        ],
        "schema": {"openAPIV3Schema": _root()},
    }


def _column(column: tuple[str, str, str], priority: int) -> Schema:
    name, kind, path = column
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def _root() -> Schema:
    """The resource itself; before a controller saw it, its status says so: kstatus takes none for done."""
    status = structural(DomainTrainingStatus, defaults=False)
    return {
        "description": "A DomainTraining trains the extraction prompts of one domain on labelled samples.",
        "type": "object",
        "x-kubernetes-validations": [entry | {"fieldPath": ".metadata.name"} for entry in NAME_RULES],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(DomainTrainingSpec, defaults=True),
            "status": {"default": {"observedGeneration": -1}} | status,
        },
    }


def _node(schema: Schema, defs: Schema, *, defaults: bool) -> Schema:
    """One node of the schema with everything below it."""
    merged = _merged(schema, defs)
    if merged.get("x-kubernetes-int-or-string"):
        bounds = {key: merged[key] for key in KEPT if key in merged}
        return bounds | {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    default = _without_empty(merged.pop("default", None))
    if defaults and default is not None:
        merged["default"] = default
    unknown = merged.keys() - DROPPED - set(KEPT) - {"properties", "items"}
    if unknown:
        raise ValueError(f"no structural form for {sorted(unknown)} in {merged.get('title', merged)!r}")
    below = _below(merged, defs, defaults=defaults)
    return {key: merged[key] for key in KEPT if key in merged} | below


def _merged(schema: Schema, defs: Schema) -> Schema:
    """The node with its `$ref` and its one type besides null inlined; its own words win over theirs."""
    node = dict(schema)
    inlined: Schema = {}
    if "$ref" in node:
        inlined = defs[node["$ref"].rpartition("/")[2]]
    elif "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        if len(choices) != 1:
            raise ValueError(f"no structural form for a choice of types: {node!r}")
        inlined = _merged(choices[0], defs)
    if "const" in node:
        node["enum"] = [node["const"]]
    node["description"] = " ".join((node.get("description") or inlined.get("description") or "").split())
    if not node["description"]:
        del node["description"]
    rules = [*inlined.get("x-kubernetes-validations", []), *node.get("x-kubernetes-validations", [])]
    return inlined | node | ({"x-kubernetes-validations": rules} if rules else {})


def _below(node: Schema, defs: Schema, *, defaults: bool) -> Schema:
    if "properties" in node:
        properties = node["properties"].items()
        return {"properties": {name: _node(field, defs, defaults=defaults) for name, field in properties}}
    if "items" in node:
        return {"items": _node(node["items"], defs, defaults=defaults)}
    if isinstance(node.get("additionalProperties"), dict):
        return {"additionalProperties": _node(node["additionalProperties"], defs, defaults=defaults)}
    return {}


def _without_empty(default: Any) -> Any:
    """A default without what is absent or empty in it; None where nothing is left.

    An object's default is written out whole: the API server checks it against the CEL rules before it
    fills in the defaults of its fields.
    """
    if isinstance(default, dict):
        default = {key: _without_empty(value) for key, value in default.items()}
        default = {key: value for key, value in default.items() if value is not None}
    return None if default in ({}, []) else default
