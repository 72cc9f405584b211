"""What docs/data.md shows is taken by the API, and what it names is there."""

import re
from pathlib import Path

import pytest
import yaml

from domaintraining.api.reasons import DATASET_REASONS, Reason
from domaintraining.api.sources import SOURCE_NAMES, RemoteSources
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.trainer.data import limits
from domaintraining.trainer.data.dataset import read_samples
from domaintraining.trainer.data.sources import SOURCES, source

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
YAML, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CSV, *_ = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
SHOWN = list(yaml.safe_load_all(YAML))


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: next(iter(shown["dataset"])))
def test_every_source_that_is_shown_is_taken(shown: dict[str, object]) -> None:
    """As it stands there."""
    DomainTrainingSpec.model_validate(shown)


def test_every_source_is_shown_and_has_its_reader() -> None:
    """Each field of the API by its name."""
    named = {name for one in SHOWN for name in one["dataset"]}
    assert named == {"inline", "configMap", "persistentVolumeClaim", *SOURCE_NAMES}
    assert set(SOURCES) == set(RemoteSources.model_fields)


def test_the_csv_that_is_shown_is_read(tmp_path: Path) -> None:
    """As one sample."""
    file = tmp_path / "samples.csv"
    file.write_text(CSV)
    (found,) = read_samples(file, "docs", "auto").samples
    assert found.text == "Loki stores logs, Tempo traces."


def test_every_reason_is_told() -> None:
    """But the two that are about what the samples are for."""
    told = set(re.findall(r"`(Dataset[A-Za-z]+)`", PAGE))
    assert told == {one.value for one in DATASET_REASONS - {Reason.TOO_FEW_SAMPLES, Reason.INVALID_DOMAIN}}


def test_the_limits_are_those_of_the_code() -> None:
    """Whoever changes one changes the page."""
    for number in (limits.MAX_SAMPLES, limits.MAX_LABELS, limits.MAX_LINES):
        assert f"{number:,}" in PAGE
    for size in (limits.MAX_FILE, limits.MAX_ROW):
        assert f"{size // limits.MEBIBYTE} MiB" in PAGE
    assert f"{source.CONNECT_SECONDS:.0f} s; {source.READ_SECONDS:.0f} s" in PAGE
    assert f"{source.TOTAL_SECONDS / 60:.0f} min" in PAGE
