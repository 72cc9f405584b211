"""How the operator's lists are compared with what a spec names."""

import ipaddress
import re
from fnmatch import fnmatchcase
from typing import Final

from domaintraining.api.rules import ENDPOINT

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
MODEL: Final = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/(?=[^/]*/))?([A-Za-z0-9_-]+/)?"
    r"([A-Za-z0-9_-][A-Za-z0-9._-]*)(:[A-Za-z0-9_-][A-Za-z0-9._-]*)?"
)
"""Names that can be read in one way only: model, namespace/model or host/namespace/model.

Ollama itself looks for the host from the other end.
"""


def matches(text: str, pattern: str) -> bool:
    """Fnmatch without character classes: in URLs, brackets are part of an IPv6 address."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def valid_url(url: str) -> bool:
    """Whether a URL is one of a model server: no user, no query, no `.` or `..` in its path."""
    return bool(re.fullmatch(ENDPOINT, url)) and not any(part in {".", ".."} for part in url.split("/"))


def plain_url(url: str) -> str:
    """A URL or pattern in one of its spellings: host in lower case, no default port, no `/` at the end.

    IPv6 addresses are shortened, ports have no zeros in front.
    """
    scheme, host, port, path = _parts(url)
    return f"{scheme}://{host}{f':{port}' if port else ''}{path}"


def url_matches(url: str, pattern: str) -> bool:
    """Whether a pattern names a URL: scheme, host, port and each part of the path, each for itself.

    `*` alone names all. In a host it stands for any part of a name between two dots; as the first part of a
    host, or as the whole of it, for any number of parts. A pattern without a port means the default one.
    """
    if pattern == "*":
        return True
    scheme, host, port, path = _parts(url)
    wanted_scheme, wanted_host, wanted_port, wanted_path = _parts(pattern)
    return (
        matches(scheme, wanted_scheme)
        and _host_matches(host, wanted_host)
        and matches(port, wanted_port)
        and _each_matches(path.split("/"), wanted_path.split("/"))
    )


def registry_of(name: str) -> tuple[str, str]:
    """Registry host (empty: the default registry) and rest of a model's name or of a pattern.

    Ollama takes the first of three parts for a host, whatever it looks like.
    See https://github.com/ollama/ollama/blob/main/types/model/name.go
    """
    first, slash, rest = name.partition("/")
    looks_like_host = "." in first or ":" in first
    if slash and (looks_like_host or ("/" in rest and first != "*")):
        return first, rest
    return "", name


def model_matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a model; `latest` may be left out, and hosts are named by hosts alone."""
    host, rest = registry_of(name.lower())
    wanted_host, wanted_rest = registry_of(pattern.lower())
    if bool(host) != bool(wanted_host) or not matches(host, wanted_host):
        return False
    bare = rest.removesuffix(":latest")
    return any(matches(text, wanted_rest) for text in (rest, bare, f"{bare}:latest"))


def any_value_matches(start: str, pattern: str) -> bool:
    """Whether a pattern names every text that begins so."""
    return pattern.endswith("*") and matches(start, pattern)


def host_allowed(host: str, port: int, default_port: int, pattern: str) -> bool:
    """Whether a pattern HOST or HOST:PORT names a host, which is in lower case.

    Without a port it means the default one. `*` stands for hosts as it does in `url_matches`.
    """
    _, wanted_host, wanted_port, _ = _parts(f"://{pattern}")
    plain = _plain_host(f"[{host}]") if ":" in host else host
    port_matches = matches(str(port), wanted_port) if wanted_port else port == default_port
    return port_matches and _host_matches(plain, wanted_host)


def _parts(url: str) -> tuple[str, str, str, str]:
    """Scheme, host, port (empty: the default one) and path without its last `/`."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    found = re.fullmatch(r"(\[.*\]|[^:]*):?(.*)", authority)
    host, port = (found[1], found[2]) if found else (authority, "")
    port = port.lstrip("0") if port.strip("0") else port
    port = "" if port == DEFAULT_PORTS.get(scheme.lower()) else port
    return scheme.lower(), _plain_host(host.lower()), port, f"{slash}{path}".rstrip("/")


def _plain_host(host: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]" if host.startswith("[") else host
    except ValueError:
        return host


def _host_matches(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        count = pattern.count(".")
        head, *tail = host.rsplit(".", count)
        return bool(head) and len(tail) == count and _each_matches(tail, pattern.split(".")[1:])
    return _each_matches(host.split("."), pattern.split("."))


def _each_matches(texts: list[str], patterns: list[str]) -> bool:
    return len(texts) == len(patterns) and all(map(matches, texts, patterns))
