"""The NetworkPolicy of a run: nothing reaches its pods, and they reach only what a run needs.

The policy is built from values alone; `Network` looks up what its names mean now.
See https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from domaintraining.api.names import LABEL_MANAGED_BY, LABEL_NAME, LABEL_ROLE
from domaintraining.api.reasons import Reason
from domaintraining.api.run import Run, models_of
from domaintraining.controller.apiserver import ApiServer, Peer, single
from domaintraining.controller.manifests import metadata_of
from domaintraining.controller.observed import Object, Resource
from domaintraining.controller.parts import Parts, parts_of
from domaintraining.controller.settings import Settings
from domaintraining.controller.uses import calls_models
from domaintraining.dataguard import DataGuard, data_origin
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import Guard, origin_of, public_refusal

ROLE_NETWORK: Final = "network"
DNS_PORTS: Final = (53, 5353)
"""The usual one, and that of OpenShift's DNS pods."""
DNS_NAMESPACES: Final = ("kube-system", "openshift-dns")
LABEL_NAMESPACE: Final = "kubernetes.io/metadata.name"
"""The label that the API server gives to each namespace."""
PUBLIC: Final[tuple[Object, ...]] = (
    {
        "ipBlock": {
            "cidr": "0.0.0.0/0",
            "except": [
                *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32"),
                *("169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15"),
                *("224.0.0.0/4", "240.0.0.0/4"),
            ],
        }
    },
    {"ipBlock": {"cidr": "2000::/3"}},
)
"""All addresses but those of the cluster, of private networks and of the cloud's own services (RFC 6890)."""
RESOLVERS: Final = Path("/etc/resolv.conf")
LOOK_UP_SECONDS: Final = 5.0
"""How long a name may take: runs start one after the other, and tenants name servers of data."""
DATA_THREADS: Final = 4
"""Names of data servers that are resolved at once; slow ones hold up nothing else."""


class Destination(NamedTuple):
    """A server that a run talks to."""

    peers: tuple[Peer, ...]
    """Its addresses, each with its port."""
    namespace: str | None = None
    """Namespace of the pods behind it; None: it is no Service."""
    public_port: int | None = None
    """Port that it has at public addresses; a large service names other ones at each look."""


def build_policy(
    resource: Resource, parts: Parts, resolvers: Iterable[str], destinations: Sequence[Destination]
) -> Object:
    """The policy of one run or check.

    Args:
        resource: the owner.
        parts: what is made around its trainer.
        resolvers: addresses of name servers that are no pods of DNS_NAMESPACES, such as a node's cache.
        destinations: what its pods talk to.
    """
    own = parts.labels or {LABEL_ROLE: parts.role}
    pods = {LABEL_MANAGED_BY: "domaintraining", LABEL_NAME: resource.name} | own
    egress = [_dns(resolvers)]
    for one in destinations:
        egress += _rules(one)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of(resource, parts.name, ROLE_NETWORK, **parts.labels),
        "spec": {
            "podSelector": {"matchLabels": pods},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [one for at, one in enumerate(egress) if one not in egress[:at]],
        },
    }


def _dns(resolvers: Iterable[str]) -> Object:
    ports = [{"protocol": one, "port": port} for port in DNS_PORTS for one in ("UDP", "TCP")]
    to = [_namespace(name) for name in DNS_NAMESPACES] + [_block(single(one)) for one in sorted(resolvers)]
    return {"to": to, "ports": ports}


def _rules(destination: Destination) -> list[Object]:
    """One rule for each port; and all TCP ports of a Service's pods, which may differ from its own."""
    rules: list[Object] = []
    for port in sorted({peer.port for peer in destination.peers}):
        to = [_block(peer.cidr) for peer in sorted(destination.peers) if peer.port == port]
        rules.append({"to": to, "ports": [{"protocol": "TCP", "port": port}]})
    if destination.namespace is not None:
        rules.append({"to": [_namespace(destination.namespace)], "ports": [{"protocol": "TCP"}]})
    if destination.public_port is not None:
        rules.append({"to": list(PUBLIC), "ports": [{"protocol": "TCP", "port": destination.public_port}]})
    return rules


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {LABEL_NAMESPACE: name}}}


def _block(cidr: str) -> Object:
    return {"ipBlock": {"cidr": cidr}}


def service_namespace(host: str, own: str) -> str | None:
    """The namespace of the Service that a host may be; None: it can't be one.

    `ollama` is one of the run's own namespace, `ollama.team`, `ollama.team.svc` and all names below
    `.svc.` are ones of the namespace before it. `example.com` may be one as well: no syntax tells, and a
    namespace that is not there lets nobody out.
    """
    labels = host.lower().removesuffix(".").split(".")
    if not host or ":" in host or labels[-1].isdigit():
        return None
    if len(labels) == 1:
        return None if labels[0] == "localhost" else own
    if "svc" in labels[2:]:
        return labels[labels.index("svc", 2) - 1]
    return labels[1] if len(labels) == 2 else None


def resolvers(text: str) -> list[str]:
    """Addresses of the name servers in a resolv.conf."""
    lines = (line.split() for line in text.splitlines())
    found = {words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]}
    return sorted(one for one in found if _is_address(one))


