"""The way to model servers, the same for controller and trainer: proxy, authorities, where names may lead."""

import ssl
from dataclasses import dataclass
from typing import Final

from domaintraining.guard import Guard
from domaintraining.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Reach:
    """Through which proxy servers are asked, whose certificates are believed, where names may lead."""

    proxy: Proxy = Proxy()  # noqa: RUF009 - it is frozen
    """The proxies; none: every server is asked directly."""
    authorities: str = ""
    """Certificates in PEM that are believed beside those of the system."""
    guard: Guard | None = None
    """Checks the addresses of servers that are asked directly; None: whoever names a server may reach it.
    The names of servers behind a proxy are the proxy's to resolve and to refuse."""

    def tls(self) -> ssl.SSLContext:
        """What a client checks servers by, and proxies that are spoken to over TLS."""
        context = ssl.create_default_context()
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities)
        return context


PLAIN: Final = Reach()
"""Directly, and with the system's authorities alone."""
