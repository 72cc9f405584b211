"""Places on model servers over a cluster in memory: never one too many, never one forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import pytest

from domaintraining.api.names import ANNOTATION_SERVERS, LABEL_QUEUE
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB
from tests.unit.controller.crowd import Crowd

SERVER = "http://ollama.ollama:11434"


class Gathering(Protocol):
    """Makes crowds."""

    def __call__(self, number: int = 0, limit: int = 2, namespaces: str = "a") -> Crowd:
        """So many, one a second, in turn in each namespace; all looked at."""


@pytest.fixture
def crowd_of() -> Iterator[Gathering]:
    """Crowds that are gone after the test."""
    crowds: list[Crowd] = []

    def gather(number: int = 0, limit: int = 2, namespaces: str = "a") -> Crowd:
        crowd = Crowd(limit)
        crowds.append(crowd)
        for place in range(number):
            crowd.add(namespaces[place % len(namespaces)], f"t{place:03}")
            crowd.pass_time(1)
        return crowd

    yield gather
    for crowd in crowds:
        crowd.runner.close()


def test_two_start_and_the_others_stand_in_line(crowd_of: Gathering) -> None:
    """Queued, with position and numbers; as Argo CD and kstatus read it, in progress."""
    crowd = crowd_of(5)
    assert crowd.cluster.active() == [("a", "t000-r1-a1"), ("a", "t001-r1-a1")]
    crowd.pass_time(31)
    assert [crowd.position("a", f"t00{number}") for number in range(2, 5)] == ["1 of 3", "2 of 3", "3 of 3"]
    words = f"1 of 3 waiting for {SERVER} (2 of 2 trainings run there)"
    assert crowd.ready("a", "t002") == ("Queued", words)
    conditions = crowd.get(DOMAIN_TRAINING, "a", "t002")["status"]["conditions"]
    said = {one["type"]: (one["status"], one["reason"]) for one in conditions}
    assert said["Reconciling"] == ("True", "Queued")
    assert said["ModelReady"] == ("True", "ModelReady")
    assert "Stalled" not in said


@pytest.mark.parametrize("end", ["ended", "resource deleted", "suspended", "job suspended"])
def test_whatever_frees_a_place_the_next_one_has_it_at_once(crowd_of: Gathering, end: str) -> None:
    """Without a resync, and the others move up."""
    crowd = crowd_of(4)
    crowd.pass_time(31)
    if end == "ended":
        crowd.end("a", "t000-r1-a1")
    elif end == "resource deleted":
        crowd.remove("a", "t000")
    elif end == "suspended":
        crowd.change("a", "t000", suspend=True)
    else:
        job = crowd.get(JOB, "a", "t000-r1-a1")
        crowd.put(job | {"spec": job["spec"] | {"suspend": True}})
    crowd.settle()
    assert ("a", "t002-r1-a1") in crowd.cluster.active()
    assert crowd.cluster.most_active == 2
    crowd.pass_time(3)
    assert crowd.position("a", "t003").startswith("1 of ")


def test_the_namespace_with_fewer_goes_first(crowd_of: Gathering) -> None:
    """Whoever came earlier."""
    crowd = crowd_of(6)
    crowd.add("b", "late")
    crowd.pass_time(31)
    assert crowd.position("b", "late") == "1 of 5"
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    assert crowd.cluster.active() == [("a", "t001-r1-a1"), ("b", "late-r1-a1")]


def test_a_loaded_model_goes_first(crowd_of: Gathering) -> None:
    """The annotation of the Job tells what runs there."""
    crowd = crowd_of(2, limit=1)
    crowd.add("a", "other", model={"name": "llama"})
    crowd.pass_time(1)
    crowd.add("a", "same")
    crowd.pass_time(1)
    for job in ("t000-r1-a1", "t001-r1-a1"):
        crowd.end("a", job)
        crowd.settle()
    assert crowd.cluster.active() == [("a", "same-r1-a1")]


def test_each_server_has_its_own_number(crowd_of: Gathering) -> None:
    """And what proposes on another server has a place there as well."""
    crowd = crowd_of(limit=1)
    crowd.settings = replace(crowd.settings, allowed_endpoints=("*",))
    crowd.start()
    proposing = {"promptModel": {"name": "llama", "endpoint": "http://other:11434"}}
    models: list[tuple[str, dict[str, Any]]] = [
        ("one", {}),
        ("two", proposing),
        ("three", {"endpoint": "http://other:11434/"}),
    ]
    for name, model in models:
        crowd.add("a", name, model=model)
        crowd.pass_time(1)
    assert crowd.cluster.active() == [("a", "one-r1-a1"), ("a", "three-r1-a1")]
    crowd.end("a", "one-r1-a1")
    crowd.pass_time(31)
    assert crowd.ready("a", "two")[1].startswith("1 of 1 waiting for http://other:11434 (1 of 1 ")
    crowd.end("a", "three-r1-a1")
    crowd.settle()
    servers = crowd.get(JOB, "a", "two-r1-a1")["metadata"]["annotations"][ANNOTATION_SERVERS]
    assert servers == '{"http://ollama.ollama:11434": "qwen3:32b", "http://other:11434": "llama"}'


def test_an_attempt_that_goes_on_queues_as_well(crowd_of: Gathering) -> None:
    """Its place was given away meanwhile; it waits since the run began and goes before newer ones."""
    crowd = crowd_of(2, limit=1)
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    assert crowd.cluster.active() == [("a", "t001-r1-a1")]
    crowd.add("a", "newer")
    crowd.settle()
    crowd.change("a", "t000", job={"backoffLimit": 1})
    crowd.settle()
    crowd.pass_time(31)
    assert (crowd.position("a", "t000"), crowd.position("a", "newer")) == ("2 of 2", "1 of 2")
    crowd.end("a", "t001-r1-a1")
    crowd.settle()
    assert crowd.cluster.active() == [("a", "newer-r1-a1")]


def test_who_is_suspended_does_not_wait(crowd_of: Gathering) -> None:
    """It stands in nobody's way, and lines up anew afterwards."""
    crowd = crowd_of(4)
    crowd.change("a", "t002", suspend=True)
    crowd.pass_time(31)
    assert (crowd.ready("a", "t002")[0], crowd.position("a", "t003")) == ("Suspended", "1 of 1")
    crowd.change("a", "t002")
    crowd.pass_time(31)
    assert crowd.position("a", "t002") == "2 of 2"


