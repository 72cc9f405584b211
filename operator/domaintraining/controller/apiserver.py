"""Where pods reach the API server: what no model server may be, and what a trainer may reach."""

import logging
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple

from domaintraining.controller.cluster import ENDPOINT_SLICE, Cluster, ClusterError

HOLDS: Final = 60.0
"""Seconds for which what was found is taken for true."""
HOLDS_SHORT: Final = 1.0
"""The same where there was nothing: an API server on loopback writes none."""
USUAL_PORTS: Final = frozenset({443, 6443})

log = logging.getLogger(__name__)


class Peer(NamedTuple):
    """A network and a TCP port in it."""

    cidr: str
    """Such as 10.96.0.1/32."""
    port: int


class ApiServer:
    """The API server's addresses: before and behind the translation of its Service's one.

    Network policies are said to be applied to either of them, see
    https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors

    Args:
        cluster: gives the EndpointSlice default/kubernetes, which the API server writes itself.
        environ: holds KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in a pod.
        networks: where pods reach it, in place of the EndpointSlice's addresses; none: those.
        clock: seconds that never fall.
    """

    def __init__(
        self,
        cluster: Cluster,
        environ: Mapping[str, str],
        networks: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._networks, self._clock = cluster, networks, clock
        self._service = _service(environ)
        self._endpoints: tuple[Peer, ...] = ()
        self._next = float("-inf")

    def addresses(self) -> list[str]:
        """Single addresses, as far as they are known."""
        return sorted({str(ip_network(one.cidr)[0]) for one in (*self._service, *self._endpoints)})

    async def look(self) -> tuple[Peer, ...]:
        """Where pods reach it; what was found holds for a minute. What can't be read is told in the log."""
        now = self._clock()
        if now >= self._next:
            try:
                found = await self._cluster.get(ENDPOINT_SLICE, "default", "kubernetes")
                self._endpoints = _endpoints(found or {})
                self._next = now + (HOLDS if found else HOLDS_SHORT)
            except ClusterError as error:
                log.warning("the API server's addresses are not known: %s", error)
        return self._peers()

    def _peers(self) -> tuple[Peer, ...]:
        if not self._networks:
            return tuple(sorted({*self._service, *self._endpoints}))
        ports = {one.port for one in (*self._service, *self._endpoints)} or USUAL_PORTS
        named = {Peer(network, port) for network in self._networks for port in ports}
        return tuple(sorted({*self._service, *named}))


def single(address: str) -> str:
    """The network of one address."""
    return str(ip_network(ip_address(address.partition("%")[0])))


def _service(environ: Mapping[str, str]) -> tuple[Peer, ...]:
    """The Service's own address, where the environment names one; some clusters put a name there."""
    try:
        host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
        return (Peer(single(host), int(port)),)
    except ValueError:
        return ()


def _endpoints(found: Mapping[str, Any]) -> tuple[Peer, ...]:
    ports = [one.get("port") for one in found.get("ports") or [] if one.get("protocol", "TCP") == "TCP"]
    addresses = [address for one in found.get("endpoints") or [] for address in one.get("addresses") or []]
    try:
        return tuple(Peer(single(address), int(port)) for address in addresses for port in ports if port)
    except ValueError:
        return ()
