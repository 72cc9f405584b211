"""A call comes back with an answer, or the run ends with the reason; never an error that becomes a score."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls import server as seam
from domaintraining.trainer.calls.outage import pauses
from domaintraining.trainer.calls.server import GivenUp, OllamaServer, ScriptedServer, patience
from tests.unit.trainer.loopback import Clock, Loopback, Received, Reply, answer, serving

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Text:\nAnna Berg founded Norrsken AB in Umeå."}],
}


class Notes:
    """What the server's hooks were told."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.recovered = 0
        self.answers: list[Any] = []

    def recover(self) -> None:
        self.recovered += 1

    @property
    def hooks(self) -> dict[str, Any]:
        return {
            "on_wait": self.waits.append,
            "on_recovered": self.recover,
            "on_answer": self.answers.append,
        }


def ollama(url: str, clock: Clock, notes: Notes | None = None, **settings: Any) -> OllamaServer:
    settings = {"permits": 2, "outage_seconds": 600.0, "sleep": clock.sleep, "clock": clock} | settings
    return OllamaServer(url, **((notes or Notes()).hooks | settings))


def test_the_answer_is_read_and_the_body_arrives_as_it_is(clock: Clock) -> None:
    with serving(answer('{"a": 1}')) as loopback:
        got = ollama(loopback.url + "/", clock).chat(BODY)
    assert got == ('{"a": 1}', "stop", 7, 3, "simulated-m")
    (request,) = loopback.received
    assert (request.method, request.path) == ("POST", "/api/chat")
    assert request.body == json.dumps(BODY, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "failure",
    [
        Reply({"error": "server busy, please try again.  maximum pending requests exceeded"}, 503),
        Reply({"error": "model 'm' not found"}, 404),
        Reply({"error": "slow down"}, 429),
        Reply({"error": "llama runner process has terminated"}, 500),
        Reply(b"<html>bad gateway</html>", 502),
        Reply(b"", 302, {"Location": "http://127.0.0.1:9/api/chat"}),
        Reply(b"sign in", 401),
        Reply(b"404 page not found", 404),
        Reply(b"not json"),
        Reply(b"[" * 100_000),
        Reply([1]),
        Reply({"model": "m"}),
        Reply({"model": "m", "message": {"content": "x"}}),
        Reply({"model": "m", "message": {"content": 5}, "done": True}),
        Reply({"error": "canceled"}),
        Reply(drop=True),
    ],
)
def test_a_call_without_an_answer_is_tried_again(failure: Reply, clock: Clock) -> None:
    with serving(failure, answer("fine")) as loopback:
        server = ollama(loopback.url, clock)
        assert server.chat(BODY).content == "fine"
    assert len(loopback.received) == 2
    assert len(clock.slept) == 1
    assert server.traffic.answered == 1


def test_a_refused_connection_is_waited_out_until_the_budget_ends_the_run(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    notes = Notes()
    server = ollama(f"http://127.0.0.1:{port}", clock, notes, outage_seconds=120)
    with pytest.raises(GivenUp) as given_up:
        server.chat(BODY)
    error = given_up.value.error
    assert error.reason == Reason.MODEL_SERVER_UNAVAILABLE
    assert error.retryable
    assert str(port) in error.message
    assert "NewConnectionError" in error.message
    assert 120 <= clock.now - 1000 <= 160
    assert len(notes.waits) == 1
    assert notes.recovered == 0


def test_giving_up_is_no_exception_that_dspy_would_catch() -> None:
    assert not issubclass(GivenUp, Exception)


def test_a_hiccup_is_not_announced_an_outage_is_with_its_end(clock: Clock) -> None:
    busy = Reply({"error": "busy"}, 503)
    notes = Notes()
    with serving(busy, busy, answer(), busy, busy, busy, busy, answer()) as loopback:
        server = ollama(loopback.url, clock, notes)
        server.chat(BODY)
        assert (notes.waits, notes.recovered) == ([], 0)
        server.chat(BODY)
    assert notes.waits == [f"{loopback.url}/api/chat: HTTP 503: busy"]
    assert notes.recovered == 1
    assert server.traffic.waited_seconds == pytest.approx(sum(clock.slept))


def test_other_calls_being_answered_does_not_let_one_call_hang_for_ever(clock: Clock) -> None:
    def reply(request: Received) -> Reply:
        return answer() if b"good" in request.body else Reply({"error": "boom"}, 500)

    with Loopback(reply) as loopback:
        server = ollama(loopback.url, clock, outage_seconds=60)
        good = {"model": "m", "messages": [{"role": "user", "content": "good"}]}
        asleep = clock.sleep
        server._sleep = lambda seconds: (asleep(seconds), server.chat(good))[0]
        with pytest.raises(GivenUp) as given_up:
            server.chat(BODY)
    assert given_up.value.error.reason == Reason.MODEL_SERVER_UNAVAILABLE
    assert "HTTP 500: boom" in given_up.value.error.message


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply({"error": '"m" does not support thinking'}, 400), Reason.MODEL_UNSUITABLE),
        (Reply({"error": '"m" does not support chat'}, 400), Reason.MODEL_UNSUITABLE),
        (Reply({"error": "invalid JSON schema in format"}, 500), Reason.MODEL_UNSUITABLE),
        (Reply({"error": "the request exceeds the available context size"}, 400), Reason.PROMPT_TOO_LONG),
        (Reply({"error": "the request exceeds the available context size"}, 500), Reason.PROMPT_TOO_LONG),
        (Reply({"error": "input length exceeds maximum context length"}, 400), Reason.PROMPT_TOO_LONG),
        (Reply(b"", 413), Reason.PROMPT_TOO_LONG),
    ],
)
def test_a_refusal_that_stays_ends_the_run_at_once(reply: Reply, reason: Reason, clock: Clock) -> None:
    with serving(reply) as loopback, pytest.raises(GivenUp) as given_up:
        ollama(loopback.url, clock).chat(BODY)
    assert given_up.value.error.reason == reason
    assert not given_up.value.error.retryable
    assert len(loopback.received) == 1