def test_a_run_beside_a_served_prompt_waits_too(crowd_of: Gathering) -> None:
    """Ready stays as it is; Reconciling tells the position."""
    crowd = crowd_of(3)
    body = crowd.get(DOMAIN_TRAINING, "a", "t002")
    said = [
        one | {"status": "True"} if one["type"] == "Ready" else one for one in body["status"]["conditions"]
    ]
    crowd.put(body | {"status": body["status"] | {"conditions": said}})
    crowd.start()
    crowd.settle()
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    assert ("a", "t002-r1-a1") in crowd.cluster.active()


def test_killed_after_any_write_never_one_too_many_and_all_start(crowd_of: Gathering) -> None:
    """A new controller knows the queue from what stands in the cluster."""
    whole = crowd_of(5, namespaces="ab")
    total = len(whole.cluster.writes)
    for dies_after in range(1, total + 1):
        crowd = crowd_of()
        crowd.kill_after(dies_after)
        for place in range(5):
            crowd.add("ab"[place % 2], f"t{place:03}")
            crowd.pass_time(1)
        assert crowd.cluster.dies_after is None
        order: list[str] = []
        while active := crowd.cluster.active():
            order += [name for _, name in active if name not in order]
            crowd.end(*active[0])
            crowd.pass_time(1)
        assert crowd.cluster.most_active == 2
        assert len(order) == 5, f"killed after {whole.cluster.writes[dies_after - 1]}"


def test_after_a_restart_the_order_is_the_same(crowd_of: Gathering) -> None:
    """Who waits, and since when, stands in status."""
    crowd = crowd_of(6)
    crowd.pass_time(31)
    before = [crowd.position("a", f"t{number:03}") for number in range(2, 6)]
    writes = len(crowd.cluster.writes)
    crowd.start()
    crowd.settle()
    assert [crowd.position("a", f"t{number:03}") for number in range(2, 6)] == before
    assert len(crowd.cluster.writes) == writes, "a restart writes nothing"


def test_whose_turn_it_is_and_cannot_start_keeps_nobody_waiting_for_long(crowd_of: Gathering) -> None:
    """Its API calls fail: after half a minute the next one goes, and it comes back later."""
    crowd = crowd_of(3, limit=1)
    crowd.cluster.unreadable = {("a", "t001")}
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    assert crowd.cluster.active() == []
    crowd.pass_time(61)
    assert crowd.cluster.active() == [("a", "t002-r1-a1")]
    crowd.cluster.unreadable = set()
    crowd.end("a", "t002-r1-a1")
    crowd.pass_time(31)
    assert crowd.cluster.active() == [("a", "t001-r1-a1")]


def test_what_needs_a_change_leaves_the_queue_at_once(crowd_of: Gathering) -> None:
    """Its model is gone when it is its turn; the next one starts."""
    crowd = crowd_of(2, limit=1)
    crowd.add("a", "lost", model={"name": "llama", "pullPolicy": "Never"})
    crowd.pass_time(1)
    crowd.add("a", "next", model={"name": "llama2", "pullPolicy": "Never"})
    crowd.pass_time(1)
    assert crowd.ready("a", "next")[0] == "Failed", "told when it comes, not when it is its turn"
    crowd.add("a", "last")
    crowd.pass_time(1)
    del crowd.models.models["llama"]
    for job in ("t000-r1-a1", "t001-r1-a1"):
        crowd.end("a", job)
        crowd.settle()
    crowd.pass_time(1)
    assert crowd.cluster.active() == [("a", "last-r1-a1")]


