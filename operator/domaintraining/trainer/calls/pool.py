"""Connections to one model server, over a proxy where there is one."""

import ssl
from typing import Any

import urllib3

from domaintraining.reach import Reach


def open_pool(endpoint: str, reach: Reach, **options: Any) -> urllib3.PoolManager:
    """Connections to a server, with the options of urllib3's PoolManager.

    What the environment says about proxies is not read here: the reach says all.
    """
    proxy = reach.proxy.of(endpoint)
    if proxy is None and not endpoint.lower().startswith("https:"):
        return urllib3.PoolManager(**options)
    tls = reach.tls()
    if proxy is None:
        return urllib3.PoolManager(ssl_context=tls, **options)
    return urllib3.ProxyManager(proxy, proxy_ssl_context=tls, ssl_context=tls, **options)


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