def test_words_of_the_server_that_quote_the_prompt_are_left_out(clock: Clock) -> None:
    quoting = Reply({"error": "cannot parse: Anna Berg founded Norrsken AB"}, 400)
    with serving(quoting) as loopback, pytest.raises(GivenUp) as given_up:
        ollama(loopback.url, clock).chat(BODY)
    assert "Norrsken" not in given_up.value.error.message
    assert "HTTP 400" in given_up.value.error.message


def test_an_answer_cut_by_its_length_is_an_answer(clock: Clock) -> None:
    with serving(answer('{"a', done_reason="length")) as loopback:
        got = ollama(loopback.url, clock).chat(BODY)
    assert (got.content, got.done_reason) == ('{"a', "length")
    assert len(loopback.received) == 1


@pytest.mark.parametrize(
    "content",
    ['{"a":' + " \n" * 15, '{"a": "' + "\U0001f60a" * 30, '{"a": "' + ". " * 31, "ab ab" + "ab" * 28],
)
def test_a_model_that_repeats_itself_every_time_has_given_a_cut_answer(clock: Clock, content: str) -> None:
    """It is what this model answers, not an outage."""
    with serving(answer(content, done=False, done_reason=None)) as loopback:
        server = ollama(loopback.url, clock)
        got = server.chat(BODY)
    assert (got.content, got.done_reason) == (content, "cut")
    assert len(loopback.received) == 3
    assert server.traffic.answered == 1


def test_newer_servers_say_so_with_an_error(clock: Clock) -> None:
    """Since Ollama 0.34.1; the answer counts as an empty one."""
    said = {"error": "prediction aborted, token repeat limit reached"}
    with serving(Reply(said, 500)) as loopback:
        got = ollama(loopback.url, clock).chat(BODY)
    assert got[:2] == ("", "cut")
    assert len(loopback.received) == 3


@pytest.mark.parametrize("content", ["", '{"a', '{"a":' + " " * 29, "ab" * 29])
def test_a_reply_broken_off_for_no_such_reason_is_never_an_answer(clock: Clock, content: str) -> None:
    """However often: it is tried again as after any other failure, and told."""
    broken, notes = answer(content, done=False), Notes()
    with serving(*[broken] * 5, answer("{}")) as loopback:
        assert ollama(loopback.url, clock, notes).chat(BODY)[:2] == ("{}", "stop")
    assert len(clock.slept) == 5
    assert notes.waits == [
        f'{loopback.url}/api/chat: HTTP 200 with a reply that was broken off ("done": false)'
    ]


def test_an_endless_reply_is_not_read_to_its_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "MAX_REPLY_BYTES", 100_000)
    with serving(Reply(b" " * 300_000), answer("fine")) as loopback:
        assert ollama(loopback.url, clock).chat(BODY).content == "fine"


def test_never_more_calls_in_flight_than_permits(clock: Clock) -> None:
    flying, most, lock, gate = 0, 0, threading.Lock(), threading.Barrier(2)

    def reply(_: Received) -> Reply:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        gate.wait(5)
        with lock:
            flying -= 1
        return answer()

    with Loopback(reply) as loopback:
        server = ollama(loopback.url, clock, permits=2)
        threads = [threading.Thread(target=server.chat, args=(BODY,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        server.close()
    assert most == 2
    assert server.traffic == seam.Traffic(8, 56, 24, 0.0)


def test_the_wait_asked_for_by_the_server_is_kept_up_to_a_minute(clock: Clock) -> None:
    replies = [Reply({"error": "x"}, 429, {"Retry-After": value}) for value in ("45", "9999", "soon")]
    with serving(*replies, answer()) as loopback:
        ollama(loopback.url, clock).chat(BODY)
    assert clock.slept[:2] == [45.0, 60.0]
    assert clock.slept[2] <= 2


def test_proxies_of_the_environment_are_not_used(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(answer("fine")) as loopback:
        assert ollama(loopback.url, clock).chat(BODY).content == "fine"


def test_only_one_thread_has_the_last_word(clock: Clock) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def give_up(error: DomainTrainingError) -> Any:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1
        raise GivenUp(error)

    def call() -> None:
        with pytest.raises(GivenUp):
            server.chat(BODY)

    with serving(Reply({"error": "no"}, 400)) as loopback:
        server = ollama(loopback.url, clock, give_up=give_up, permits=4)
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert most == 1


def test_pauses_double_up_to_half_a_minute_with_jitter() -> None:
    longest = pauses(lambda _, high: high)
    assert [next(longest) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    shortest = pauses(lambda low, _: low)
    assert [next(shortest) for _ in range(2)] == [0.25, 0.5]


def test_patience_covers_the_longest_answers_one_after_another() -> None:
    assert patience(2048, 1) == 600
    assert patience(32_768, 4) == pytest.approx(13_107.2)


def test_the_scripted_server_keeps_bodies_and_says_that_it_is_simulated() -> None:
    server = ScriptedServer(lambda body: body["messages"][0]["content"].upper())
    got = server.chat(BODY)
    assert got.content.startswith("TEXT:")
    assert got.model == "simulated-m"
    assert server.bodies == [BODY]
