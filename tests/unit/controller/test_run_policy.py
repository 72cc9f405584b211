"""The policy of a run over its life: made, made anew, switched off, and gone with the last pod."""

import json
from dataclasses import replace
from datetime import timedelta

from domaintraining.api.names import LABEL_QUEUE
from domaintraining.controller.apiserver import ApiServer, Peer, single
from domaintraining.controller.cluster import JOB, NETWORK_POLICY, POD, ClusterError
from domaintraining.controller.network import Network
from domaintraining.guard import Guard

from .world import WORSE, World

ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


class Walled(World):
    """A world whose runs get policies; all names lead to `server`."""

    def __init__(self) -> None:
        super().__init__()
        self.server = "10.96.7.7"
        self.addresses: list[str] = []
        self.renew()

    def renew(self, *, policies: bool = True) -> None:
        """Start the controller anew, with policies or without."""
        self.settings = replace(self.settings, network_policies=policies)
        self.controller = self.started()
        self.controller.network = Network(self.settings, Moving(self), Guard(look_up=self.look_up))

    def look_up(self, _host: str, _port: int, /) -> list[str]:
        """The server's address; empty: it can't be resolved."""
        if not self.server:
            raise OSError(-2, "Name or service not known")
        return [self.server]


class Moving(ApiServer):
    """An API server that is at other addresses from one look to the next."""

    def __init__(self, world: "Walled") -> None:
        super().__init__(world.cluster, ENVIRONMENT)
        self.world = world

    async def look(self) -> tuple[Peer, ...]:
        """Those of now."""
        return tuple(Peer(single(one), 6443) for one in self.world.addresses)


def test_without_policies_the_next_attempt_is_free_of_the_last_ones() -> None:
    """It selects the pods of all attempts of the run: what blocked one would block them all."""
    world = Walled()
    world.settle()
    assert world.names(NETWORK_POLICY) == ["docs-r1"]
    world.end_job("Failed", reason="PodFailurePolicy", message="x")
    world.settle()
    world.renew(policies=False)
    world.now += timedelta(minutes=5)
    world.settle()
    assert "docs-r1-a2" in world.names(JOB)
    assert world.names(NETWORK_POLICY) == []


def test_the_policy_of_a_superseded_run_stays_until_its_pod_is_gone() -> None:
    """A pod that was told to end has half a minute, in which it reaches no more than before."""
    world = Walled()
    world.settle()
    world.run_pod()
    world.settle()
    world.change(instructions={"entities": "other words"})
    world.settle()
    assert world.names(JOB) == ["docs-r2-a1"]
    assert world.names(NETWORK_POLICY) == ["docs-r1", "docs-r2"]
    world.cluster.objects.pop((POD, "team", "docs-r1-a1"))
    world.settle()
    assert world.names(NETWORK_POLICY) == ["docs-r2"]


def test_a_pod_that_ended_holds_nothing_back() -> None:
    """Ended Jobs keep theirs, for their logs."""
    world = Walled()
    world.train(WORSE)
    world.run_pod()
    pod = world.get(POD, "docs-r1-a1")
    world._put(pod | {"status": {"phase": "Succeeded"}})
    world.change(instructions={"entities": "other words"})
    world.settle()
    assert world.names(NETWORK_POLICY) == ["docs-r2"]


def test_a_job_that_waited_for_kueue_runs_with_the_addresses_of_when_it_is_let_go() -> None:
    """It may have waited for a day; written once, not with each look."""
    world = Walled()
    body = world.resource
    body["metadata"]["labels"] = {LABEL_QUEUE: "team"}
    world._put(body)
    world.settle()
    world.server = "10.96.7.8"
    world.settle()
    assert "10.96.7.7/32" in open_to(world)
    world._put(world.job() | {"spec": world.job()["spec"] | {"suspend": False}})
    world.settle()
    assert "10.96.7.8/32" in open_to(world)
    assert "10.96.7.7/32" not in open_to(world)
    world.run_pod()
    world.settle()
    assert written(world) == 2


def test_a_running_trainer_reaches_an_api_server_that_moved() -> None:
    """Managed control planes are replaced; a name that can't be resolved then leaves all as it is."""
    world = Walled()
    world.settle()
    world.run_pod()
    world.settle()
    assert written(world) == 1
    world.addresses = ["192.0.2.9"]
    world.server = ""
    world.settle()
    assert "192.0.2.9/32" not in open_to(world)
    assert world.conditions["Ready"] == ("False", "Training")
    world.server = "10.96.7.7"
    world.settle()
    assert "192.0.2.9/32" in open_to(world)
    assert written(world) == 2


def test_a_policy_that_is_refused_while_its_job_runs_stops_nothing() -> None:
    """The log tells."""
    world = Walled()
    world.settle()
    world.run_pod()
    world.addresses = ["192.0.2.9"]
    refusal = ClusterError(403, "Forbidden", "no")
    world.cluster.refusals["apply NetworkPolicy team/docs-r1"] = refusal
    world.settle()
    assert world.conditions["Ready"] == ("False", "Training")


def open_to(world: World) -> str:
    """The policy of the first run, as text."""
    return json.dumps(world.get(NETWORK_POLICY, "docs-r1"))


def written(world: World) -> int:
    """How often it was written."""
    return world.cluster.writes.count("apply NetworkPolicy team/docs-r1")
