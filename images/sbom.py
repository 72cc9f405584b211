"""The software bill of materials of an image, CycloneDX 1.5 in JSON: `python sbom.py IMAGE VERSION`.

Runs in the build of an image, with the standard library alone. Lists every Python distribution (those of
/opt/venv with the SHA-256 of the file that pip installed, from pip's report), the interpreter, and the base
image's Debian packages. No time and no random number stand in it: the same image gives the same bytes.
See https://cyclonedx.org/docs/1.5/json/ and the package-url specification for `purl`.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

WRITTEN_TO: Final = Path("/usr/share/sbom/domaintraining.cdx.json")
REPORT: Final = Path("/build/report.json")
ENVIRONMENT: Final = Path("/opt/venv")
DPKG_STATUS: Final = Path("/var/lib/dpkg/status")
OS_RELEASE: Final = Path("/etc/os-release")
LICENCE_LENGTH: Final = 100
"""What is longer is the licence's text, not its name."""

Component = dict[str, Any]


def document(
    image: str, version: str, components: Iterable[Component], needs: Mapping[str, list[str]]
) -> Component:
    """The whole bill: the image, its components and which component needs which, by their references."""
    itself = {"bom-ref": image, "type": "container", "name": image, "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": itself},
        "components": sorted(components, key=lambda each: str(each["bom-ref"])),
        "dependencies": [{"ref": ref, "dependsOn": others} for ref, others in sorted(needs.items())],
    }


def installed_hashes(report: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each installed file by the distribution's normal name, from a report of `pip install`."""
    return {
        normal_name(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"]["sha256"]
        for each in report["install"]
    }


def python_component(distribution: Distribution, hashes: Mapping[str, str]) -> Component:
    """One Python distribution; its hash is there where pip has installed it from a file."""
    name = normal_name(distribution.metadata["Name"])
    purl = f"pkg:pypi/{name}@{quote(distribution.version)}"
    component: Component = {"bom-ref": purl, "type": "library", "name": name, "version": distribution.version}
    component["purl"] = purl
    licence = licence_of(distribution.metadata)
    if licence:
        component["licenses"] = [licence]
    if name in hashes:
        component["hashes"] = [{"alg": "SHA-256", "content": hashes[name]}]
    return component


def licence_of(metadata: Any) -> Component | None:
    """The SPDX expression, else the name that the metadata or its classifiers give, else None."""
    if expression := metadata.get("License-Expression"):
        return {"expression": expression}
    named = str(metadata.get("License") or "").strip()
    if not named or "\n" in named or len(named) > LICENCE_LENGTH:
        classifiers = [each for each in metadata.get_all("Classifier") or () if each.startswith("License ::")]
        named = classifiers[-1].rpartition(" :: ")[2] if classifiers else ""
    return {"license": {"name": named}} if named else None


def normal_name(name: str) -> str:
    """The normal form of a distribution's name (https://packaging.python.org/en/latest/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_needs(found: Iterable[Distribution]) -> dict[str, list[str]]:
    """Which distribution needs which, among those installed, by reference; extras are not asked for."""
    by_name = {normal_name(each.metadata["Name"]): each for each in found}
    refs = {name: f"pkg:pypi/{name}@{quote(each.version)}" for name, each in by_name.items()}
    needs = {}
    for name, each in by_name.items():
        wanted = (line for line in each.requires or () if "extra ==" not in line)
        names = {normal_name(match[0]) for line in wanted if (match := re.match(r"[A-Za-z0-9._-]+", line))}
        needs[refs[name]] = sorted(refs[other] for other in names & refs.keys())
    return needs


def debian_components(status: str, os_release: Mapping[str, str]) -> Iterator[Component]:
    """The installed packages in the text of /var/lib/dpkg/status."""
    distro = f"{os_release.get('ID', 'debian')}-{os_release.get('VERSION_ID', '')}".rstrip("-")
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version|Architecture): (.+)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            place = f"arch={fields['Architecture']}&distro={distro}"
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?{place}"
            yield {"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl}


def release(text: str) -> dict[str, str]:
    """The fields of /etc/os-release."""
    return {name: value.strip('"') for name, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)}


def interpreter() -> Component:
    """The Python that everything runs on: an image of python.org's has it from source, without a package."""
    version = platform.python_version()
    ref = f"pkg:generic/python@{version}"
    return {"bom-ref": ref, "type": "platform", "name": "python", "version": version, "purl": ref}


def unique(components: Iterable[Component]) -> list[Component]:
    """Each reference once; the one with a hash wins, which is the one in the environment."""
    found: dict[str, Component] = {}
    for each in components:
        if each["bom-ref"] not in found or "hashes" in each:
            found[each["bom-ref"]] = each
    return list(found.values())


def main(image: str, version: str) -> None:
    """Look at this machine, which is the build stage of an image, and write its bill."""
    hashes = installed_hashes(json.loads(REPORT.read_text(encoding="utf-8")))
    own = [*distributions(path=[str(path) for path in ENVIRONMENT.glob("lib/python3*/site-packages")])]
    of_base = [*distributions(path=[path for path in sys.path if path.endswith("-packages")])]
    components = [python_component(each, hashes) for each in own]
    components += [python_component(each, {}) for each in of_base]
    if DPKG_STATUS.exists():
        os_release = release(OS_RELEASE.read_text(encoding="utf-8"))
        components += debian_components(DPKG_STATUS.read_text(encoding="utf-8"), os_release)
    bill = document(image, version, unique([*components, interpreter()]), python_needs(own))
    WRITTEN_TO.parent.mkdir(parents=True, exist_ok=True)
    WRITTEN_TO.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(bill['components'])} components in {WRITTEN_TO}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
