"""The policy of a run over its life: made, made anew, switched off, and gone with the last pod."""

from dataclasses import replace
from datetime import timedelta

from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import JOB, NETWORK_POLICY, POD
from domaintraining.controller.network import Network
from domaintraining.guard import Guard

from .world import WORSE, World

ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


class Walled(World):
    """A world whose runs get policies; all names lead to `server`."""

    def __init__(self) -> None:
        super().__init__()
        self.server = "10.96.7.7"
        self.renew()

    def renew(self, *, policies: bool = True) -> None:
        """Start the controller anew, with policies or without."""
        self.settings = replace(self.settings, network_policies=policies)
        self.controller = self.started()
        guard = Guard(look_up=lambda _host, _port: [self.server])
        self.controller.network = Network(self.settings, ApiServer(self.cluster, ENVIRONMENT), guard)


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
