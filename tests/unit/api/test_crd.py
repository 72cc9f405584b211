"""The CRD says what the models say, in the form the API server takes, and bounds everything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field, StringConstraints

from domaintraining.api.crd import crd, crd_text, main, structural
from domaintraining.api.spec import DomainTrainingSpec
from tests.unit.api.specs import SMALLEST, defaults_written_out

COMMITTED = Path(__file__).parents[3] / "crds" / "domaintrainings.yaml"
OF_THE_SYSTEM = {"apiVersion", "kind", "metadata"}

Schema = dict[str, Any]


def root() -> Schema:
    schema: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """All nodes of a schema by their path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def all_nodes() -> list[tuple[str, Schema]]:
    fields = root()["properties"]
    return [node for name in fields.keys() - OF_THE_SYSTEM for node in nodes(fields[name], name)]


def unbounded(schema: Schema) -> bool:
    if "enum" in schema:
        return False
    bound = {"string": "maxLength", "array": "maxItems", "integer": "minimum", "number": "maximum"}
    if "additionalProperties" in schema:
        return "maxProperties" not in schema
    return schema.get("type") in bound and bound[schema["type"]] not in schema


def test_committed_crd_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == crd_text(), (
        "crds/domaintrainings.yaml is not what the models say: run `make generate` and commit the result"
    )


def test_same_text_on_every_call() -> None:
    assert crd_text() == crd_text()


def test_every_string_list_map_and_number_is_bounded() -> None:
    assert [path for path, schema in all_nodes() if unbounded(schema)] == []


def test_every_field_is_explained() -> None:
    inner = ("[]", "{}")
    silent = [path for path, node in all_nodes() if "description" not in node and not path.endswith(inner)]
    assert silent == []


def test_nothing_unknown_is_preserved() -> None:
    assert "preserve" not in crd_text().lower()


def test_only_what_a_structural_schema_may_hold() -> None:
    foreign = {"$ref", "$defs", "title", "const", "oneOf", "allOf", "discriminator", "exclusiveMinimum"}
    assert [path for path, schema in all_nodes() if foreign & schema.keys()] == []
    assert [
        path for path, schema in all_nodes() if "properties" in schema and "additionalProperties" in schema
    ] == []


def test_status_of_an_unseen_resource_says_so() -> None:
    """Without this default kstatus, and with it Flux and Argo CD, takes a new resource for done."""
    assert root()["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_defaults_of_the_contract_are_in_the_schema_but_auto_has_none() -> None:
    spec = root()["properties"]["spec"]["properties"]
    assert spec["optimizer"]["default"] == {
        "bootstrappedDemos": 3,
        "labeledDemos": 2,
        "metricThreshold": 1.0,
        "minibatchSize": 10,
        "chainOfThought": True,
        "seed": 9,
        "similarDomains": 3,
    }
    assert spec["dataset"]["properties"]["split"]["default"] == {
        "testPercent": 25,
        "validationPercent": 50,
        "seed": 9,
    }
    assert spec["tasks"]["default"] == ["entities", "relations"]
    assert "default" not in spec["auto"]
    assert "default" not in spec["types"]
    assert "default" not in spec["instructions"]


def test_status_has_no_defaults_below() -> None:
    """A default there would come back after the controller took a field away."""
    status = root()["properties"]["status"]
    assert [path for path, schema in nodes(status, "status") if "default" in schema] == ["status"]


def test_columns_read_fields_that_exist() -> None:
    version = crd()["spec"]["versions"][0]
    for column in version["additionalPrinterColumns"]:
        node = version["schema"]["openAPIV3Schema"]
        if column["jsonPath"].startswith((".metadata", ".status.conditions[?")):
            continue
        for field in column["jsonPath"].split(".")[1:]:
            node = node["properties"][field]
        assert node["type"] == column["type"]


def test_required_is_only_what_the_contract_requires() -> None:
    assert root()["required"] == ["spec"]
    assert root()["properties"]["spec"]["required"] == ["dataset"]


def test_every_rule_has_words() -> None:
    every = [entry for _, schema in all_nodes() for entry in schema.get("x-kubernetes-validations", ())]
    assert every
    assert all(entry["message"] for entry in every)


def test_command_writes_the_text_to_a_file_or_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-o", str(tmp_path / "crd.yaml")]) == 0
    assert main([]) == 0
    assert (tmp_path / "crd.yaml").read_text(encoding="utf-8") == capsys.readouterr().out == crd_text()


def test_text_is_yaml_of_the_crd() -> None:
    assert yaml.safe_load(crd_text()) == crd()


class Inner(BaseModel):
    """What is inside."""

    constant: Literal["a"] = "a"


class Shapes(BaseModel):
    """All shapes that models may have."""

    optional: Annotated[int, Field(ge=1)] | None = None
    choice: Inner | None = None
    several: Annotated[dict[str, Inner], Field(max_length=2)] = {}
    text: Annotated[str, StringConstraints(max_length=3)]


class Union(BaseModel):
    """A shape that has no structural form."""

    value: int | str


class Exclusive(BaseModel):
    """A bound that the API server reads as another one."""

    value: Annotated[int, Field(gt=0)]


def test_optional_fields_references_and_constants_become_plain() -> None:
    inner = {
        "description": "What is inside.",
        "type": "object",
        "properties": {"constant": {"type": "string", "enum": ["a"]}},
    }
    assert structural(Shapes, defaults=False) == {
        "description": "All shapes that models may have.",
        "type": "object",
        "required": ["text"],
        "properties": {
            "optional": {"type": "integer", "minimum": 1},
            "choice": inner,
            "several": {"type": "object", "maxProperties": 2, "additionalProperties": inner},
            "text": {"type": "string", "maxLength": 3},
        },
    }


def test_defaults_are_left_out_where_nothing_is_in_them() -> None:
    properties = structural(Shapes, defaults=True)["properties"]
    assert "default" not in properties["optional"]
    assert "default" not in properties["several"]
    assert properties["choice"]["properties"]["constant"]["default"] == "a"


@pytest.mark.parametrize("model", [Union, Exclusive])
def test_what_has_no_structural_form_is_an_error(model: type[BaseModel]) -> None:
    with pytest.raises(ValueError, match="no structural form"):
        structural(model, defaults=False)


def test_defaults_of_the_schema_are_those_of_the_models() -> None:
    """What the API server fills in is what the controller would take for granted."""
    filled = defaults_written_out(SMALLEST, root()["properties"]["spec"])
    assert filled["metric"] == {"matching": "normalized", "threshold": 0.75}
    assert DomainTrainingSpec.model_validate(filled) == DomainTrainingSpec.model_validate(SMALLEST)