def _is_address(text: str) -> bool:
    try:
        return bool(single(text))
    except ValueError:
        return False


class Network:
    """What runs may reach, looked up when each starts.

    Args:
        settings: of the operator.
        api_server: where it is.
        guard: resolves names and refuses where they must not lead.
        resolv_conf: the file that names the cluster's DNS.
    """

    def __init__(
        self, settings: Settings, api_server: ApiServer, guard: Guard, resolv_conf: Path = RESOLVERS
    ) -> None:
        self._settings, self._api_server, self._guard = settings, api_server, guard
        self._resolv_conf = resolv_conf
        self._known: dict[str, tuple[int, tuple[Peer, ...]]] = {}
        self._ahead: dict[str, tuple[str, list[str]]] = {}
        self._data_threads = ThreadPoolExecutor(DATA_THREADS, "data-names")

    async def api_server(self) -> list[str]:
        """The API server's addresses, which no model server has."""
        await self._api_server.look()
        return self._api_server.addresses()

    async def policy(self, resource: Resource, run: Run) -> Object | None:
        """The policy of a run; None: the settings want none.

        Raises:
            DomainTrainingError: a server's name can't be resolved, or leads where nothing is sent to.
        """
        if not self._settings.network_policies:
            return None
        servers = [one.endpoint for one in models_of(run)] if calls_models(run) else []
        own = resource.namespace
        peers = await self._api_server.look()
        found = [Destination(peers)]
        found += [await self._destination(endpoint, own) for endpoint in dict.fromkeys(servers)]
        found += await self._data(run, own, self._ahead.pop(resource.uid, None))
        if run.check is None:
            self._known[resource.uid] = run.number, peers
        return build_policy(resource, parts_of(run), self._resolvers(), found)

    async def look_ahead(self, resource: Resource) -> None:
        """Resolve the data server's name for the policy to come, while nobody else waits for it.

        Raises:
            DomainTrainingError: it can't be resolved (DatasetUnreachable).
        """
        given = resource.spec.dataset.given()
        if given is None or not self._settings.network_policies:
            return
        server = given[1].server
        if self._settings.proxy.of(server) is None:
            self._ahead[resource.uid] = server, await self._data_addresses(server, given[1].title)

    async def is_stale(self, resource: Resource, run: int, *, suspended: bool) -> bool:
        """Whether the policy of a run that goes on is to be made anew.

        That is when the API server moved, and when a Job that waited suspended is let go: names may lead
        elsewhere by then. A controller that has just started makes all of them anew, once.
        """
        if suspended:
            self.forget(resource.uid)
        if suspended or not self._settings.network_policies:
            return False
        return self._known.get(resource.uid) != (run, await self._api_server.look())

    def forget(self, uid: str) -> None:
        """Have the policy of a resource's run made anew at the next look."""
        self._known.pop(uid, None)

    async def _destination(self, endpoint: str, own: str) -> Destination:
        """A server, or the proxy before it."""
        host, port = origin_of(self._settings.proxy.of(endpoint) or endpoint)
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                addresses = await asyncio.to_thread(self._guard.addresses, host, port)
        except OSError as error:
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or error
            message = f"{endpoint}: {host} can't be resolved: {why}"
            raise DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, message) from error
        peers = tuple(Peer(single(address), port) for address in addresses)
        return Destination(peers, service_namespace(host, own))

    async def _data(self, run: Run, own: str, ahead: tuple[str, list[str]] | None) -> list[Destination]:
        """The server of the data, or the proxy before it."""
        given = run.data.remote.given()
        if given is None:
            return []
        server = given[1].server
        if self._settings.proxy.of(server) is not None:
            return [await self._destination(server, own)]
        host, port = data_origin(server)
        if ahead is not None and ahead[0] == server:
            addresses = ahead[1]
        else:
            addresses = await self._data_addresses(server, run.data.source)
        guard = DataGuard(api_server=self._guard.api_server, server=(host, port), leads=run.data.leads)
        for address in addresses:
            guard.check(host, port, address)
        inside = [one for one in addresses if public_refusal(one) is not None]
        peers = tuple(Peer(single(one), port) for one in inside)
        namespace = service_namespace(host, own) if inside else None
        return [Destination(peers, namespace, port if len(inside) < len(addresses) else None)]

    async def _data_addresses(self, server: str, title: str) -> list[str]:
        """All addresses of a data server, unchecked."""
        host, port = data_origin(server)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                return list(await loop.run_in_executor(self._data_threads, self._guard.look_up, host, port))
        except (OSError, UnicodeError) as error:
            message = f"{title}: {host} can't be resolved"
            raise DomainTrainingError(Reason.DATASET_UNREACHABLE, message) from error

    def _resolvers(self) -> list[str]:
        try:
            return resolvers(self._resolv_conf.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return []


async def look_ahead(resource: Resource, network: Network | None) -> None:
    """Ask what a start needs to know of servers that are anybody's, before other starts wait for it."""
    if network is not None:
        await network.look_ahead(resource)
