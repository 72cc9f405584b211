"""The engine under dspy.LM: takes DSPy's canonical Request, sends the body that is published, text only.

`dspy.LM(engine=…)` with `complete(Request) -> Response` is the interface that DSPy 3.5 keeps
(https://dspy.ai/community/normalized-lm-api-migration/). With it DSPy imports neither litellm nor openai.

How a caller gets a JSON schema into the call (`format` on the wire), both ways cached by DSPy:

* `lm(Request(model=lm.model, system=…, messages=(…,), config=Config(temperature=…, response_format={
  "type": "json_schema", "schema": {…}})))` returns the Response; this is what an adapter's `__call__` uses.
  A Request carries all there is: the LM's own temperature is not merged into it, and where it has none the
  options' one is sent.
* `lm(messages=…, response_format={"type": "json_schema", "json_schema": {"name": …, "schema": …}})`, the
  way of DSPy's own adapters up to 3.4 (JSONAdapter does so because of the two declarations below).

The schema reaches the wire as it was given, in the order of its keys. `rollout_id` is told to DSPy's cache
alone, see `rollouts`. An answer that was cut, by num_predict or by the server, has the finish_reason
`length`. What goes wrong here ends the run: DSPy would take an exception for a score of 0.
"""

from collections.abc import Callable
from typing import Any, Final

import dspy
from dspy.lm15 import Config, Message, Request, Response, Usage

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import ModelOptions
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import Answering, ChatAnswer, GiveUp, raise_given_up
from domaintraining.trainer.calls.wire import request_body

__all__ = ["GiveUp", "OllamaEngine", "proposal_lm", "task_lm"]

PROPOSAL_TEMPERATURE: Final = 1.0
ROLES: Final = {"user": "user", "assistant": "assistant", "developer": "system"}


class OllamaEngine:
    """Completes canonical requests through a model server; used by many threads at once.

    Args:
        calls: where the calls go.
        model: name of the model on that server.
        options: options of task calls; a request's own temperature goes before theirs.
        seed: seed of sampling in every call.
        digest: digest of the model, which keeps answers of different models apart in DSPy's cache.
        give_up: ends the run where a request cannot be sent, or this engine fails.
        rollout: the rollout of the call that the present thread makes.
    """

    supported_params: Final = frozenset({"temperature", "stop", "response_format"})
    supports_response_schema: Final = True
    supports_function_calling: Final = False
    supports_reasoning: Final = False

    def __init__(  # noqa: PLR0913 - what a call is made of
        self,
        calls: Answering,
        model: str,
        options: ModelOptions,
        seed: int,
        *,
        digest: str = "",
        give_up: GiveUp = raise_given_up,
        rollout: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._calls, self._rollout = calls, rollout
        self._model = model
        self._options = options
        self._seed = seed
        self._give_up = give_up
        self.name: Final = f"{model}@{digest or 'ollama'}"
        """Name of the model for DSPy; never one that DSPy takes for a hosted model with rules of its own."""

    @property
    def temperature(self) -> float:
        """Temperature of task calls."""
        return self._options.temperature

    def complete(self, request: Request) -> Response:
        """The response to a request; returns with the model's answer or not at all."""
        try:
            answer = self._calls.chat(self.body(request), self._rollout())
            return _response(answer, self.name)
        except DomainTrainingError as error:
            self._give_up(error)
        except Exception as error:  # noqa: BLE001 - DSPy would make a score of it
            what = f"{type(error).__name__} in the engine, which is an error of this program"
            self._give_up(DomainTrainingError(Reason.TRAINER_FAILED, what))

    def body(self, request: Request) -> dict[str, Any]:
        """The body of /api/chat for a request.

        Raises:
            ValueError: the request holds something that is not text, or options that have no place here.
        """
        config: Config = request.config
        schema = config.response_format.get("schema") if config.response_format else None
        if request.tools or config.max_tokens is not None or (config.response_format and schema is None):
            raise ValueError("tools, a max_tokens of its own and JSON without a schema cannot be asked for")
        return request_body(
            self._model,
            _messages(request),
            schema,
            self._options,
            seed=self._seed,
            temperature=config.temperature,
            stop=config.stop,
        )


def task_lm(engine: OllamaEngine) -> dspy.LM:
    """The LM for task calls: temperature of the run's options, DSPy's cache on, retries in the engine."""
    return dspy.LM(engine.name, engine=engine, temperature=engine.temperature, cache=True, num_retries=0)


def proposal_lm(engine: OllamaEngine) -> dspy.LM:
    """The LM for MIPROv2's proposals of instructions, at temperature 1.0."""
    return dspy.LM(engine.name, engine=engine, temperature=PROPOSAL_TEMPERATURE, cache=True, num_retries=0)


def _messages(request: Request) -> list[dict[str, str]]:
    messages = [{"role": ROLES[message.role], "content": _text(message.text)} for message in request.messages]
    if request.system is None:
        return messages
    return [{"role": "system", "content": _text(request.system)}, *messages]


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise ValueError("only text can be sent")  # noqa: TRY004 - one kind of error for all that has no place
    return content


def _response(answer: ChatAnswer, model: str) -> Response:
    return Response(
        id=None,
        model=model,
        message=Message.assistant(answer.content),
        finish_reason="stop" if answer.done_reason == "stop" else "length",
        usage=Usage(input_tokens=answer.prompt_tokens, output_tokens=answer.answer_tokens),
    )
