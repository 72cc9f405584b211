"""What docs/tenancy.md says is pinned by tests that exist, and speaks of settings and reasons that do."""

import re
from pathlib import Path

from domaintraining.api.reasons import Reason
from domaintraining.controller.settings import Settings, model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tenancy.md").read_text(encoding="utf-8")
FOLDERS = {"u": "tests/unit", "i": "tests/integration"}
NAMED = re.compile(r"\b([ui])/([a-z_/]+\.py)(?:::(test_[a-z_]+))?")


def test_every_test_that_is_named_exists() -> None:
    """In the file that is named."""
    named = NAMED.findall(PAGE)
    assert len(named) >= 15
    for folder, file, test in named:
        text = (ROOT / FOLDERS[folder] / file).read_text(encoding="utf-8")
        assert not test or re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file}::{test}"


def test_settings_and_reasons_are_those_of_the_operator() -> None:
    """By their names; and the page stays short."""
    documented = Path(model.__file__).read_text(encoding="utf-8")
    for name in re.findall(r"`([A-Z][A-Z_]+[A-Z])`", PAGE):
        assert f"{name}" in documented, name
    reasons = {reason.value for reason in Reason}
    told = set(re.findall(r"`((?:Model|Placement|Quota|Admission|Name)[A-Z][A-Za-z]+)`", PAGE))
    assert told
    assert told <= reasons
    assert Settings.read({"TRAINER_IMAGE": "i"}).allowed_node_labels == ("*",)
    assert len(PAGE.splitlines()) < 120
