"""What Kueue queues: its Jobs are let go by it alone, and an eviction is no failure."""

from domaintraining.api.names import LABEL_QUEUE
from domaintraining.controller.cluster import DOMAIN_TRAINING, JOB
from tests.unit.controller.crowd import Gathering


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


def test_a_run_that_moves_to_kueue_leaves_our_queue(crowd_of: Gathering) -> None:
    """Also while its model server is down: nothing is kept for it, it is the next one's turn."""
    crowd = crowd_of(4)
    crowd.models.down = {"http://ollama.ollama:11434"}
    crowd.end("a", "t000-r1-a1")
    crowd.settle()
    body = crowd.get(DOMAIN_TRAINING, "a", "t002")
    crowd.put(body | {"metadata": body["metadata"] | {"labels": {LABEL_QUEUE: "team"}}})
    crowd.settle()
    assert crowd.ready("a", "t003")[0] == "Pending", "its turn, and asks the server in vain"
    crowd.models.down = set()
    crowd.pass_time(11)
    assert ("a", "t003-r1-a1") in crowd.cluster.active()
