"""The part of the spec that says which model is trained for, and on which server."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domaintraining.api.base import ApiModel
from domaintraining.api.rules import ENDPOINT, KEEP_ALIVE, MODEL_NAME, checked, matching

DEFAULT_TAG: Final = "latest"
OWN_REGISTRY: Final = ("registry.ollama.ai/", "library/")

Think = Literal["Disabled", "Enabled", "Low", "Medium", "High"]

ModelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=MODEL_NAME),
    checked(matching(MODEL_NAME, "must be a model as `ollama pull` takes it, such as qwen3:32b")),
]
Endpoint = Annotated[
    str,
    StringConstraints(max_length=253, pattern=ENDPOINT),
    checked(
        matching(
            ENDPOINT,
            "must be http:// or https:// with a host, such as http://ollama.ollama:11434, "
            "without user, password or query",
        )
    ),
]
KeepAlive = Annotated[
    str,
    StringConstraints(max_length=32, pattern=KEEP_ALIVE),
    checked(
        matching(KEEP_ALIVE, 'must be a duration such as 30m or 1h30m, 0, or -1 for ever (as text: "-1")')
    ),
]


class ModelOptions(ApiModel):
    """Options of task calls; proposals of instructions always use temperature 1.0."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature; above 0 two measurements of one prompt differ."""
    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 2048
    """Longest answer in tokens."""
    num_ctx: Annotated[int, Field(ge=512, le=1_048_576)] | None = None
    """Context window in tokens (the server's own choice; another value makes it load the model again)."""
    think: Think = "Disabled"
    """Whether a thinking model thinks before it answers."""
    keep_alive: KeepAlive | None = None
    """How long the server keeps the model loaded: a Go duration, or -1 for ever (the server's own)."""


class PromptModel(ApiModel):
    """The Ollama model that proposes instructions."""

    name: ModelName
    """Model as `ollama pull` takes it; may be a larger one than the model that is trained for."""
    endpoint: Endpoint | None = None
    """URL of its Ollama server (that of the model); others as the operator's list allows."""


class Model(ApiModel):
    """The Ollama model that the prompt is trained for."""

    name: ModelName | None = None
    """Model as `ollama pull` takes it (the operator's OLLAMA_MODEL_GENERATION)."""
    endpoint: Endpoint | None = None
    """URL of the Ollama server (the operator's OLLAMA_BASE_URL); others as the operator's list allows."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """Whether the controller pulls the model."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """Calls in flight at once, and at most the operator's number for its server (that number; where the
    operator has none the trainer measures what the server serves at once)."""
    options: ModelOptions = ModelOptions()
    """Options of task calls."""
    prompt_model: PromptModel | None = None
    """The model that proposes instructions (the same model)."""


def full_name(model: str) -> str:
    """A model's name in one spelling: lower case, with its tag, without the default registry."""
    name = model.lower()
    for prefix in OWN_REGISTRY:
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] else f"{name}:{DEFAULT_TAG}"
