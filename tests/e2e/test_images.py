"""The images themselves: what they say of themselves, what is in them, that they run as pods have to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from typing import Any

import pytest

from domaintraining import __version__
from images.locks import pins_of
from images.sbom import normal_name
from tests.e2e.images import CONTROLLER, SIMULATED_OLLAMA, TRAINER, built
from tests.e2e.images.archive import Archive, read_archive
from tests.e2e.images.build import builder, load
from tests.e2e.images.daemon import Docker
from tests.e2e.images.debian import hindrance
from tests.e2e.images.recipe import ROOT

pytestmark = pytest.mark.skipif(hindrance() is not None, reason=f"no images here: {hindrance()}")

OURS = {"controller": CONTROLLER, "trainer": TRAINER}
BILL = "usr/share/sbom/domaintraining.cdx.json"
PLACES = ("opt/venv", "opt/domaintraining", "usr/share/sbom")
FORBIDDEN = {
    "controller": {
        "alembic",
        "dspy",
        "litellm",
        "numpy",
        "openai",
        "optuna",
        "pip",
        "setuptools",
        "sqlalchemy",
    },
    "trainer": {"aiohttp", "kopf", "kubernetes", "litellm", "openai", "pip", "setuptools", "sqlalchemy"},
}
# Bytes unpacked, without the base image: what is there now and a fifth more.
BOUNDS = {"controller": 130_000_000, "trainer": 108_000_000}
# As restricted Pod Security has it, and with a root file system that nobody can write to.
RESTRICTED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
LOOK = """
import json, os, sys
from importlib import import_module
import_module(sys.argv[1])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
modules = [m for m in sys.modules.values() if (getattr(m, "__file__", None) or "").startswith("/opt/")]
files = {getattr(m, "__cached__", None) for m in modules}
try:
    open("/tmp/x", "w")
    written = True
except OSError:
    written = False
print(json.dumps({
    "user": [os.getuid(), os.getgid()], "capabilities": status["CapEff"].strip(), "written": written,
    "without bytecode": [f for f in files if f and not os.path.exists(f)],
}))
"""


@pytest.fixture(scope="module")
def archives() -> dict[str, Archive]:
    """Each image of the Dockerfile by its role."""
    tars = built(print)
    return {
        role: read_archive(tars[name], BILL, ".dist-info/METADATA", "var/lib/dpkg/status")
        for role, name in OURS.items()
    }


@dataclass(frozen=True)
class Runner:
    """Runs images under our own daemon."""

    docker: Docker

    def run(self, image: str, *arguments: str, entrypoint: str = "") -> tuple[int, str]:
        """Exit code and everything printed, of a container as restricted as a pod of ours."""
        replaced = [f"--entrypoint={entrypoint}"] if entrypoint else []
        done = self.docker.ask("run", "--rm", *RESTRICTED, *replaced, image, *arguments)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """A daemon that holds the images as they were built last."""
    tars = built(print)
    with builder(print) as docker:
        for name, tar in tars.items():
            load(docker, name, tar, print)
        yield Runner(docker)


@pytest.mark.parametrize("role", OURS)
def test_an_image_says_what_it_is_and_what_it_was_made_of(archives: dict[str, Archive], role: str) -> None:
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): value for name, value in archives[role].settings["Labels"].items()}
    assert labels.keys() >= {"title", "description", "version", "revision", "source", "licenses", "base.name"}
    assert labels["title"] == f"domaintraining-{role}"
    assert labels["description"]
    assert labels["version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|", labels["revision"])


@pytest.mark.parametrize("role", OURS)
def test_an_image_runs_as_a_number_that_is_not_root(archives: dict[str, Archive], role: str) -> None:
    assert archives[role].settings["User"] == "65532:65532"
    assert archives[role].settings["Entrypoint"] == ["python", "-m", "domaintraining"]
    assert archives[role].settings["Cmd"] == [role]


@pytest.mark.parametrize("role", OURS)
def test_nothing_of_the_machine_that_built_it_stays_in_an_image(
    archives: dict[str, Archive], role: str
) -> None:
    """No settings of pip, no authorities, no cache: only our three folders are added to the base image."""
    archive = archives[role]
    added = frozenset().union(*(layer.paths for layer in archive.layers[1:]))
    ancestors = {"", "opt", "usr", "usr/share", "tmp"}
    strange = {path for path in added - ancestors if not path.startswith(PLACES)}
    assert not strange
    assert not [path for path in added if "direct_url.json" in path]
    told = json.dumps([archive.settings, archive.history])
    assert str(ROOT) not in told
    assert "://" not in told


@pytest.mark.parametrize("role", OURS)
def test_an_image_holds_what_its_lock_names_and_nothing_else(archives: dict[str, Archive], role: str) -> None:
    installed = _installed(archives[role])
    pins = pins_of((ROOT / f"requirements-{role}.lock").read_text(encoding="utf-8"))
    assert installed.keys() == pins.keys()
    assert not installed.keys() & FORBIDDEN[role]
    other = "trainer" if role == "controller" else "controller"
    assert f"opt/domaintraining/domaintraining/{role}/main.py" in archives[role].paths
    assert f"opt/domaintraining/domaintraining/{other}" not in archives[role].paths


@pytest.mark.parametrize("role", OURS)
def test_the_bill_of_materials_lists_exactly_what_is_installed(
    archives: dict[str, Archive], role: str
) -> None:
    archive = archives[role]
    bill = json.loads(archive.contents[BILL])
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == f"domaintraining-{role}"
    assert bill["metadata"]["component"]["version"] == __version__
    assert _listed(bill, "pkg:pypi/") == _installed(archive)
    assert _listed(bill, "pkg:deb/") == _packages(archive)
    assert len(_listed(bill, "pkg:generic/python")) == 1


@pytest.mark.parametrize("role", OURS)
def test_the_bill_names_the_files_that_were_installed_by_a_hash_of_the_lock(
    archives: dict[str, Archive], role: str
) -> None:
    pins = pins_of((ROOT / f"requirements-{role}.lock").read_text(encoding="utf-8"))
    bill = json.loads(archives[role].contents[BILL])
    hashes = {each["name"]: each["hashes"] for each in bill["components"] if "hashes" in each}
    assert hashes.keys() == pins.keys()
    for name, (each,) in hashes.items():
        assert f"--hash=sha256:{each['content']}" in pins[name].text


@pytest.mark.parametrize("role", OURS)
def test_an_image_is_small(archives: dict[str, Archive], role: str) -> None:
    """Prints the rows of the README's table."""
    base, *own = (layer.size for layer in archives[role].layers)
    print(f"| {role} | {_mb(archives[role].size)} | {_mb(base)} | {_mb(sum(own))} |")
    assert sum(own) < BOUNDS[role]


