"""Reads variables of the environment and collects what is wrong with them."""

import ipaddress
import json
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from domaintraining.api.rules import OBJECT_NAME
from domaintraining.api.spec import Auto
from domaintraining.controller.settings.patterns import MODEL, valid_url
from domaintraining.proxy import PROXY_URL, Proxy

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
PATTERNS: Final = {
    "server": (
        r"\*|(https?|\*)://[^/@?#\s]+(/[^@#\s]*)?",
        "must be patterns of URLs such as http://ollama-*.gpu.svc:11434, separated by commas",
    ),
    "host": (
        r"[A-Za-z0-9.:*?-]+",
        "must be patterns of hosts such as hf.co or *.corp.example:5000, without http://",
    ),
    "data host": (
        r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.*?-]+)(:[0-9*?]{1,5})?",
        "must be patterns of hosts such as minio.data.svc:9000 or *.corp.example, without http://",
    ),
    "model": (
        r"[A-Za-z0-9._:/*?-]+(?<!/)",
        "must be patterns of models such as qwen3:* or hf.co/*, separated by commas",
    ),
    "class": (r"[a-z0-9.*?-]+", "must be patterns of priority classes such as batch-*"),
    "label": (r".*=.*|.*\*", "must be patterns KEY=VALUE such as pool=gpu or dedicated=*"),
}
"""What entries of the lists look like; `*` alone is one of each kind."""
MOST_BUNDLE_BYTES: Final = 524_288
"""A run's ConfigMap holds it beside the run; all authorities of a browser have half of that."""


class SettingsError(ValueError):
    """The environment holds no valid settings; the message names every variable at fault."""


class Source:
    """Reads variables and collects what is wrong with them.

    A single value that is empty counts as not set.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str | None) -> str:
        """A text; without a default it has to be there."""
        value = self._environ.get(name, "").strip()
        if not value and default is None:
            self.faults.append(f"{name} is not set")
        return value or default or ""

    def url(self, name: str, default: str) -> str:
        """URL of a model server."""
        value = self.text(name, default).rstrip("/")
        return self._checked(
            name,
            value,
            lambda text: text if valid_url(text) else None,
            default,
            "must be http:// or https:// with a host, such as http://ollama.ollama:11434",
        )

    def model(self, name: str, default: str) -> str:
        """Name of a model."""
        return self._checked(
            name,
            self.text(name, default),
            lambda text: text if MODEL.fullmatch(text) else None,
            default,
            "must be a model as `ollama pull` takes it, such as qwen3:32b",
        )

    def mode(self, name: str, default: Auto) -> Auto:
        """A mode of the search."""
        return self._checked(
            name, self.text(name, default), MODES.get, default, "must be light, medium, heavy or adaptive"
        )

    def switch(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self.text(name, str(default)).lower()
        return self._checked(name, value, SWITCHES.get, default, "must be true or false")

    def number(self, name: str, default: int, most: int) -> int:
        """A number from 1 to `most`."""

        def parsed(text: str) -> int | None:
            valid = re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= most
            return int(text) if valid else None

        return self._checked(
            name, self.text(name, str(default)), parsed, default, f"must be a number from 1 to {most}"
        )

    def number_if_set(self, name: str, most: int) -> int | None:
        """The same; None where it isn't set."""
        return self.number(name, 1, most) if self._environ.get(name, "").strip() else None

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list, separated by commas; one that is set and empty allows nothing."""
        given = self._environ.get(name)
        if given is None:
            return default
        return tuple(part.strip() for part in given.split(",") if part.strip())

    def patterns(self, name: str, default: tuple[str, ...], kind: str) -> tuple[str, ...]:
        """A list of patterns of a kind of PATTERNS; one that could never match anything is a fault."""
        pattern, rule = PATTERNS[kind]
        return self._each(name, pattern, rule, default)

    def object_names(self, name: str) -> tuple[str, ...]:
        """Names of objects; none where it isn't set."""
        return self._each(name, OBJECT_NAME, "must be names of objects, separated by commas")

    def networks(self, name: str) -> tuple[str, ...]:
        """Networks such as 10.0.0.0/8; a single address is the network of itself."""
        return tuple(
            self._checked(name, one, _network, one, "must be networks such as 10.96.0.1/32")
            for one in self.names(name, ())
        )

    def parsed(self, name: str, read: Callable[[object], T], default: T) -> T:
        """JSON, read by a function that raises ValueError with what is wrong."""
        text = self.text(name, "")
        if not text:
            return default
        try:
            return read(json.loads(text))
        except json.JSONDecodeError as error:
            self.faults.append(f"{name} is not JSON: {error.msg} at character {error.pos + 1}")
        except (ValueError, RecursionError) as error:
            self.faults.append(f"{name}: {error}")
        return default

    def certificates(self, name: str) -> str:
        """The text of a PEM file with certificates, which a variable names; empty where it isn't set."""
        path = self.text(name, "")
        if not path:
            return ""
        try:
            return read_certificates(Path(path))
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            self.faults.append(f"{name}: {path}: {said or error}")
            return ""

    def proxy(self) -> Proxy:
        """HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""
        given = Proxy.read(self._environ)
        for name, value in (("HTTP_PROXY", given.http), ("HTTPS_PROXY", given.https)):
            # the value may hold a password: it is not repeated
            if value and not re.fullmatch(PROXY_URL, value):
                self.faults.append(
                    f"{name} must be such as http://proxy.example.com:3128, without user and password: "
                    "every trainer's pod shows it"
                )
        return given

    def _each(self, name: str, pattern: str, rule: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(
            self._checked(name, one, lambda text: text if re.fullmatch(pattern, text) else None, one, rule)
            for one in self.names(name, default)
        )

    def _checked(self, name: str, text: str, parsed: Callable[[str], T | None], default: T, rule: str) -> T:
        value = parsed(text)
        if value is None:
            self.faults.append(f"{name} {rule}, not {text[:80]!r}")
            return default
        return value


def read_certificates(path: Path) -> str:
    """The text of a PEM file with certificates.

    Raises:
        OSError: it can't be read.
        ValueError: it is too large, holds a private key, or no certificate.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BUNDLE_BYTES + 1)
    if len(content) > MOST_BUNDLE_BYTES:
        raise ValueError(f"has more than {MOST_BUNDLE_BYTES} bytes")
    if b"PRIVATE KEY" in content:
        raise ValueError("holds a private key, which every trainer's namespace would get to see")
    text = content.decode("ascii", errors="replace").replace("\ufffd", "?")
    try:
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise ValueError  # noqa: TRY301 - told as a damaged one is
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("holds no certificates in PEM, or a damaged one") from error
    return text


def _network(text: str) -> str | None:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        return None
