"""Which requests go through the proxy: one rule for controller and trainer."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from domaintraining.guard import origin_of, plain_host

IN_CLUSTER: Final = ("svc", "cluster.local")
"""Last parts of the names of Services; where the cluster's domain is another, `svc` stands before it.

See https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""
PROXY_URL: Final = (
    r"https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?"  # no user
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Proxies as HTTP_PROXY, HTTPS_PROXY and NO_PROXY name them.

    Names of Services, loopback and the API server are never asked for through a proxy, whatever these say.
    """

    http: str = ""
    """HTTP_PROXY: the proxy for http://; empty: none."""
    https: str = ""
    """HTTPS_PROXY: the proxy for https://, which is asked for a tunnel; empty: none."""
    no: str = ""
    """NO_PROXY: hosts that are asked directly, separated by commas: a name also stands for all below it,
    further addresses, networks such as 10.0.0.0/8, each but a network also with a port, and `*` for all."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Proxy":
        """The proxies in an environment; the names may be written in lower case as well."""

        def value(name: str) -> str:
            return (environ.get(name) or environ.get(name.lower()) or "").strip()

        return cls(value("HTTP_PROXY"), value("HTTPS_PROXY"), value("NO_PROXY"))

    @property
    def environment(self) -> dict[str, str]:
        """The variables to give on; those that say nothing are left out."""
        named = {"HTTP_PROXY": self.http, "HTTPS_PROXY": self.https, "NO_PROXY": self.no}
        return {name: value for name, value in named.items() if value} if self.http or self.https else {}

    def of(self, url: str) -> str | None:
        """The proxy for a URL; None: it is asked directly."""
        parts = urlsplit(url)
        proxy = {"http": self.http, "https": self.https}.get(parts.scheme.lower(), "")
        return None if not proxy or in_cluster(url) or self._direct(url) else proxy

    def _direct(self, url: str) -> bool:
        host, port = origin_of(url)
        entries = (entry.strip().lower() for entry in self.no.split(","))
        return any(_covers(entry, host, port) for entry in entries if entry)


def in_cluster(url: str) -> bool:
    """Whether a URL names a Service or this machine.

    `ollama`, `ollama.team.svc`, and the same in whatever domain the cluster has; over http also
    `ollama.team`, which no syntax tells from a public name: such a server of the outside is to be named
    with https.
    """
    parts = urlsplit(url)
    host = plain_host(parts.hostname or "")
    address = _address(host)
    if address is not None:
        return address.is_loopback
    labels = host.split(".")
    short = len(labels) == 1 or (len(labels) == 2 and parts.scheme.lower() == "http")
    return short or "svc" in labels[2:] or any(host.endswith(f".{ending}") for ending in IN_CLUSTER)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, wanted = _host_and_port(entry)
    if wanted is not None and wanted != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _host_and_port(entry: str) -> tuple[str, int | None]:
    """An entry's host, without brackets, and its port, where it has one."""
    if _address(entry) is not None:
        return entry, None
    found = re.fullmatch(r"\[?([^\[\]]*?)\]?(?::([0-9]{1,5}))?", entry)
    return (found[1], int(found[2]) if found[2] else None) if found else (entry, None)


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