def test_a_model_server_that_is_down_is_asked_by_those_whose_turn_it_is(crowd_of: Gathering) -> None:
    """The others wait on and ask nothing."""
    crowd = crowd_of(30)
    crowd.models.down = {SERVER}
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    crowd.resync()
    crowd.settle()
    reasons = [crowd.ready("a", f"t{number:03}")[0] for number in range(2, 30)]
    assert reasons == ["Pending"] + ["Queued"] * 27
    crowd.models.down = set()
    crowd.pass_time(11)
    assert ("a", "t002-r1-a1") in crowd.cluster.active()


def test_what_kueue_queues_waits_for_no_place(crowd_of: Gathering) -> None:
    """Made suspended at once; it counts where it runs, as soon as Kueue lets it."""
    crowd = crowd_of(2)
    crowd.add("a", "batch", labels={LABEL_QUEUE: "team"})
    crowd.settle()
    reason, words = crowd.ready("a", "batch")
    assert reason == "Queued"
    assert words.startswith("Job batch-r1-a1 is in Kueue's queue team, which lets it go on")
    job = crowd.get(JOB, "a", "batch-r1-a1")
    crowd.put(job | {"spec": job["spec"] | {"suspend": False}})
    crowd.end("a", "t000-r1-a1")
    crowd.add("a", "third")
    crowd.pass_time(31)
    assert crowd.position("a", "third") == "1 of 1"


def test_an_eviction_by_kueue_is_no_failure(crowd_of: Gathering) -> None:
    """Back to Queued, the same Job goes on; nothing of ours writes spec.suspend."""
    crowd = crowd_of()
    crowd.add("a", "batch", labels={LABEL_QUEUE: "team"})
    crowd.settle()
    job = crowd.get(JOB, "a", "batch-r1-a1")
    for suspended in (False, True, False, True):
        crowd.put(job | {"spec": job["spec"] | {"suspend": suspended}})
        crowd.pass_time(60)
        assert crowd.ready("a", "batch")[0] == "Queued"
        assert crowd.get(JOB, "a", "batch-r1-a1")["spec"]["suspend"] is suspended
    assert [key for key in crowd.cluster.objects if key[0] == JOB] == [(JOB, "a", "batch-r1-a1")]


def test_two_hundred_that_wait_ask_little_of_the_api_server(crowd_of: Gathering) -> None:
    """Linear in their number, and what a turn costs does not depend on it.

    Measured for 200: 8.3 calls for each that comes; 117 in a minute in which nothing happens; 127 when one
    training ends, the next starts and the first ten move up; 609 for a resync.
    """
    asked = {number: _calls(crowd_of(), number) for number in (100, 200)}
    for few, many in zip(asked[100], asked[200], strict=True):
        assert many <= 2.1 * few
    came, rest, turn, resync = asked[200]
    assert came <= 9 * 200
    assert rest <= 150
    assert resync <= 3.2 * 200
    assert turn <= min(150, 1.1 * asked[100][2])


def _calls(crowd: Crowd, number: int) -> list[int]:
    """Calls to the API server while so many come, in a quiet minute, for a turn, and for a resync."""
    calls = crowd.cluster.calls
    for place in range(number + 2):
        crowd.add("abcdefgh"[place % 8], f"t{place:03}")
    counted = []

    def turn() -> None:
        crowd.end(*crowd.cluster.active()[0])
        crowd.pass_time(4)

    for act in (crowd.settle, lambda: crowd.pass_time(60), turn, crowd.resync):
        calls.clear()
        act()
        crowd.settle()
        counted.append(calls.total())
        assert len(crowd.cluster.active()) == 2
    return counted


def test_positions_are_written_at_most_every_three_seconds(crowd_of: Gathering) -> None:
    """However many turns there are meanwhile; further back only once in half a resync."""
    crowd = crowd_of(40)
    crowd.pass_time(31)
    writes = len(crowd.cluster.writes)
    for _ in range(6):
        crowd.end(*crowd.cluster.active()[0])
        crowd.pass_time(1)
    made = crowd.cluster.writes[writes:]
    assert all(made.count(f"status DomainTraining a/t{place:03}") <= 2 for place in range(10, 14))
    assert not [entry for place in range(22, 40) if (entry := f"status DomainTraining a/t{place:03}") in made]
    crowd.pass_time(150)
    crowd.resync()
    crowd.settle()
    assert crowd.position("a", "t039") == "32 of 32"
