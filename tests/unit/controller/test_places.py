"""Places on model servers over a cluster in memory: who has one, who is next, and what status tells."""

from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.names import ANNOTATION_SERVERS
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB
from tests.unit.controller.crowd import Gathering

SERVER = "http://ollama.ollama:11434"
DEAD = "http://dead:11434"


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


def test_those_who_cannot_start_keep_a_place_for_half_a_minute_each(crowd_of: Gathering) -> None:
    """However many they are, however few run in their namespace: then all others go before them."""
    crowd = crowd_of(limit=1)
    crowd.settings = replace(crowd.settings, allowed_endpoints=("*",))
    crowd.start()
    crowd.models.down = {DEAD}
    crowd.add("good", "first")
    crowd.settle()
    for number in range(12):
        crowd.add("bad", f"x{number}", model={"promptModel": {"name": "llama", "endpoint": DEAD}})
    crowd.add("good", "second")
    crowd.add("good", "third")
    crowd.pass_time(60)
    for last, name, seconds in (("first", "second", 13 * 31), ("second", "third", 31)):
        crowd.end("good", f"{last}-r1-a1")
        crowd.pass_time(seconds)
        assert crowd.cluster.active() == [("good", f"{name}-r1-a1")]


def test_whose_server_is_back_takes_its_old_place_in_line(crowd_of: Gathering) -> None:
    """It is not behind those who came after it any more."""
    crowd = crowd_of(1, limit=1)
    crowd.settings = replace(crowd.settings, allowed_endpoints=("*",))
    crowd.start()
    crowd.models.down = {DEAD}
    crowd.add("a", "x", model={"promptModel": {"name": "llama", "endpoint": DEAD}})
    crowd.pass_time(1)
    for name in ("y", "z"):
        crowd.add("a", name)
    crowd.remove("a", "t000")
    crowd.pass_time(61)
    assert crowd.cluster.active() == [("a", "y-r1-a1")]
    assert crowd.ready("a", "x")[0] == "Pending"
    crowd.models.down = set()
    crowd.pass_time(31)
    assert (crowd.position("a", "x"), crowd.position("a", "z")) == ("1 of 2", "2 of 2")
    crowd.remove("a", "y")
    crowd.settle()
    assert crowd.cluster.active() == [("a", "x-r1-a1")]


def test_an_outage_is_told_once_of_each_run_and_asks_little(crowd_of: Gathering) -> None:
    """However often it is whose turn; when the server is back all stand in line again, as before."""
    crowd = crowd_of(18)
    names = [f"t{number:03}" for number in range(2, 18)]
    crowd.models.down = {SERVER}
    for name in ("t000", "t001"):
        crowd.remove("a", name)
    crowd.pass_time(400)
    told = len(crowd.cluster.events)
    crowd.models.asked.clear()
    crowd.pass_time(1200)
    assert len(crowd.cluster.events) == told
    assert {crowd.ready("a", name)[0] for name in names} == {"Pending"}
    assert len(crowd.models.asked) <= 4 * 1200 / 10
    crowd.models.asked.clear()
    crowd.resync()
    crowd.settle()
    assert len(crowd.models.asked) <= 6, "those whose turn it is, and at most one for each worker"
    crowd.models.down = set()
    crowd.pass_time(62)
    assert len(crowd.cluster.active()) == 2
    assert {crowd.ready("a", name)[0] for name in names} == {"Queued"}
    waiting = {crowd.position("a", name) for name in names} - {""}
    assert {f"{number} of 14" for number in range(1, 11)} <= waiting


def test_a_namespace_without_rights_holds_up_no_other(
    crowd_of: Gathering, caplog: pytest.LogCaptureFixture
) -> None:
    """It was deleted, and its Role with it; the log tells which."""
    crowd = crowd_of()
    crowd.settings = replace(crowd.settings, namespaces=("gone", "a"))
    crowd.cluster.forbidden = {"gone"}
    crowd.start()
    for number in range(3):
        crowd.add("a", f"t{number}")
        crowd.pass_time(1)
    assert crowd.cluster.active() == [("a", "t0-r1-a1"), ("a", "t1-r1-a1")]
    assert "WATCH_NAMESPACES: gone is left out of the queue" in caplog.text


def test_without_rights_at_all_nothing_starts(crowd_of: Gathering) -> None:
    """Over all namespaces, what runs is not known then."""
    crowd = crowd_of(limit=1)
    crowd.cluster.forbidden = {None}
    crowd.add("a", "t0")
    crowd.settle()
    assert crowd.cluster.active() == []


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
    crowd.add("a", "new")
    crowd.settle()
    assert crowd.ready("a", "new")[0] == "Queued"
    crowd.models.asked.clear()
    crowd.resync()
    crowd.settle()
    assert len(crowd.models.asked) == 1
    crowd.models.down = set()
    crowd.pass_time(11)
    assert ("a", "t002-r1-a1") in crowd.cluster.active()
