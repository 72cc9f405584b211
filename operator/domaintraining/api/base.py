"""What every model of the API shares."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A model whose fields are camelCase on the wire and documented by the literals under them.

    Unknown keys are refused: the API server prunes what the CRD doesn't know, so one that
    arrives here comes from another version and must not be half understood. Errors name the field,
    never its value: they reach logs and conditions, and values may be sample text.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )


class WireModel(ApiModel):
    """A model that controller and trainer exchange; the other side may be a newer or older image."""

    model_config = ConfigDict(extra="ignore")
