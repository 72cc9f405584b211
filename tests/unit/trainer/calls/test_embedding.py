"""Embeddings come through the same seam as answers: retried, kept, and never anything but vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domaintraining.api.reasons import Reason
from domaintraining.trainer.calls.embedding import EMBEDDING, embed_body, read_embeddings, vectors_of
from domaintraining.trainer.calls.reply import CallFailed, ChatAnswer
from domaintraining.trainer.calls.server import GivenUp, OllamaServer, ScriptedServer
from domaintraining.trainer.calls.store import Calls
from domaintraining.trainer.journal.journal import open_journal
from tests.unit.trainer.journal.journal_writer import FINGERPRINT
from tests.unit.trainer.loopback import Clock, Reply, serving

BODY = embed_body("e", ["norrsken ab", "umeå"])
REPLY = {"model": "simulated-e", "embeddings": [[3, 4.0], [0.0, 2]], "prompt_eval_count": 5}


def ollama(url: str, clock: Clock) -> OllamaServer:
    return OllamaServer(url, permits=1, outage_seconds=60, sleep=clock.sleep, clock=clock)


def test_texts_go_to_the_embed_call_and_come_back_as_vectors_of_length_1(clock: Clock) -> None:
    with serving(Reply(REPLY)) as loopback:
        answer = ollama(loopback.url, clock).chat(BODY)
    (request,) = loopback.received
    assert (request.path, request.json) == ("/api/embed", {"model": "e", "input": ["norrsken ab", "umeå"]})
    assert (answer.done_reason, answer.prompt_tokens, answer.model) == (EMBEDDING, 5, "simulated-e")
    assert np.allclose(vectors_of(answer, 2), [[0.6, 0.8], [0.0, 1.0]])


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        [[1.0]],
        [[1.0], [1.0], [1.0]],
        [[1.0], [1.0, 2.0]],
        [[], []],
        [[1.0], "x"],
        [[1.0], [None]],
        [[1.0], [True]],
        [[1.0], [float("nan")]],
        [[1.0], [float("inf")]],
        [[1.0], [10**400]],
        [[0.0] * 16_385] * 2,
    ],
)
def test_anything_but_a_vector_for_each_text_is_a_failure(rows: Any) -> None:
    """It is tried again like any reply that is none, and never becomes a number."""
    with pytest.raises(CallFailed):
        read_embeddings(2, {"embeddings": rows})


def test_a_failed_call_is_tried_again(clock: Clock) -> None:
    """With the path in what is told, as an outage is one of the server."""
    failure = Reply({"error": "llama runner process has terminated"}, 500)
    with serving(failure, Reply({"embeddings": []}), Reply(REPLY)) as loopback:
        assert ollama(loopback.url, clock).chat(BODY).done_reason == EMBEDDING
    assert len(clock.slept) == 2


def test_a_refusal_ends_the_run_and_quotes_no_name(clock: Clock) -> None:
    with serving(Reply({"error": "cannot embed 'UMEÅ'"}, 400)) as loopback, pytest.raises(GivenUp) as ended:
        ollama(loopback.url, clock).chat(BODY)
    assert ended.value.error.reason is Reason.MODEL_UNSUITABLE
    assert "UME" not in ended.value.error.message


def test_very_large_and_very_small_vectors_keep_their_direction() -> None:
    """And one of zeros has none."""
    answer = read_embeddings(3, {"embeddings": [[3e300, 4e300], [3e-300, 4e-300], [0, 0]]})
    assert np.allclose(vectors_of(answer, 3), [[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]])


@pytest.mark.parametrize(
    "answer",
    [
        ChatAnswer("", EMBEDDING, 0, 0, ""),
        ChatAnswer("{}", EMBEDDING, 0, 0, ""),
        ChatAnswer("AAAA", EMBEDDING, 0, 0, ""),
        ChatAnswer("AACAPwAAgD8=", "stop", 0, 0, ""),
        ChatAnswer("AACAPwAAgD8AAIA/", EMBEDDING, 0, 0, ""),
    ],
)
def test_what_is_no_answer_with_so_many_vectors_is_refused(answer: ChatAnswer) -> None:
    with pytest.raises(ValueError, match="not an answer with embeddings"):
        vectors_of(answer, 2)


def test_embeddings_are_kept_in_the_journal_and_asked_once(tmp_path: Path) -> None:
    """A second process finds them there; another digest of the model asks again."""
    asked: list[Any] = []

    def vector(text: str) -> list[float]:
        asked.append(text)
        return [float(len(text)), 1.0]

    def chat(digest: str) -> ChatAnswer:
        journal = open_journal(tmp_path, FINGERPRINT)
        calls = Calls(ScriptedServer(json.dumps, vector), journal, 2, {"e": digest})
        try:
            return calls.chat(BODY)
        finally:
            calls.close()
            journal.close()

    assert chat("1") == chat("1")
    assert asked == BODY["input"]
    chat("2")
    assert len(asked) == 4
