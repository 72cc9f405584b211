"""What DSPy asks for goes over the wire as the published body, and only text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Config, FunctionTool, Message, Request

from domaintraining.api.reasons import Reason
from domaintraining.api.spec import ModelOptions, Think
from domaintraining.trainer.calls.reply import ChatAnswer
from domaintraining.trainer.calls.server import GivenUp, ScriptedServer
from domaintraining.trainer.calls.wire import request_body
from domaintraining.trainer.search.engine import OllamaEngine, proposal_lm, task_lm

SCHEMA = {
    "type": "object",
    "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
    "required": ["b"],
}
MESSAGES = [
    {"role": "system", "content": "Name the colours.\n"},
    {"role": "user", "content": "Text:\nroter Ziegel"},
    {"role": "assistant", "content": '{"b": "röt"}'},
    {"role": "user", "content": "Text:\n"},
]


@pytest.fixture(autouse=True)
def _no_cache_between_tests() -> Iterator[None]:
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    with dspy.context(disable_history=True):
        yield


def scripted(content: str = '{"b": "x"}') -> tuple[ScriptedServer, OllamaEngine]:
    server = ScriptedServer(lambda _: content)
    return server, OllamaEngine(server, "m:1b", ModelOptions(), 9)


def asked(lm: dspy.LM, schema: Mapping[str, Any] | None = SCHEMA, **config: Any) -> Request:
    if schema is not None:
        config["response_format"] = {"type": "json_schema", "schema": schema}
    first, *rest = MESSAGES
    turns = tuple(getattr(Message, message["role"])(message["content"]) for message in rest)
    return Request(model=lm.model, system=first["content"], messages=turns, config=Config(**config))


def test_a_task_call_sends_the_published_body_byte_for_byte() -> None:
    server, engine = scripted()
    lm = task_lm(engine)
    response = lm(asked(lm, temperature=0.0))
    assert response.text == '{"b": "x"}'
    published = request_body("m:1b", MESSAGES, SCHEMA, ModelOptions(), seed=9)
    assert [json.dumps(body) for body in server.bodies] == [json.dumps(published)]


def test_the_body_holds_what_keeps_the_prompt_whole_and_the_answer_bounded() -> None:
    assert request_body("m", MESSAGES, SCHEMA, ModelOptions(), seed=9) == {
        "model": "m",
        "messages": MESSAGES,
        "stream": False,
        "format": SCHEMA,
        "think": False,
        "truncate": False,
        "options": {"temperature": 0.0, "seed": 9, "num_predict": 2048},
    }


@pytest.mark.parametrize(
    ("think", "sent"),
    [("Disabled", False), ("Enabled", True), ("Low", "low"), ("Medium", "medium"), ("High", "high")],
)
def test_thinking_is_always_said(think: Think, sent: object) -> None:
    assert request_body("m", MESSAGES, None, ModelOptions(think=think), seed=1)["think"] == sent


def test_optional_fields_are_sent_only_where_they_are_set() -> None:
    options = ModelOptions(temperature=0.5, max_tokens=64, num_ctx=8192, keep_alive="-1")
    body = request_body("m", MESSAGES, None, options, seed=1, temperature=1.0, stop=["##"])
    assert body["options"] == {
        "temperature": 1.0,
        "seed": 1,
        "num_predict": 64,
        "num_ctx": 8192,
        "stop": ["##"],
    }
    assert body["keep_alive"] == -1
    assert "format" not in body
    assert request_body("m", MESSAGES, None, ModelOptions(keep_alive="5m"), seed=1)["keep_alive"] == "5m"


def test_equal_task_calls_are_sent_once() -> None:
    server, engine = scripted()
    lm = task_lm(engine)
    assert lm(asked(lm, temperature=0.0)).text == lm(asked(lm, temperature=0.0)).text
    assert len(server.bodies) == 1


def test_a_rollout_is_a_new_call_that_says_nothing_about_itself() -> None:
    server, engine = scripted("[[ ## b ## ]]\nx\n\n[[ ## completed ## ]]")
    lm = proposal_lm(engine)
    for rollout in (3, 4):
        with dspy.context(lm=lm.copy(rollout_id=rollout, temperature=1.0), adapter=dspy.ChatAdapter()):
            assert dspy.Predict("a -> b")(a="y").b == "x"
    first, second = server.bodies
    assert first == second
    assert first["options"]["temperature"] == 1.0
    assert "format" not in first
    assert "rollout" not in json.dumps(first)


def test_dspys_own_json_adapter_gets_its_schema_through() -> None:
    server, engine = scripted('{"b": "x"}')
    with dspy.context(lm=proposal_lm(engine), adapter=dspy.JSONAdapter()):
        assert dspy.Predict("a -> b")(a="y").b == "x"
    assert list(server.bodies[0]["format"]["properties"]) == ["b"]


def test_digests_keep_answers_of_different_models_apart() -> None:
    server = ScriptedServer(lambda _: "{}")
    for digest in ("sha256:1", "sha256:2"):
        lm = task_lm(OllamaEngine(server, "m", ModelOptions(), 9, digest=digest))
        lm(asked(lm, temperature=0.0))
    assert len(server.bodies) == 2


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini", "hf.co/someone/o1:q4", "openai/gpt-oss:20b"])
def test_a_model_may_be_named_like_a_hosted_one(model: str) -> None:
    server = ScriptedServer(lambda _: "{}")
    lm = task_lm(OllamaEngine(server, model, ModelOptions(), 9))
    lm(asked(lm, temperature=0.0))
    assert server.bodies[0]["model"] == model


@pytest.mark.parametrize("reason", ["length", "cut"])
def test_a_cut_answer_says_so(reason: str) -> None:
    class CuttingServer:
        def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:  # noqa: ARG002
            del body
            return ChatAnswer("", reason, 1, 1, "simulated-m")

    lm = task_lm(OllamaEngine(CuttingServer(), "m", ModelOptions(), 9))
    response = lm(asked(lm, temperature=0.0))
    assert (response.text, response.finish_reason) == ("", "length")


def test_an_error_in_the_engine_ends_the_run_and_not_a_score() -> None:
    class BrokenServer:
        def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:  # noqa: ARG002
            raise ZeroDivisionError(str(body))

    lm = task_lm(OllamaEngine(BrokenServer(), "m", ModelOptions(), 9))
    with pytest.raises(GivenUp) as given_up:
        lm(asked(lm, temperature=0.0))
    assert given_up.value.error.reason == Reason.TRAINER_FAILED
    assert "ZeroDivisionError" in given_up.value.error.message
    assert "Ziegel" not in given_up.value.error.message


@pytest.mark.parametrize(
    "request_",
    [
        Request(model="m@ollama", messages=(Message.user("x"),), tools=(FunctionTool("f", "d", {}),)),
        Request(model="m@ollama", messages=(Message.user("x"),), config=Config(max_tokens=5)),
        Request(
            model="m@ollama",
            messages=(Message.user("x"),),
            config=Config(response_format={"type": "json_object"}),
        ),
    ],
)
def test_what_cannot_be_sent_is_not_sent_differently(request_: Request) -> None:
    server = ScriptedServer(lambda _: "{}")
    lm = task_lm(OllamaEngine(server, "m", ModelOptions(), 9))
    with pytest.raises(GivenUp):
        lm(request_)
    assert server.bodies == []


CALL = r"""
import re, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
import dspy
from domaintraining.api.spec import ModelOptions
from domaintraining.trainer.search.engine import OllamaEngine, proposal_lm
from domaintraining.trainer.calls.server import ScriptedServer
dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
engine = OllamaEngine(ScriptedServer(lambda _: '{"b": "x"}'), "m", ModelOptions(), 9)
for adapter in (dspy.JSONAdapter(), dspy.ChatAdapter()):
    with dspy.context(lm=proposal_lm(engine), adapter=adapter, disable_history=True):
        assert dspy.Predict("a -> b")(a="y").b == "x"
assert not {"litellm", "openai"} & set(sys.modules), "a client was imported"
# ru_maxrss would be that of the process that forked this one
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) // 1024)
"""


def test_dspy_imports_no_other_client_and_stays_small(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "DSPY_CACHEDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 130, "MiB at most"
