"""Settings of the operator: what its owner put into the environment."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeVar

from domaintraining.api.rules import ENDPOINT
from domaintraining.api.spec import Auto

T = TypeVar("T")
MODES: Final[dict[str, Auto]] = {
    "light": "light",
    "medium": "medium",
    "heavy": "heavy",
    "adaptive": "adaptive",
}
SWITCHES: Final = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MOST_CALLS: Final = 64
ONE_DAY: Final = 86_400


class SettingsError(ValueError):
    """The environment holds no valid settings; the message names every variable at fault."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator's owner decides. Lists hold fnmatch patterns (`*`, `?`), matched without `[…]`."""

    trainer_image: str
    """TRAINER_IMAGE: image of new runs; required."""
    ollama_base_url: str = "http://ollama.ollama:11434"
    """OLLAMA_BASE_URL: the default model server."""
    model: str = "qwen3:32b"
    """OLLAMA_MODEL_GENERATION: the default model."""
    auto: Auto = "light"
    """DSPY_AUTO_MODE: the default mode; never manual, whose numbers stand in a spec alone."""
    verbose: bool = False
    """DSPY_VERBOSE: whether a trainer's log tells every step."""
    num_parallel: int | None = None
    """OLLAMA_NUM_PARALLEL: calls that the default server serves at once, 1 to 64; not set: nobody knows, and
    each trainer measures it."""
    allowed_endpoints: tuple[str, ...] = ()
    """ALLOWED_ENDPOINTS: further model servers, compared part by part: `*` never crosses a `/`."""
    allowed_pulls: tuple[str, ...] = ("*",)
    """ALLOWED_PULLS: models that may be pulled; those of a registry host only by patterns with a host."""
    allowed_priority_classes: tuple[str, ...] = ()
    """ALLOWED_PRIORITY_CLASSES: priority classes of trainers."""
    allowed_node_labels: tuple[str, ...] = ("*",)
    """ALLOWED_NODE_LABELS: `KEY=VALUE` of node selectors."""
    resync_seconds: int = 300
    """RESYNC_SECONDS: how often everything is looked at again, 1 to 86,400."""
    outage_seconds: int = 600
    """OUTAGE_SECONDS: how long a trainer waits for a failing model server, 1 to 86,400."""
    namespaces: tuple[str, ...] = ()
    """WATCH_NAMESPACES: the watched namespaces; none means all."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in an environment.

        A single value that is empty counts as not set; an empty list allows nothing.

        Raises:
            SettingsError: naming all variables that are missing or wrong.
        """
        source = _Source(environ)
        settings = cls(
            trainer_image=source.text("TRAINER_IMAGE", None),
            ollama_base_url=source.url("OLLAMA_BASE_URL", cls.ollama_base_url),
            model=source.text("OLLAMA_MODEL_GENERATION", cls.model),
            auto=source.mode("DSPY_AUTO_MODE", cls.auto),
            verbose=source.switch("DSPY_VERBOSE", default=cls.verbose),
            num_parallel=source.number_if_set("OLLAMA_NUM_PARALLEL", MOST_CALLS),
            allowed_endpoints=source.names("ALLOWED_ENDPOINTS", cls.allowed_endpoints),
            allowed_pulls=source.names("ALLOWED_PULLS", cls.allowed_pulls),
            allowed_priority_classes=source.names("ALLOWED_PRIORITY_CLASSES", cls.allowed_priority_classes),
            allowed_node_labels=source.names("ALLOWED_NODE_LABELS", cls.allowed_node_labels),
            resync_seconds=source.number("RESYNC_SECONDS", cls.resync_seconds, ONE_DAY),
            outage_seconds=source.number("OUTAGE_SECONDS", cls.outage_seconds, ONE_DAY),
            namespaces=source.names("WATCH_NAMESPACES", cls.namespaces),
        )
        if source.faults:
            raise SettingsError("; ".join(source.faults))
        return settings

    def endpoint_allowed(self, url: str) -> bool:
        """Whether requests may go to a model server: the default one, and those of the list."""
        if not re.fullmatch(ENDPOINT, url) or any(part in {".", ".."} for part in url.split("/")):
            return False
        if self._is_default(url):
            return True
        return any(
            pattern == "*" or _same_parts(_plain_url(url), _plain_url(pattern))
            for pattern in self.allowed_endpoints
        )

    def pull_allowed(self, name: str) -> bool:
        """Whether a model server may be told to pull a model, by its name as `ollama pull` takes it."""
        host, rest = registry_of(name.lower())
        bare = rest.removesuffix(":latest")
        for pattern in self.allowed_pulls:
            pattern_host, pattern_rest = registry_of(pattern.lower())
            hosts_match = _matches(host, pattern_host) if host and pattern_host else host == pattern_host
            if hosts_match and any(_matches(text, pattern_rest) for text in (rest, bare, f"{bare}:latest")):
                return True
        return False

    def priority_class_allowed(self, name: str) -> bool:
        """Whether a trainer may have a priority class."""
        return any(_matches(name, pattern) for pattern in self.allowed_priority_classes)

    def node_label_allowed(self, key: str, value: str) -> bool:
        """Whether a trainer may select nodes by a label."""
        return any(_matches(f"{key}={value}", pattern) for pattern in self.allowed_node_labels)

    def permits(self, endpoint: str, wanted: int | None) -> int | None:
        """Calls in flight at once: on the default server never more than it serves; elsewhere as wanted.

        None where nobody says.
        """
        serves = self.num_parallel if self._is_default(endpoint) else None
        return min((number for number in (wanted, serves) if number is not None), default=None)

    def digest(self) -> str:
        """16 hex digits that change with whatever a trainer depends on."""
        content = json.dumps(
            [
                self.trainer_image,
                self.ollama_base_url,
                self.model,
                self.auto,
                self.verbose,
                self.outage_seconds,
            ]
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def _is_default(self, url: str) -> bool:
        return _plain_url(url) == _plain_url(self.ollama_base_url)


class _Source:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str | None) -> str:
        value = self._environ.get(name, "").strip()
        if not value and default is None:
            self.faults.append(f"{name} is not set")
        return value or default or ""

    def url(self, name: str, default: str) -> str:
        value = self.text(name, default).rstrip("/")
        return self._checked(
            name,
            value,
            lambda text: text if re.fullmatch(ENDPOINT, text) else None,
            default,
            "must be http:// or https:// with a host, such as http://ollama.ollama:11434",
        )

    def mode(self, name: str, default: Auto) -> Auto:
        return self._checked(
            name, self.text(name, default), MODES.get, default, "must be light, medium, heavy or adaptive"
        )

    def switch(self, name: str, *, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        return self._checked(name, value, SWITCHES.get, default, "must be true or false")

    def number(self, name: str, default: int, most: int) -> int:
        def parsed(text: str) -> int | None:
            valid = re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= most
            return int(text) if valid else None

        return self._checked(
            name, self.text(name, str(default)), parsed, default, f"must be a number from 1 to {most}"
        )

    def number_if_set(self, name: str, most: int) -> int | None:
        return self.number(name, 1, most) if self._environ.get(name, "").strip() else None

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        given = self._environ.get(name)
        if given is None:
            return default
        return tuple(part.strip() for part in given.split(",") if part.strip())

    def _checked(self, name: str, text: str, parsed: Callable[[str], T | None], default: T, rule: str) -> T:
        value = parsed(text)
        if value is None:
            self.faults.append(f"{name} {rule}, not {text[:80]!r}")
            return default
        return value


def _matches(text: str, pattern: str) -> bool:
    """Fnmatch without character classes: in URLs, brackets are part of an IPv6 address."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _same_parts(url: str, pattern: str) -> bool:
    parts, patterns = url.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(_matches, parts, patterns))


def _plain_url(url: str) -> str:
    """A URL or pattern as one of its spellings: lower-case host, no default port, no `/` at the end."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    scheme = scheme.lower()
    host = host.lower().removesuffix(f":{DEFAULT_PORTS.get(scheme, '')}")
    return f"{scheme}{separator}{host}{slash}{path}".rstrip("/")


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
