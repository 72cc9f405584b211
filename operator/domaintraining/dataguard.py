"""Where a data server's name may lead: one rule for controller and trainer, asked before each connection.

Unlike a model server it is anybody's to name, so it has to be a public one, unless the operator's owner
allows the host.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from domaintraining.api.reasons import Reason
from domaintraining.api.sources import Leads
from domaintraining.errors import DomainTrainingError
from domaintraining.guard import (
    NUMERIC,
    PORTS,
    Guard,
    Origin,
    is_address,
    origin_of,
    plain_host,
    public_refusal,
    refusal,
)

DATA_PORTS: Final = {"bolt": 7687, "bolt+s": 7687, "neo4j": 7687, "neo4j+s": 7687}
"""Default ports beyond those of `guard.PORTS`."""
METADATA: Final = frozenset(
    {"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal", "metadata.tencentyun.com"}
)
"""Names of clouds' metadata services, which a proxy may resolve though this machine does not."""


def data_origin(url: str) -> Origin:
    """Host and port of a data server's URL.

    Raises:
        DomainTrainingError: it has none (DatasetAddressNotAllowed).
    """
    try:
        host, port = origin_of(url)
    except ValueError:
        message = "the server of spec.dataset has no address in its usual spelling"
        raise DomainTrainingError(Reason.DATASET_ADDRESS_NOT_ALLOWED, message) from None
    return host, port or default_port(url)


def default_port(url: str) -> int:
    """The port of a URL that names none; 0 for a scheme that has none."""
    return (PORTS | DATA_PORTS).get(url.partition(":")[0].lower(), 0)


@dataclass(frozen=True, slots=True)
class DataGuard(Guard):
    """Lets connections to one data server go to addresses that it may have, and no others."""

    server: Origin = ("", 0)
    """The server that the spec names."""
    leads: Leads = "public"
    """Where its name may lead."""

    def check_literal(self, url: str) -> None:
        """As `Guard.check_literal`, with the ports of data servers."""
        host, port = data_origin(url)
        if is_address(host) or NUMERIC.fullmatch(host):
            self.check(host, port, host)

    def check_proxied(self, url: str) -> None:
        """Refuse a name that a proxy would resolve, as far as can be told from here.

        What has no address here passes: where there is a proxy, names of the outside often have none.
        """
        host, port = data_origin(url)
        if self.leads != "anywhere" and host in METADATA:
            message = f"{host}:{port} is a service of the cloud, and ALLOWED_DATA_HOSTS does not name it"
            raise DomainTrainingError(Reason.DATASET_ADDRESS_NOT_ALLOWED, message)
        with suppress(OSError, UnicodeError):
            self.addresses(host, port)

    def check(self, host: str, port: int, address: str) -> None:
        """Refuse an address that a host has.

        Raises:
            DomainTrainingError: nothing may be sent there (DatasetAddressNotAllowed).
        """
        if (plain_host(host), port) != self.server:
            message = f"{host}:{port} is not the server that spec.dataset names"
            raise DomainTrainingError(Reason.DATASET_ADDRESS_NOT_ALLOWED, message)
        if self.leads == "anywhere":
            return
        why = refusal(address, self.api_server())
        needs = "by its whole name, without a wildcard"
        if why is None and self.leads == "public":
            why, needs = public_refusal(address), "such a host"
        if why is not None:
            literal = plain_host(host) == plain_host(address)
            where = f"{host}:{port}" if literal else f"{host}:{port} ({address})"
            message = f"{where} is {why}; ALLOWED_DATA_HOSTS of the operator does not name {needs}"
            raise DomainTrainingError(Reason.DATASET_ADDRESS_NOT_ALLOWED, message)
