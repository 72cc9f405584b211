"""How this machine reaches an index of Python packages, for builds: as secrets, which stay in no layer."""

from __future__ import annotations

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

CARRIED: Final = frozenset(
    {"default-timeout", "extra-index-url", "index-url", "proxy", "retries", "timeout", "trusted-host"}
)
"""pip's settings that mean in a build what they mean here; paths of this machine don't."""
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
DEBIAN_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"


def build_arguments(folder: Path) -> list[str]:
    """Arguments of `docker build`; the files they name are written into `folder`, which only we may read."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    settings = carried_settings(listed.stdout)
    configuration = folder / "pip.conf"
    configuration.write_text("", encoding="utf-8")
    configuration.chmod(0o600)
    with configuration.open("w", encoding="utf-8") as file:
        parser = RawConfigParser()
        parser["global"] = settings
        parser.write(file)
    arguments = [f"--secret=id=pip.conf,src={configuration}"]
    if authorities := _authorities(listed.stdout, os.environ):
        arguments.append(f"--secret=id=ca.pem,src={authorities}")
    # Docker knows these arguments itself and keeps them out of the image and its history.
    return arguments + [f"--build-arg={name}={os.environ[name]}" for name in PROXIES if os.environ.get(name)]


def carried_settings(listed: str) -> dict[str, str]:
    """What `pip config list` shows of CARRIED; a variable (`:env:`) wins over a file, as it does in pip."""
    found = {}
    for section, name, value in sorted(_settings(listed), key=lambda each: each[0] == ":env:"):
        if section in {":env:", "global", "install"} and name in CARRIED:
            found["timeout" if name == "default-timeout" else name] = value
    return found


def _settings(listed: str) -> list[tuple[str, str, str]]:
    lines = (line.partition("=") for line in listed.splitlines() if "=" in line)
    keys = ((key.rpartition("."), value) for key, _, value in lines)
    return [(section, name, str(ast.literal_eval(value))) for (section, _, name), value in keys]


def _authorities(listed: str, environment: Mapping[str, str]) -> str | None:
    named = [value for _, name, value in _settings(listed) if name == "cert"]
    candidates = [
        *named,
        environment.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
        DEBIAN_AUTHORITIES,
    ]
    return next((path for path in candidates if path and Path(path).is_file()), None)
