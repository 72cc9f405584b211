"""What the operator's owner says about single model servers and about every trainer's container."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from domaintraining.api.job import INT_OR_STRING, Resources
from domaintraining.api.rules import LABEL_KEY
from domaintraining.controller.settings.patterns import plain_url, valid_url

MOST_CALLS: Final = 64
MOST_TRAININGS: Final = 1000
MOST_SERVERS: Final = 1000
KEYS: Final = frozenset({"endpoint", "requests", "trainings"})
PLAIN_RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
SUFFIXES: Final = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", start=1)},
}


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """A model server that the operator's owner names."""

    endpoint: str
    """Its URL."""
    requests: int | None = None
    """Calls that it serves at once, 1 to 64; None: nobody knows."""
    trainings: int | None = None
    """Trainings that may run on it at once, 1 to 1000; None: as many as on any other server."""


def read_servers(given: object) -> tuple[ServerLimits, ...]:
    """The servers in parsed JSON: a list of objects with endpoint, requests? and trainings?.

    Raises:
        ValueError: naming the entry at fault, counted from 1, and what is wrong with it.
    """
    if not isinstance(given, list) or len(given) > MOST_SERVERS:
        raise ValueError(f"must be a JSON list of at most {MOST_SERVERS} objects")
    servers = tuple(_read_server(f"entry {number}", one) for number, one in enumerate(given, start=1))
    seen: set[str] = set()
    for number, one in enumerate(servers, start=1):
        if plain_url(one.endpoint) in seen:
            raise ValueError(f"entry {number}: {one.endpoint} is named twice")
        seen.add(plain_url(one.endpoint))
    return servers


def read_resources(given: object) -> Resources:
    """The container's resources in parsed JSON: `{"requests": {...}, "limits": {...}}`, each may be missing.

    Raises:
        ValueError: naming the resource at fault.
    """
    if not isinstance(given, dict) or not given.keys() <= {"requests", "limits"}:
        raise ValueError('must be a JSON object such as {"requests": {"memory": "1Gi"}, "limits": {}}')
    amounts = {part: _read_amounts(part, given[part]) for part in sorted(given)}
    limits = amounts.get("limits", {})
    for name, amount in amounts.get("requests", {}).items():
        if name in limits and amount > limits[name]:
            raise ValueError(f"requests.{name} exceeds limits.{name}")
    return Resources.model_validate(given)


def _read_server(where: str, given: object) -> ServerLimits:
    if not isinstance(given, dict) or not isinstance(given.get("endpoint"), str):
        text = f'{where}: must be an object such as {{"endpoint": "http://ollama.gpu:11434"}}'
        raise ValueError(text)  # noqa: TRY004 - one kind of error for all that is wrong
    if unknown := sorted(given.keys() - KEYS):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    endpoint = given["endpoint"].rstrip("/")
    if not valid_url(endpoint):
        raise ValueError(f"{where}: endpoint must be a URL with a host, without user, query and pattern")
    requests = _count(where, given, "requests", MOST_CALLS)
    return ServerLimits(endpoint, requests, _count(where, given, "trainings", MOST_TRAININGS))


def _count(where: str, given: Mapping[str, Any], key: str, most: int) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{where}: {key} must be a number from 1 to {most}")
    return value


def _read_amounts(part: str, given: object) -> dict[str, Decimal]:
    if not isinstance(given, dict):
        raise ValueError(f"{part} must be an object of resources and amounts")  # noqa: TRY004
    for name in given:
        if name not in PLAIN_RESOURCES and not ("/" in name and re.fullmatch(LABEL_KEY, name)):
            raise ValueError(f"{part}: {name[:80]!r} is no resource such as cpu, memory or nvidia.com/gpu")
    return {name: _amount(f"{part}.{name}", value) for name, value in given.items()}


def _amount(where: str, given: object) -> Decimal:
    text = str(given)
    valid = isinstance(given, int | str) and not isinstance(given, bool) and len(text) <= 32
    if not valid or not re.fullmatch(INT_OR_STRING["pattern"], text):
        raise ValueError(f"{where} must be an amount such as 500m, 2 or 4Gi")
    number = text.rstrip("mkMGTi")
    return Decimal(number) * SUFFIXES[text[len(number) :]]
