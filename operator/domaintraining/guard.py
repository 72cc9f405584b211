"""Where a model server's name may lead: one rule for controller and trainer, asked before each connection.

A name that a user may write into a spec could lead to what only this pod, its node or the cloud is to reach:
metadata services, the API server, other ports of the pod. What the operator's owner has named to the letter
may lead anywhere.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Origin = tuple[str, int]
"""Host in lower case, without brackets or a dot at its end, and port."""

PORTS: Final = {"http": 80, "https": 443}
CLOUD: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)
"""Metadata and control services of clouds that are not link-local: Alibaba, Azure, Oracle, AWS, Google."""
HERE: Final = ipaddress.ip_network("0.0.0.0/8")
"""Of this network, see RFC 6890; systems take such addresses for themselves."""
TRANSLATED: Final = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))
"""NAT64 of RFC 6052 and RFC 8215, IPv4-translated of RFC 2765; the IPv4 address is in the last four bytes."""
NUMERIC: Final = re.compile(r"[0-9.]+")
COMPATIBLE: Final = ipaddress.ip_network("::/96")


class Lookup(Protocol):
    """Resolves names, as socket.getaddrinfo does."""

    def __call__(self, host: str, port: int, /) -> Iterable[str]:
        """The addresses of a name.

        Raises:
            OSError: it has none, or nobody can tell.
        """


def look_up(host: str, port: int, /) -> list[str]:
    """The system's answer."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def origin_of(url: str) -> Origin:
    """Host and port that a URL leads to.

    Raises:
        ValueError: the port is none.
    """
    parts = urlsplit(url)
    return plain_host(parts.hostname or ""), parts.port or PORTS.get(parts.scheme.lower(), 0)


def plain_host(host: str) -> str:
    """A host in one of its spellings."""
    return host.lower().strip("[]").removesuffix(".")


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses addresses that no model server has."""

    named: frozenset[Origin] = frozenset()
    """What the operator's owner has named to the letter: allowed, wherever it leads."""
    api_server: Callable[[], Collection[str]] = tuple
    """The addresses of the API server, as far as they are known."""
    look_up: Lookup = look_up
    """Resolves names; for tests."""

    def check(self, host: str, port: int, address: str) -> None:
        """Refuse an address that a host has.

        Raises:
            DomainTrainingError: nothing may be sent there (ModelNotAllowed).
        """
        if (plain_host(host), port) in self.named:
            return
        why = refusal(address, self.api_server())
        if why is not None:
            where = (
                f"{host}:{port}" if plain_host(host) == plain_host(address) else f"{host}:{port} ({address})"
            )
            message = f"{where} is {why}; only MODEL_SERVERS may name such a server, without a wildcard"
            raise DomainTrainingError(Reason.MODEL_NOT_ALLOWED, message)

    def check_literal(self, url: str) -> None:
        """The same for a URL whose host is an address; names are checked when they are resolved.

        `127.1` or `2130706433` are neither: some resolvers take them for addresses, others for names.
        """
        host, port = origin_of(url)
        if _parsed(host) is not None or NUMERIC.fullmatch(host):
            self.check(host, port, host)

    def check_proxied(self, url: str) -> None:
        """Refuse a name that is asked for through a proxy; of model servers the proxy is the judge."""

    def addresses(self, host: str, port: int) -> list[str]:
        """All addresses of a host, each of them checked.

        Raises:
            OSError: it has none.
            DomainTrainingError: one of them is refused, and with it the host.
        """
        found = list(self.look_up(host.strip("[]"), port))
        for address in found:
            self.check(host, port, address)
        return found


def refusal(address: str, api_server: Collection[str] = ()) -> str | None:
    """Why nothing is sent to an address; None: it may be.

    Args:
        address: as text; what is no address is refused.
        api_server: addresses of the API server.
    """
    parsed = _parsed(address)
    if parsed is None:
        return "no address in its usual spelling"
    servers = {_parsed(one) for one in api_server}
    for one in _meant(parsed):
        for what, holds in (
            ("the API server", one in servers),
            ("a service of the cloud", one in CLOUD),
            ("this machine (loopback)", one.is_loopback),
            ("unspecified", one.is_unspecified or (one.version == 4 and one in HERE)),
            ("link-local, as metadata services are", one.is_link_local),
            ("site-local", _is_site_local(one)),
            ("multicast", one.is_multicast),
            ("reserved", one.version == 4 and one.is_reserved),
        ):
            if holds:
                return what
    return None


def is_address(text: str) -> bool:
    """Whether a host is an address in its usual spelling."""
    return _parsed(text) is not None


def public_refusal(address: str) -> str | None:
    """Why an address is none of the public network; None: it is one."""
    parsed = _parsed(address)
    if parsed is None:
        return "no address in its usual spelling"
    is_public = all(one.is_global and not _is_site_local(one) for one in _meant(parsed))
    return None if is_public else "an address of the cluster or of a private network"


def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_site_local(address: Address) -> bool:
    """Of `fec0::/10`, see RFC 3879; Python takes them for global ones."""
    return isinstance(address, ipaddress.IPv6Address) and address.is_site_local


def _meant(address: Address) -> list[Address]:
    """An address, and the IPv4 ones that stand in it: mapped, compatible, NAT64, translated, 6to4, Teredo."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in TRANSLATED):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    elif address in COMPATIBLE and int(address) > 1:
        inner.append(ipaddress.IPv4Address(int(address)))
    return [address, *(one for one in inner if one is not None)]
