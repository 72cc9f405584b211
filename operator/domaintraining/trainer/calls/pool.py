"""Connections to one model server, over a proxy where there is one."""

import socket
import ssl
from typing import Any, ClassVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from domaintraining.guard import Guard
from domaintraining.reach import Reach


def open_pool(endpoint: str, reach: Reach, **options: Any) -> urllib3.PoolManager:
    """Connections to a server, with the options of urllib3's PoolManager.

    What the environment says about proxies is not read here: the reach says all. With a guard, each new
    connection resolves the server's name, has all its addresses checked, and goes to one of them.

    Raises:
        DomainTrainingError: the server is an address that nothing is sent to; for a name, requests raise it.
    """
    if reach.guard is not None:
        reach.guard.check_literal(endpoint)
    proxy = reach.proxy.of(endpoint)
    if proxy is not None:
        if reach.guard is not None:
            reach.guard.check_proxied(endpoint)
        tls = reach.tls()
        return urllib3.ProxyManager(proxy, proxy_ssl_context=tls, ssl_context=tls, **options)
    secure: dict[str, Any] = {"ssl_context": reach.tls()} if endpoint.lower().startswith("https:") else {}
    pool = urllib3.PoolManager(**secure, **options)
    if reach.guard is not None:
        pool.pool_classes_by_scheme = _checked_pools(reach.guard)
    return pool


class _Checked(HTTPConnection):
    """A connection to an address that was checked: the name is not resolved a second time."""

    guard: ClassVar[Guard]

    def _new_conn(self) -> socket.socket:
        name, refused = self._dns_host, None
        try:
            addresses = self.guard.addresses(name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        try:
            for self._dns_host in addresses:
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError) as error:
                    refused = error
        finally:
            self._dns_host = name
        raise refused or NewConnectionError(self, f"{name} has no address")


def _checked_pools(of: Guard) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """The pools of both schemes, with connections that are checked."""

    class Plain(_Checked):
        guard = of

    class Secure(_Checked, HTTPSConnection):
        guard = of

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def words_of(error: Exception) -> str:
    """A connection's error in few words, with what a person needs to know of certificates and proxies."""
    name = type(error).__name__
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{name}: its certificate is not trusted ({cause.verify_message}); see CA_BUNDLE"
    if isinstance(error, urllib3.exceptions.ProxyError):
        return f"{name}: the proxy does not let the call through ({error.original_error})"[:300]
    return name


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error, and what it says it comes from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = getattr(error, "original_error", None) or next(
            (one for one in error.args if isinstance(one, BaseException)), None
        )
        error = inner or error.__cause__ or error.__context__
    return found
