"""Where the names of data servers may lead, as the operator's owner allows."""

from collections.abc import Iterable

from domaintraining.api.sources import Leads
from domaintraining.controller.settings.patterns import host_allowed
from domaintraining.dataguard import data_origin, default_port


def host_leads(url: str, patterns: Iterable[str]) -> Leads:
    """Where a server's name may lead.

    Args:
        url: of the server.
        patterns: `HOST` or `HOST:PORT`: one to the letter allows whatever it leads to, one with a wildcard
            private addresses; other hosts are public.
    """
    host, port = data_origin(url)
    allowed = [one for one in patterns if host_allowed(host, port, default_port(url), one)]
    if not allowed:
        return "public"
    return "private" if all("*" in one or "?" in one for one in allowed) else "anywhere"
