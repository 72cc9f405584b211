"""The seam to the model server: one call of Ollama's API, which is answered or ends the process.

A failed call never comes back to DSPy, which would take it for a score of 0: it is tried again until
the outage budget is used up, and then `give_up` ends the whole process with the reason.

`stream` is false: the engine sends the bytes that are published, people post those with one request, and
a reply that the server broke off is told just as well by its `"done": false` (seen with 0.17.4 and
0.24.0; since 0.34.1 it is an error). What streaming would add, that a slow server differs from a dead one,
comes from TCP keep-alive and from a read time-out by the length of the answer, see `patience`.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

import urllib3

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.reach import PLAIN, Reach
from domaintraining.trainer.calls.asked import Asked, asked_by
from domaintraining.trainer.calls.embedding import is_embedding, read_embeddings
from domaintraining.trainer.calls.outage import Outage, pauses
from domaintraining.trainer.calls.pool import open_pool, words_of
from domaintraining.trainer.calls.reply import CUT, CallFailed, ChatAnswer, encode, read_reply

__all__ = [
    "Answering",
    "ChatAnswer",
    "GiveUp",
    "GivenUp",
    "ModelServer",
    "OllamaServer",
    "ScriptedServer",
    "Traffic",
    "patience",
    "raise_given_up",
]

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 600.0
"""Time for an answer of usual length, with a model being loaded before it."""
SLOWEST_TOKENS_PER_SECOND: Final = 10.0
MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
CUT_ATTEMPTS: Final = 3
"""Tries of a call in which the model repeats itself without end; at temperature 0 it mostly does so again."""
KEEP_ALIVE: Final = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))
        if hasattr(socket, name)
    ),
]


GiveUp = Callable[[DomainTrainingError], NoReturn]
"""Ends the run with an error; never returns."""


class ModelServer(Protocol):
    """Whatever answers calls; used by many threads at once."""

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        """The answer to one body of /api/chat, or of /api/embed, see `embedding.embed_body`.

        Returns with an answer or not at all.
        """


class Answering(Protocol):
    """Whatever answers the calls of a run and keeps the answers apart."""

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:
        """The answer to one body; `rollout` tells equal calls apart that want answers of their own."""


class GivenUp(BaseException):
    """The run cannot go on. Not an Exception: DSPy catches those and scores 0."""

    def __init__(self, error: DomainTrainingError) -> None:
        super().__init__(error.message)
        self.error = error


def raise_given_up(error: DomainTrainingError) -> NoReturn:
    """Gives up within this thread only; a trainer's main ends the process instead."""
    raise GivenUp(error)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counts over all threads since the server object was made."""

    answered: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    waited_seconds: float = 0.0
    """Time lost to outages that are over."""


def patience(max_tokens: int, permits: int) -> float:
    """Seconds after which a silent server is taken for dead.

    Enough for the longest answers of all permits one after another at 10 tokens a second, as a server
    with one slot gives them, and never less than 600 s.
    """
    return max(READ_SECONDS, max_tokens * permits / SLOWEST_TOKENS_PER_SECOND)


class OllamaServer:
    """Ollama's /api/chat and /api/embed over one connection pool.

    Redirects are not followed, and proxies only as `reach` has them, whatever the environment says: the
    endpoint is the one that was allowed.

    Args:
        endpoint: base URL, without /api.
        permits: calls in flight at most, over all threads.
        outage_seconds: how long failures may go on without an answered call, and for a single call, before
            `give_up` is called with ModelServerUnavailable.
        on_wait: told in one sentence what fails, while it fails.
        on_recovered: told when it is over.
        on_answer: told every answer.
        give_up: ends the run; never returns. Called by one thread, the others block meanwhile.
        read_seconds: time for one answer, see `patience`.
        reach: proxy and authorities.
        sleep, clock: for tests.
    """

    def __init__(  # noqa: PLR0913 - the wiring of a seam
        self,
        endpoint: str,
        *,
        permits: int,
        outage_seconds: float,
        reach: Reach = PLAIN,
        on_wait: Callable[[str], None] = lambda _: None,
        on_recovered: Callable[[], None] = lambda: None,
        on_answer: Callable[[ChatAnswer], None] = lambda _: None,
        give_up: GiveUp = raise_given_up,
        read_seconds: float = READ_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._outage_seconds = outage_seconds
        self._outage = Outage(outage_seconds, clock, on_wait, on_recovered)
        self._on_answer, self._give_up = on_answer, give_up
        self._read_seconds, self._sleep, self._clock = read_seconds, sleep, clock
        self._permits = threading.BoundedSemaphore(permits)
        self._counting, self._ending = threading.Lock(), threading.Lock()
        self._traffic = Traffic()
        self._pool = open_pool(
            self._endpoint,
            reach,
            maxsize=permits,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
            retries=False,
            socket_options=KEEP_ALIVE,
        )

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        """The answer to a body of /api/chat or /api/embed; waits as long as the outage budget allows.

        `done_reason` is `stop`, `length` (cut by num_predict) or `cut` (the model repeated itself until the
        server broke it off, three times; its content is what there was). A reply that was broken off for no
        such reason is a failure like any other.
        """
        asked = asked_by(body)
        failing_since: float | None = None
        cuts = 0
        for pause in pauses():
            began = self._clock()
            try:
                answer = self._answer(asked)
            except CallFailed as failure:
                now = self._clock()
                failing_since = now if failing_since is None else failing_since
                self._failed(asked.path, failure, now - began, now - failing_since)
                self._sleep(max(pause, failure.retry_after))
                continue
            except DomainTrainingError as error:
                self.end(error)
            self._outage.answered(self._clock() - began)
            cuts += answer.done_reason == CUT
            if answer.done_reason == CUT and cuts < CUT_ATTEMPTS:
                continue
            return self._count(answer)
        raise AssertionError  # pauses() has no end

    def end(self, error: DomainTrainingError) -> NoReturn:
        """Gives up for good; what the first thread says counts."""
        with self._ending:
            self._give_up(error)

    @property
    def traffic(self) -> Traffic:
        """The counts so far."""
        with self._counting:
            return Traffic(
                self._traffic.answered,
                self._traffic.prompt_tokens,
                self._traffic.answer_tokens,
                self._outage.waited_seconds,
            )

    def close(self) -> None:
        """Closes idle connections."""
        self._pool.clear()

    def _answer(self, asked: Asked) -> ChatAnswer:
        with self._permits:
            status, retry_after, reply = self._post(asked)
        return read_reply(status, reply, asked.quotable, retry_after, asked.read)

    def _post(self, asked: Asked) -> tuple[int, float, bytes]:
        try:
            response = self._pool.request(
                "POST",
                f"{self._endpoint}{asked.path}",
                body=asked.data,
                headers={"Content-Type": "application/json"},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                return response.status, _retry_after(response), self._drain(response)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise CallFailed(words_of(error)) from error

    def _drain(self, response: urllib3.BaseHTTPResponse) -> bytes:
        deadline = self._clock() + self._read_seconds
        reply = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            reply += chunk
            if len(reply) > MAX_REPLY_BYTES or self._clock() > deadline:
                response.close()
                raise CallFailed(f"a reply of more than {len(reply)} bytes was not read to its end")
        return bytes(reply)

    def _failed(self, path: str, failure: CallFailed, lasted: float, failing_for: float) -> None:
        what = f"{self._endpoint}{path}: {failure}"
        if self._outage.failed(what, lasted) or failing_for >= self._outage_seconds:
            message = f"a call was tried again for {failing_for:.0f} s without an answer; at last {what}"
            self.end(DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, message))

    def _count(self, answer: ChatAnswer) -> ChatAnswer:
        with self._counting:
            self._traffic = Traffic(
                self._traffic.answered + 1,
                self._traffic.prompt_tokens + answer.prompt_tokens,
                self._traffic.answer_tokens + answer.answer_tokens,
            )
        self._on_answer(answer)
        return answer


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds that the server asks to wait, at most 60; dates are not read."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), 60.0) if value.isascii() and value.isdigit() else 0.0


class ScriptedServer:
    """The shipped fake: answers from a function, keeps the bodies it was given.

    Args:
        answer: the content for a body.
        vector: the embedding of a text; without it none is asked for.
    """

    def __init__(
        self, answer: Callable[[Mapping[str, Any]], str], vector: Callable[[str], list[float]] | None = None
    ) -> None:
        self._scripted, self._vector = answer, vector
        self.bodies: list[Mapping[str, Any]] = []

    def chat(self, body: Mapping[str, Any], rollout: int | None = None) -> ChatAnswer:  # noqa: ARG002
        """The scripted answer; its model name says that it is simulated."""
        self.bodies.append(body)
        if self._vector is not None and is_embedding(body):
            rows = [self._vector(text) for text in body["input"]]
            return read_embeddings(len(rows), {"embeddings": rows, "model": f"simulated-{body['model']}"})
        content = self._scripted(body)
        tokens = len(encode(body)) // 4
        return ChatAnswer(content, "stop", tokens, len(content) // 4, f"simulated-{body['model']}")
