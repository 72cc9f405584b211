"""The bill of materials says what is installed, from what the installation left behind."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from images.sbom import (
    debian_components,
    document,
    installed_hashes,
    licence_of,
    python_component,
    python_needs,
    release,
    unique,
)

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 Package: not a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def test_installed_debian_packages_are_listed_and_removed_ones_are_not() -> None:
    (component,) = debian_components(STATUS, release('ID=debian\nVERSION_ID="12"\n'))
    assert (component["name"], component["version"]) == ("libc6", "2.36-9+deb12u10")
    assert component["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT OR ISC"), ("License", "x")], {"expression": "MIT OR ISC"}),
        ([("License", "BSD")], {"license": {"name": "BSD"}}),
        ([("License", "Permission is\nhereby"), ("Classifier", "License :: OSI Approved :: MIT License")],
         {"license": {"name": "MIT License"}}),
        ([("Classifier", "Topic :: Software")], None),
    ],
)  # fmt: skip
def test_a_licence_is_an_expression_or_a_name_and_never_a_text(
    fields: list[tuple[str, str]], licence: object
) -> None:
    assert licence_of(_metadata(fields)) == licence


def test_a_distribution_has_the_hash_of_the_file_that_pip_installed(tmp_path: Path) -> None:
    report = {
        "install": [
            {
                "metadata": {"name": "Some.Thing"},
                "download_info": {"url": "not kept", "archive_info": {"hashes": {"sha256": "ab"}}},
            }
        ]
    }
    component = python_component(_distribution(tmp_path, "Some.Thing", "1.0"), installed_hashes(report))
    assert component["purl"] == "pkg:pypi/some-thing@1.0"
    assert component["hashes"] == [{"alg": "SHA-256", "content": "ab"}]


def test_needs_are_told_among_what_is_installed_and_without_extras(tmp_path: Path) -> None:
    whole = _distribution(tmp_path, "whole", "1", "part>=1", "absent", "extra; extra == 'more'")
    parts = [_distribution(tmp_path, name, "2") for name in ("part", "extra")]
    assert python_needs([whole, *parts])["pkg:pypi/whole@1"] == ["pkg:pypi/part@2"]


def test_a_distribution_in_two_places_is_listed_once_with_its_hash() -> None:
    plain = {"bom-ref": "pkg:pypi/pip@1"}
    hashed = {"bom-ref": "pkg:pypi/pip@1", "hashes": []}
    assert unique([plain, hashed, plain]) == [hashed]


def test_the_same_components_give_the_same_bill() -> None:
    one, two = ({"bom-ref": ref} for ref in ("one", "two"))
    assert document("image", "1", [one, two], {}) == document("image", "1", [two, one], {})


def _metadata(fields: list[tuple[str, str]]) -> Message:
    message = Message()
    for name, value in fields:
        message[name] = value
    return message


def _distribution(folder: Path, name: str, version: str, *needs: str) -> Distribution:
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in needs)]
    (place / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Distribution.at(place)
