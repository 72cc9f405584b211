"""The one place that builds a body for Ollama's /api/chat: engine, evaluation and export send the same.

The fields and what they mean: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from collections.abc import Sequence
from typing import Any, Final

from domaintraining.api.spec import ModelOptions, Think

THINK: Final[dict[Think, bool | str]] = {
    "Disabled": False,
    "Enabled": True,
    "Low": "low",
    "Medium": "medium",
    "High": "high",
}
FOR_EVER: Final = -1
"""Ollama takes keep_alive as a duration with its unit, or as this number."""


def request_body(  # noqa: PLR0913 - each is one field of the body
    model: str,
    messages: list[dict[str, str]],
    schema: dict[str, Any] | None,
    options: ModelOptions,
    *,
    seed: int,
    temperature: float | None = None,
    stop: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole body of one call.

    `think` is always sent: Ollama lets a model that can think do so where the field is absent.
    `truncate: false` makes the server refuse a prompt that is too long; otherwise it drops the first
    messages, our demos, without a word. `num_predict` bounds a run-away answer. `num_ctx` and
    `keep_alive` are sent only where they are set: another value makes the server load the model again.

    Args:
        model: name of the model.
        messages: chat messages with the keys role and content.
        schema: JSON schema of the answer; None lets the model write freely.
        options: options of task calls.
        seed: seed of sampling; without effect at temperature 0.
        temperature: instead of the options' one; proposals use 1.0.
        stop: texts at which the answer ends.
    """
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
    if schema is not None:
        body["format"] = schema
    body["think"] = THINK[options.think]
    body["truncate"] = False
    if options.keep_alive is not None:
        body["keep_alive"] = FOR_EVER if options.keep_alive == str(FOR_EVER) else options.keep_alive
    body["options"] = _sampling(options, seed, temperature, stop)
    return body


def _sampling(
    options: ModelOptions, seed: int, temperature: float | None, stop: Sequence[str]
) -> dict[str, Any]:
    sampling: dict[str, Any] = {
        "temperature": options.temperature if temperature is None else temperature,
        "seed": seed,
        "num_predict": options.max_tokens,
    }
    if options.num_ctx is not None:
        sampling["num_ctx"] = options.num_ctx
    if stop:
        sampling["stop"] = list(stop)
    return sampling
