"""The policy of a run over its life: made, made anew, switched off, and gone with the last pod."""

from dataclasses import replace
from datetime import timedelta

from domaintraining.controller.apiserver import ApiServer
from domaintraining.controller.cluster import JOB, NETWORK_POLICY
from domaintraining.controller.network import Network
from domaintraining.guard import Guard

from .world import World

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
