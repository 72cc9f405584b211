"""For applications: a published prompt as a DSPy program, and a model that is asked as it was scored.

DSPy's own `dspy.LM("ollama_chat/…")` does not do: its engine speaks OpenAI's dialect, which has no place for
`truncate`, and would send neither `think` nor the answer's schema.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import OllamaServer
from domaintraining.trainer.prompts.export import load_program

__all__ = ["load_lm", "load_program"]

PATIENCE_SECONDS: Final = 60.0
"""How long a failing server is asked again."""
PERMITS: Final = 16
_ROLES: Final = {"user": "user", "assistant": "assistant", "developer": "system"}


def load_lm(request: str, endpoint: str) -> dspy.LM:
    """The LM for a program of `load_program`: each call is the published request with the call's messages.

    Args:
        request: a `<task>.request.json`; its model, schema and options are sent.
        endpoint: URL of the Ollama server, without /api.

    Returns:
        An LM whose answers are not cached. Where the server refuses, or fails for a minute, DSPy raises its
        LMUnexpectedError with the server's words; its cause is a DomainTrainingError with the reason.

    Raises:
        ValueError: no JSON, or not such a request.
    """
    body = json.loads(request)
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise ValueError("not a <task>.request.json of a prompt's ConfigMap")  # noqa: TRY004 - as for bad JSON
    name = f"{body['model']}@ollama"  # never one that DSPy takes for a hosted model with rules of its own
    return dspy.LM(name, engine=_Published(body, endpoint), cache=False, num_retries=0)


class _Published:
    """The engine under that LM, see `engine` for DSPy's side of it."""

    supported_params: Final = frozenset({"temperature", "response_format"})
    supports_response_schema: Final = True
    supports_function_calling: Final = False
    supports_reasoning: Final = False

    def __init__(self, body: Mapping[str, Any], endpoint: str) -> None:
        self._body = body
        self._server = OllamaServer(
            endpoint, permits=PERMITS, outage_seconds=PATIENCE_SECONDS, give_up=_raised
        )

    def complete(self, request: Request) -> Response:
        """The answer to the messages of a request; its options are those that were published."""
        system = [] if request.system is None else [{"role": "system", "content": request.system}]
        talk = [{"role": _ROLES[one.role], "content": one.text} for one in request.messages]
        answer = self._server.chat({**self._body, "messages": [*system, *talk]})
        return Response(
            id=None,
            model=answer.model,
            message=Message.assistant(answer.content),
            finish_reason="stop" if answer.done_reason == "stop" else "length",
            usage=Usage(input_tokens=answer.prompt_tokens, output_tokens=answer.answer_tokens),
        )


def _raised(error: DomainTrainingError) -> NoReturn:
    raise error
