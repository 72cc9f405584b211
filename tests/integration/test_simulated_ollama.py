"""The simulated model server over HTTP: what clients see of it is what they would see of Ollama."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.integration.waiting import wait_for
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.simulated_ollama.faults import Faults
from tests.sandbox.simulated_ollama.models import Model
from tests.sandbox.simulated_ollama.running import Listener, SimulatedOllama
from tests.sandbox.simulated_ollama.server import Options
from tests.unit.simulated_ollama.lessons import ASKED, SHOWN, messages, schema_of

OPTIONS = Options(
    models=(
        Model("tiny:1b"),
        Model("thinker:1b", ("completion", "thinking")),
        Model("bge-m3:latest", ("embedding",)),
    ),
    pullable=(Model("small:1b", size=4_000_000_000),),
    slots=2,
    time_scale=0.01,
)


@pytest.fixture
def server() -> Iterator[SimulatedOllama]:
    """A server of its own for the test."""
    with SimulatedOllama(OPTIONS) as running:
        yield running


def call(server: SimulatedOllama, path: str, body: Any = None, method: str | None = None) -> tuple[int, str]:
    """Status and text of one call."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.headers["Server"] == "simulated-ollama"
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def question(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A task call as the trainer sends it."""
    row = (f"{ASKED[0][0]} {number}", ASKED[0][1], ASKED[0][2])
    turns = [{"role": role, "content": content} for role, content in messages("entities", row, SHOWN)]
    return {
        "model": "tiny:1b",
        "messages": turns,
        "stream": False,
        "format": schema_of("entities"),
        "think": False,
        "truncate": False,
        "options": {"temperature": 0, "seed": 9, "num_predict": 2048},
        **changes,
    }


def told(server: SimulatedOllama, path: str, body: Any = None) -> Any:
    """The JSON of a call that must go well."""
    status, text = call(server, path, body)
    assert status == 200
    return json.loads(text)


def test_a_model_is_pulled_shown_asked_and_deleted(server: SimulatedOllama) -> None:
    """What the operator and an application do with a server, from nothing."""
    names = {model["model"] for model in told(server, "/api/tags")["models"]}
    assert names == {"tiny:1b", "thinker:1b", "bge-m3:latest"}
    assert call(server, "/api/show", {"model": "small:1b"})[0] == 404
    lines = [json.loads(line) for line in call(server, "/api/pull", {"model": "small:1b"})[1].splitlines()]
    assert lines[-1] == {"status": "success"}
    assert any(line.get("completed", 0) < line.get("total", 0) for line in lines)
    shown = told(server, "/api/show", {"model": "small:1b"})
    assert (shown["capabilities"], shown["details"]["family"]) == (["completion", "tools"], "simulated")
    assert shown["model_info"]["simulated.context_length"] == 40_960
    hello = {"model": "small:1b", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    said = told(server, "/api/chat", hello)
    assert "simulated" in said["message"]["content"]
    assert (said["model"], said["done_reason"]) == ("simulated-small:1b", "stop")
    assert [model["name"] for model in told(server, "/api/ps")["models"]] == ["small:1b"]
    assert call(server, "/api/delete", {"model": "small:1b"}, "DELETE") == (200, "")
    assert call(server, "/api/show", {"model": "small:1b"})[0] == 404


def test_texts_are_embedded_one_by_one_or_in_a_list(server: SimulatedOllama) -> None:
    """As many vectors as texts, as long as asked; a text that is too long is cut unless that is forbidden."""
    many = told(server, "/api/embed", {"model": "bge-m3", "input": ["a house", "two houses"]})
    assert (many["model"], [len(vector) for vector in many["embeddings"]]) == (
        "simulated-bge-m3",
        [1024, 1024],
    )
    one = told(server, "/api/embed", {"model": "bge-m3", "input": "a house", "dimensions": 8})["embeddings"]
    assert [len(vector) for vector in one] == [8]
    assert told(server, "/api/embed", {"model": "bge-m3", "input": []})["embeddings"] == []
    endless = {"model": "bge-m3", "input": "x " * 99, "options": {"num_ctx": 9}}
    assert told(server, "/api/embed", endless)["embeddings"]
    refused = call(server, "/api/embed", endless | {"truncate": False})
    assert refused == (400, '{"error": "the input length exceeds the context length"}')


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (("/", None, None), (200, "Ollama is running (simulated)")),
        (("/api/version", None, None), (200, '{"version": "0.33.0-simulated"}')),
        (("/nope", None, None), (404, "404 page not found")),
        (("/api/chat", None, "GET"), (405, "405 method not allowed")),
        (("/api/chat", {"model": "x", "messages": []}, None), (404, '{"error": "model \'x\' not found"}')),
        (("/api/chat", {"messages": []}, None), (400, '{"error": "model is required"}')),
        (
            ("/api/chat", question(format={"type": "foo"}), None),
            (500, '{"error": "invalid JSON schema in format"}'),
        ),
        (
            ("/api/chat", question(think=True), None),
            (400, '{"error": "\\"tiny:1b\\" does not support thinking"}'),
        ),
        (("/api/show", {}, None), (400, '{"error": "model is required"}')),
        (("/api/show", {"model": "x"}, None), (404, '{"error": "model \'x\' not found"}')),
        (("/api/delete", {"model": "x"}, "DELETE"), (404, '{"error": "model \'x\' not found"}')),
        (("/api/embed", {"model": "bge-m3", "input": 1}, None), (400, '{"error": "invalid input type"}')),
        (
            ("/api/pull", {"model": "x", "stream": False}, None),
            (500, '{"error": "pull model manifest: file does not exist"}'),
        ),
    ],
)
def test_answers_and_errors_are_ollamas_to_the_letter(
    server: SimulatedOllama, asked: tuple[str, Any, str | None], answered: tuple[int, str]
) -> None:
    """Path, body and method on the left; status and bytes on the right."""
    assert call(server, *asked) == answered


def test_a_streamed_chat_is_lines_of_json_and_the_last_one_has_the_figures(server: SimulatedOllama) -> None:
    """No line before the last is done; tokens and durations stand in the last one only."""
    status, text = call(server, "/api/chat", question(stream=True))
    lines = [json.loads(line) for line in text.splitlines()]
    assert status == 200
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    content = "".join(line["message"]["content"] for line in lines)
    whole = json.loads(call(server, "/api/chat", question())[1])
    assert content == whole["message"]["content"]
    assert lines[-1]["eval_count"] == whole["eval_count"]
    assert lines[-1]["prompt_eval_count"] == whole["prompt_eval_count"] > 100
    assert all(whole[f"{part}_duration"] > 0 for part in ("total", "load", "prompt_eval", "eval"))
    assert "eval_count" not in lines[0]


def test_a_model_is_loaded_unloaded_and_loaded_again_where_the_context_changes(
    server: SimulatedOllama,
) -> None:
    """Empty messages load; keep_alive 0 unloads; another num_ctx costs another load."""
    assert json.loads(call(server, "/api/chat", {"model": "tiny:1b"})[1])["done_reason"] == "load"
    assert json.loads(call(server, "/api/ps")[1])["models"][0]["context_length"] == 32_768
    loads = []
    for number, ctx in enumerate((32_768, 8192, 8192)):
        reply = call(server, "/api/chat", question(number, options={"num_ctx": ctx}))[1]
        loads.append(json.loads(reply)["load_duration"] > 10_000_000)
    assert loads == [False, True, False]
    assert json.loads(call(server, "/api/ps")[1])["models"][0]["context_length"] == 8192
    unload = {"model": "tiny:1b", "keep_alive": 0}
    assert json.loads(call(server, "/api/chat", unload)[1])["done_reason"] == "unload"
    assert json.loads(call(server, "/api/ps")[1]) == {"models": []}


def test_sixty_clients_at_once_are_served_two_at_a_time(server: SimulatedOllama) -> None:
    """Nobody is lost, and the statistics tell how it went."""
    with ThreadPoolExecutor(60) as pool:
        replies = list(pool.map(lambda number: call(server, "/api/chat", question(number % 50)), range(60)))
    assert {status for status, _ in replies} == {200}
    stats = server.stats(trace=True)
    assert stats == json.loads(call(server, "/simulated/stats?trace=1")[1]) | {
        "calls": stats["calls"],
        "statuses": stats["statuses"],
    }
    assert (stats["calls"]["/api/chat"], stats["uniquePrompts"], stats["maxInFlight"]) == (60, 50, 2)
    assert stats["decodedTokens"] == sum(json.loads(text)["eval_count"] for _, text in replies)
    assert 0 < stats["prefilledTokens"] < stats["promptTokens"]
    assert stats["busySlotSeconds"] > 0
    assert len(stats["trace"]) == 60


def test_a_client_that_goes_away_frees_its_slot(server: SimulatedOllama) -> None:
    """What nobody waits for is not written to its end."""
    host = server.url.removeprefix("http://")
    given_up = []
    for number in range(4):
        connection = http.client.HTTPConnection(host, timeout=10)
        body = question(number, model="thinker:1b", think="max")
        connection.request("POST", "/api/chat", json.dumps(body))
        given_up.append(connection)
    time.sleep(0.1)
    for connection in given_up:
        connection.close()
    assert call(server, "/api/chat", question())[0] == 200
    assert server.stats()["decodedTokens"] < 1600


@pytest.mark.parametrize(
    ("faults", "status", "inside"),
    [
        (Faults(busy_rate=1), 503, "server busy, please try again.  maximum pending requests exceeded"),
        (Faults(cut_rate=1), 200, '"done": false'),
        (Faults(garbage_rate=1), 200, '"done_reason": "length"'),
        (Faults(remove="tiny:1b"), 404, "model 'tiny:1b' not found"),
    ],
)
def test_ordered_failures_look_like_real_ones(
    server: SimulatedOllama, faults: Faults, status: int, inside: str
) -> None:
    """And they are counted; taking the order back ends them."""
    server.set_faults(faults)
    code, text = call(server, "/api/chat", question())
    assert code == status
    assert inside in text
    if not faults.remove:
        assert sum(server.stats()["faults"].values()) == 1
        server.set_faults(Faults())
        assert call(server, "/api/chat", question())[0] == 200


def test_a_cut_reply_says_so_in_both_forms(server: SimulatedOllama) -> None:
    """Whole: done is false and there is no reason; streamed: no line says done."""
    server.set_faults(Faults(cut_rate=1))
    whole = json.loads(call(server, "/api/chat", question())[1])
    assert (whole["done"], "done_reason" in whole) == (False, False)
    lines = [json.loads(line) for line in call(server, "/api/chat", question(stream=True))[1].splitlines()]
    assert lines
    assert not any(line["done"] for line in lines)


def test_a_wavering_server_answers_equal_calls_differently(server: SimulatedOllama) -> None:
    """Also at temperature 0, as slots that are served together may."""

    def answers() -> set[str]:
        return {json.loads(call(server, "/api/chat", question())[1])["message"]["content"] for _ in range(9)}

    assert len(answers()) == 1
    server.set_faults(Faults(waver_rate=1))
    assert len(answers()) > 1


def test_connections_are_torn_and_refused_and_come_back(server: SimulatedOllama) -> None:
    """A reset in the middle; then nobody listens; then the same server at the same address."""
    server.set_faults(Faults(reset_rate=1))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call(server, "/api/chat", question())
    server.set_faults(Faults(refuse_seconds=1.0))
    before = server.stats()["calls"]["/api/chat"]
    refused = 0
    for _ in range(100):
        try:
            assert call(server, "/api/version")[0] == 200
            if refused:
                break
        except (OSError, http.client.HTTPException):
            refused += 1
        time.sleep(0.05)
    assert refused
    assert call(server, "/api/version")[0] == 200
    assert server.stats()["calls"]["/api/chat"] == before


def test_a_wrong_order_is_refused(server: SimulatedOllama) -> None:
    """With the field in the message."""
    status, text = call(server, "/simulated/faults", {"busy_rate": 7})
    assert status == 400
    assert "rates must be" in text
    assert call(server, "/simulated/faults", {"fire": 1})[0] == 400


def test_it_runs_as_a_program_and_prints_where_it_listens() -> None:
    """One line with the URL when it listens; SIGTERM ends it with 0."""
    command = [
        sys.executable,
        "-m",
        "tests.sandbox.simulated_ollama",
        "--time-scale",
        "0",
        "--model",
        "a:1,thinking",
    ]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url + "/api/tags", timeout=10) as response:
                models = json.load(response)["models"]
            process.terminate()
            assert [model["name"] for model in models] == ["a:1"]
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_call_that_hangs_is_torn_when_the_server_goes_away() -> None:
    """It goes away at once, whoever still waits for an answer."""
    with ThreadPoolExecutor() as pool:
        with SimulatedOllama(OPTIONS) as server:
            server.set_faults(Faults(slow_rate=1, slow_seconds=3600))
            asked = pool.submit(call, server, "/api/chat", question())
            wait_for("the call", lambda: server.stats()["faults"].get("slow"))
        with pytest.raises(ConnectionError):
            asked.result(10)


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_as_it_goes_away_is_turned_away(turns: int) -> None:
    """Nobody is served by a server that went away, and no socket is left open.

    A client is accepted in one turn of the loop, gets its transport in the next and is known to the server
    in the one behind it; asyncio leaks the socket where the server closes in between.
    """

    async def come_and_go() -> tuple[socket.socket, int]:
        listener = Listener(OPTIONS, "127.0.0.1", 0)
        await listener.start()
        client = socket.create_connection(("127.0.0.1", int(listener.url.rpartition(":")[2])))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await listener.stop()
        return client, len(asyncio.all_tasks())

    client, tasks = asyncio.run(come_and_go())
    gc.collect()
    client.settimeout(5)
    with client, suppress(ConnectionResetError):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b""
    assert tasks == 1