@pytest.mark.parametrize("role", OURS)
def test_a_role_loads_from_bytecode_without_rights_on_a_read_only_root(runner: Runner, role: str) -> None:
    code, printed = runner.run(OURS[role], "-c", LOOK, f"domaintraining.{role}.main", entrypoint="python")
    assert code == 0, printed
    assert json.loads(printed.splitlines()[-1]) == {
        "user": [65532, 65532],
        "capabilities": "0" * 16,
        "written": False,
        "without bytecode": [],
    }


def test_the_controller_without_settings_says_what_is_missing(runner: Runner) -> None:
    code, printed = runner.run(CONTROLLER)
    assert code == 2
    assert "TRAINER_IMAGE" in printed
    assert "Traceback" not in printed


def test_an_image_says_which_one_has_the_other_role(runner: Runner) -> None:
    for image, role in ((CONTROLLER, "trainer"), (TRAINER, "controller")):
        code, printed = runner.run(image, role)
        assert (code, printed.strip()) == (
            2,
            f"no {role} in this image: use the one that is built with --target {role}",
        )


def test_the_simulated_model_server_starts_in_its_image(runner: Runner) -> None:
    code, printed = runner.run(SIMULATED_OLLAMA, "--help")
    assert code == 0, printed
    assert "simulated_ollama" in printed


def _installed(archive: Archive) -> dict[str, str]:
    texts = [text for path, text in archive.contents.items() if path.startswith("opt/venv/")]
    found = [message_from_string(text) for text in texts if "Metadata-Version" in text]
    return {normal_name(each["Name"]): each["Version"] for each in found}


def _packages(archive: Archive) -> dict[str, str]:
    paragraphs = archive.contents["var/lib/dpkg/status"].split("\n\n")
    fields = [dict(re.findall(r"^(Package|Version): (.+)$", each, re.MULTILINE)) for each in paragraphs]
    return {each["Package"]: each["Version"] for each in fields if each}


def _listed(bill: dict[str, Any], kind: str) -> dict[str, str]:
    found = (each for each in bill["components"] if each["purl"].startswith(kind))
    return {each["name"]: each["version"] for each in found}


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
