"""The graph that the operator's owner names: where it is, who it is written as, and who owns what in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final

from domaintraining.controller.settings.patterns import matches

URI: Final = re.compile(
    r"(bolt|neo4j)(\+s|\+ssc)?://((?P<host>[A-Za-z0-9.-]{1,253})|\[(?P<six>[0-9A-Fa-f:.]+)\])(:(?P<port>[0-9]{1,5}))?"
)
LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LAST_PORT: Final = 65535
DATABASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9.-]{2,62}")
CLUSTER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
GIVEN: Final = re.compile(r"[a-z0-9*?-]+=[a-z0-9_*?]+")


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """A Neo4j server and what namespaces may do in it."""

    uri: str
    """NEO4J_URI: bolt://, neo4j://, and both with +s or +ssc, such as neo4j://neo4j.graph:7687."""
    user: str = "neo4j"
    """NEO4J_USER: the user that writes."""
    password: str = field(default="", repr=False)
    """NEO4J_PASSWORD: its password; empty: the server asks for none."""
    database: str = ""
    """NEO4J_DATABASE: the database; empty: the user's own."""
    cluster: str = ""
    """GRAPH_CLUSTER: what this cluster calls itself in the graph; empty: by the uid of the EndpointSlice
    default/kubernetes. Clusters that share a graph never touch what another one owns."""
    domains: tuple[str, ...] = ()
    """GRAPH_DOMAINS: `NAMESPACE=DOMAIN` patterns: which namespace may take which domain without an owner."""

    def given(self, namespace: str, domain: str) -> bool:
        """Whether a namespace may take a domain that is there and has no owner."""
        pairs = (one.partition("=") for one in self.domains)
        return any(matches(namespace, left) and matches(domain, right) for left, _, right in pairs)


def read_graph(environ: Mapping[str, str], faults: list[str]) -> GraphSettings | None:
    """The graph's settings in an environment; None where no NEO4J_URI is set.

    Args:
        environ: the environment.
        faults: gets what is wrong, without the values: a URI may hold a password.
    """
    given = {
        name: environ.get(name, "").strip()
        for name in ("NEO4J_URI", "NEO4J_USER", "NEO4J_DATABASE", "GRAPH_CLUSTER", "GRAPH_DOMAINS")
    }
    if not given["NEO4J_URI"]:
        return None
    domains = tuple(part.strip() for part in given["GRAPH_DOMAINS"].split(",") if part.strip())
    wrong = {
        "NEO4J_URI must be such as neo4j://neo4j.graph:7687 or bolt+s://graph.example.com, "
        "without user, password and query": not _is_uri(given["NEO4J_URI"]),
        "NEO4J_DATABASE must be the name of a database": not _empty_or(DATABASE, given["NEO4J_DATABASE"]),
        "GRAPH_CLUSTER must be up to 63 letters, digits, '.', '_' and '-'": not _empty_or(
            CLUSTER, given["GRAPH_CLUSTER"]
        ),
        "GRAPH_DOMAINS must be patterns NAMESPACE=DOMAIN such as team-a=*, separated by commas": not all(
            GIVEN.fullmatch(one) for one in domains
        ),
    }
    faults += [words for words, is_wrong in wrong.items() if is_wrong]
    return GraphSettings(
        uri=given["NEO4J_URI"],
        user=given["NEO4J_USER"] or GraphSettings.user,
        password=environ.get("NEO4J_PASSWORD", ""),
        database=given["NEO4J_DATABASE"],
        cluster=given["GRAPH_CLUSTER"],
        domains=domains,
    )


def _is_uri(text: str) -> bool:
    """Whether the driver can do something with it: it takes more, and fails when it connects."""
    found = URI.fullmatch(text)
    if found is None or not 1 <= int(found["port"] or LAST_PORT) <= LAST_PORT:
        return False
    if found["six"] is None:
        return all(LABEL.fullmatch(one) for one in found["host"].split("."))
    try:
        IPv6Address(found["six"])
    except ValueError:
        return False
    return True


def _empty_or(pattern: re.Pattern[str], text: str) -> bool:
    return not text or pattern.fullmatch(text) is not None
